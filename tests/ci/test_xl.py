# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the common part of rigs with Xen's toolstack makes of what xl and the shim say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.rig import STOPPED, Guest
from ci.util import UserError
from ci.xl import arguments, domain_number, end_state, in_svm, shim_has_halted, shim_is_silent

SHIM = ["(XEN) Bootloader: PVH Directboot", "(XEN) Freed 2048kB init memory", "hello"]
PANIC = ["(XEN) ", "(XEN) ****************", "(XEN) Panic on CPU 0:"]


@pytest.mark.parametrize(
    ("said", "killed", "console", "clean", "end"),
    [
        (["Domain 1 has shut down, reason code 0 0x0"], False, SHIM, True, "reason 0 (poweroff)"),
        (
            ["Domain 1 has shut down, reason code 0 0x0"], False, [*SHIM[:2], ""], False,
            "reason 0 (poweroff), without a word on its console",
        ),
        (["Domain 1 has shut down, reason code 3 0x3"], False, SHIM, False, "reason 3 (crash)"),
        (
            ["Domain 1 has shut down, reason code 1 0x1"], False, SHIM[:2], False,
            "reason 1 (reboot), without a word on its console",
        ),
        (["Domain 1 has shut down, reason code 9 0x9"], False, SHIM, False, "reason 9 (unknown)"),
        (["Domain 3 has been destroyed."], True, SHIM, False, "hung: domain destroyed at its deadline"),
        (["libxl: error: cannot"], False, [], False, "domain was not started: libxl: error: cannot"),
        ([], False, [], False, "domain was not started: xl said nothing"),
        (
            ["Domain 1 has shut down, reason code 3 0x3"], False,
            [SHIM[0], "(XEN) ERROR: no notes", *PANIC, "(XEN) Could not construct domain 0"], False,
            "refused the kernel: Could not construct domain 0 (after: (XEN) ERROR: no notes)",
        ),
        (
            ["Domain 1 has shut down, reason code 3 0x3"], False,
            [*SHIM, *PANIC, "(XEN) Xen BUG at xstate.c"], False,
            "xen-shim panicked under the kernel: Xen BUG at xstate.c",
        ),
    ],
)  # fmt: skip
def test_end_states(said: list[str], killed: bool, console: list[str], clean: bool, end: str) -> None:
    found, words, advice = end_state({"xl": said, **({"killed": [""]} if killed else {})}, console)
    assert found == clean
    assert words.endswith(end)
    assert bool(advice) != clean
    assert ("linked with another library" in advice) == ("(reboot)" in words)


@pytest.mark.parametrize("reason", [1, 3])
def test_what_xen_says_of_a_lost_domain(reason: int) -> None:
    """A kernel that crashes by itself is no news to Xen."""
    said = [f"Domain 2 has shut down, reason code {reason} 0x{reason}"]
    fault = "(XEN) d2v0 Triple fault - invoking HVM shutdown action 1"
    frames = {"xl": said, "dmesg": ["(XEN) d2v0 RDMSR 0x0000001b", fault]}
    assert f"; Xen says: {fault[6:]}" in end_state(frames, SHIM)[1]
    assert "Xen says" not in end_state({**frames, "dmesg": frames["dmesg"][:1]}, SHIM)[1]


def test_a_guest_that_is_stopped_has_not_passed() -> None:
    assert end_state({"xl": ["Domain 1 has been destroyed."], "stopped": ["as asked"]}, SHIM) == STOPPED


def test_modules(tmp_path: Path) -> None:
    """xl loads one file with a kernel, and has no words for it."""
    disk = tmp_path / "disk"
    assert f'ramdisk="{disk}"' in arguments(Guest(tmp_path / "k", "x", modules=[(disk, "")]), "k", "guest")
    for modules in ([(disk, "words")], [(disk, ""), (disk, "")]):
        with pytest.raises(UserError, match="one module") as error:
            arguments(Guest(tmp_path / "k", "x", modules=modules), "k", "guest")
        assert error.value.status == 2


def test_guest_arguments(tmp_path: Path) -> None:
    words = arguments(Guest(tmp_path / "k.elf", "x", append="a=b c", cpus=2), "/guests/k.elf", "guest")
    assert words == [
        'name="guest"', 'kernel="/guests/k.elf"', 'cmdline="a=b c"', "vcpus=2", "memory=64",
    ]  # fmt: skip


def test_domain_number() -> None:
    said = ["Parsing config from guest.cfg", "Waiting for domain guest (domid 12) to die [pid 83]"]
    assert domain_number(said) == 12
    assert domain_number(said[:1]) is None


SHIM_TYPE = ['                "type": "pvh",', '                "pvshim": "True"']
KILLED = {"killed": ["after 240 s"], "xl": ["Domain 4 has been destroyed."]}
FALLEN = {"xl": ["Domain 4 has shut down, reason code 1 0x1"]}


@pytest.mark.parametrize(
    ("frames", "console", "silent"),
    [
        ({**KILLED, "type": SHIM_TYPE}, [], True),
        ({**FALLEN, "type": SHIM_TYPE}, [""], True),
        ({**KILLED, "type": SHIM_TYPE}, SHIM[:1], False),
        ({**KILLED, "type": ['                "type": "pv",']}, [], False),
        ({**FALLEN, "type": ['                "type": "pvh",']}, [], False),
        ({"stopped": ["as asked"], "xl": [], "type": SHIM_TYPE}, [], False),
        ({"xl": ["libxl: error: cannot"]}, [], False),
    ],
)
def test_a_shim_that_never_came_up(frames: dict[str, list[str]], console: list[str], silent: bool) -> None:
    """That is the rig's failure, and says nothing of the kernel, of which the shim had built nothing."""
    assert shim_is_silent(frames, console) == silent


HALTED = ["vcpu0:", "Code (instr addr ffff82d040268787)", "90 fb f4 <80> a3", "vcpu1:", "90 fb f4 <80> a6"]
QUEUED = [
    "(XEN)     VCPU0: CPU0 [has=F] poll=0 upcall_pend=01 upcall_mask=01 ",
    "(XEN)     pause_count=0 pause_flags=0",
]


@pytest.mark.parametrize(
    ("frames", "console", "halted"),
    [
        ({"type": SHIM_TYPE, "killed": [""], "registers": HALTED}, QUEUED, True),
        ({"type": SHIM_TYPE, "registers": HALTED}, QUEUED, False),
        ({"type": [], "killed": [""], "registers": HALTED}, QUEUED, False),
        ({"type": SHIM_TYPE, "killed": [""], "registers": [*HALTED[:4], "90 0f 1f <80>"]}, QUEUED, False),
        ({"type": SHIM_TYPE, "killed": [""], "registers": HALTED}, [QUEUED[0], f"{QUEUED[1][:-1]}1"], False),
        ({"type": SHIM_TYPE, "killed": [""], "registers": []}, QUEUED, False),
    ],
)  # fmt: skip
def test_a_shim_that_halted_for_good(
    frames: dict[str, list[str]], console: list[str], halted: bool
) -> None:
    """With its guest in the queue of those to be run: the rig's failure, as the one above."""
    assert shim_has_halted(frames, console) == halted


def test_who_gets_interrupts_from_the_processor() -> None:
    assert in_svm({"type": ['                "type": "pvh",']})
    assert not in_svm({"type": SHIM_TYPE})
    assert not in_svm({"type": ['                "type": "pv",']})
    assert not in_svm({})
