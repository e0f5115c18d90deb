# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the Xen rig makes of what xl, the shim and the exception log say."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from ci.util import ROOT
from ci.witness import Hypercall


@pytest.fixture(scope="module")
def rig() -> ModuleType:
    spec = importlib.util.spec_from_file_location("xen_rig", ROOT / "backends/xen/rig.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHIM = ["(XEN) Bootloader: PVH Directboot", "(XEN) Freed 2048kB init memory", "hello"]
PANIC = ["(XEN) ", "(XEN) ****************", "(XEN) Panic on CPU 0:"]


@pytest.mark.parametrize(
    ("said", "killed", "console", "clean", "end"),
    [
        (["Domain 1 has shut down, reason code 0 0x0"], False, SHIM, True, "reason 0 (poweroff)"),
        (["Domain 1 has shut down, reason code 3 0x3"], False, SHIM, False, "reason 3 (crash)"),
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
def test_end_states(
    rig: ModuleType, said: list[str], killed: bool, console: list[str], clean: bool, end: str
) -> None:
    found, words, advice = rig.end_state(said, killed, console)
    assert found == clean
    assert words.endswith(end)
    assert bool(advice) != clean


def test_repetitions_by_xen_are_left_out(rig: ModuleType) -> None:
    def call(number: int, first: int, second: int) -> Hypercall:
        return Hypercall(number, (first, second, 0, 0, 0), 1, 0xE019, 0xC0100000, 0xC0200000, "0")

    update = call(1, 0xC0300000, 64)
    again = call(1, 0xC0300100, 32 | 1 << 31)
    lists = call(13, 0xC0300000, 10)
    rest = call(13, 0xC0300000 + 4 * 32, 6)
    assert rig.without_repetitions([update, again, lists, rest]) == [update, lists]
    # Another list, the same list again, another caller, another processor: all made by the guest.
    for other in (
        call(13, 0xC0400000, 6),
        lists,
        replace(rest, address=0xC0100010),
        replace(rest, stack=0xC0200010),
        replace(rest, processor="1"),
    ):
        assert rig.without_repetitions([lists, other]) == [lists, other]


def test_configuration_files_are_the_rigs_own(rig: ModuleType) -> None:
    """Each configuration of the figure has its .cfg, and the file leaves to the rig what it sets."""
    folder = ROOT / "backends/xen"
    for configuration in rig.BackendRig.configurations:
        text = (folder / f"{configuration.options['config']}.cfg").read_text()
        keys = [line.split("=")[0].strip() for line in text.splitlines() if "=" in line and line[0] != "#"]
        assert "type" in keys
        for key in ("name", "kernel", "cmdline", "vcpus", "memory"):
            assert key not in keys


def test_guest_arguments(rig: ModuleType, tmp_path: Path) -> None:
    from ci.rig import Guest

    words = rig.arguments(Guest(tmp_path / "k.elf", "x", append="a=b c", cpus=2), "/guests/k.elf", "guest")
    assert words == [
        'name="guest"', 'kernel="/guests/k.elf"', 'cmdline="a=b c"', "vcpus=2", "memory=64",
    ]  # fmt: skip
