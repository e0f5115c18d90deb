# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A kernel that a PC's own firmware starts, in place of QEMU's loader (`./vmi run --firmware`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import machines
from ci.build import bound_kernel, kernels, rom
from ci.firmware import WAYS
from ci.kernel import look
from ci.util import ARCHITECTURES, UserError

from ..guests import Run, places

I386, X86_64 = ARCHITECTURES
DEADLINE = 300.0


# Named so that no rig is taken to be needed (tests/guests.py).
@pytest.mark.parametrize(
    ("way", "arch"), [("bios", I386), ("uefi", X86_64), ("uefi-grub", I386)], ids=lambda value: f"by_{value}"
)
def test_command_line_and_module(way: str, arch: str, run: Run) -> None:
    """Reach the kernel, the module whole: it binds itself to what is in it. Each way starts kernels of both
    architectures in test_iso.py and test_efi.py."""
    place = places(arch)[0]
    outcome, report = run(
        place, f"checks=boot vmi.provider={place.backend}", bound_kernel("sample", arch), firmware=way,
        modules=[(rom(place.backend, arch), "")], memory_mib=WAYS[way].memory_mib, deadline=DEADLINE,
    )  # fmt: skip
    cpu = "qemu64" if WAYS[way].uefi else "qemu32"
    machines.note("pc", cpu, WAYS[way].name, arch, machines.judged(outcome))
    assert (report.failures(), outcome.clean) == ([], True), outcome.end
    assert report.boot["protocol"] == "multiboot2"
    assert report.binding["source"].startswith("module@0x")


@pytest.mark.parametrize(
    ("way", "words", "said"),
    [
        ("bios", {"append": "quiet='yes'"}, "not for GRUB's command line"),
        ("uefi-grub", {"memory_mib": 64}, "--memory 64: this firmware needs at least 128 MiB"),
        ("uefi", {"append": "x" * 5000}, "of 4095"),
    ],
)
def test_what_cannot_be_started(way: str, words: dict[str, object], said: str) -> None:
    """Is refused before anything is made."""
    given = {"append": "", "modules": (), "memory_mib": 256} | words
    kernel = look(kernels("sample", I386)[places(I386)[0].backend])
    with pytest.raises(UserError, match=said) as error:
        WAYS[way].check(kernel, **given)  # type: ignore[arg-type]
    assert error.value.status == 2


def test_linux_has_no_modules_by_grub(tmp_path: Path) -> None:
    linux = tmp_path / "bzImage"
    linux.write_bytes(bytes(0x202) + b"HdrS" + bytes(100))
    WAYS["bios"].check(look(linux), "quiet", [(linux, "")], 64)
    with pytest.raises(UserError, match="Linux takes one initial RAM disk"):
        WAYS["bios"].check(look(linux), "quiet", [(linux, ""), (linux, "")], 64)
    with pytest.raises(UserError, match="which the loader for UEFI starts"):
        WAYS["uefi"].check(look(linux), "quiet", [], 256)
