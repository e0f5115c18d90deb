# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The sample kernels by GRUB's older way of loading one; test_iso.py has the newer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci import ktap
from ci.build import kernels
from ci.iso import OWN, START, image, loader
from ci.kernel import look
from ci.rig import DEBUG_EXIT, QEMU_END
from ci.util import ARCHITECTURES, tied

from ..guests import places

PASSED = 0x10 << 1 | 1


# Named so that no rig is taken to be needed (tests/guests.py).
@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"grub_{arch}")
def test_grub_loads_it(tmp_path: Path, arch: str) -> None:
    kernel = kernels("sample", arch)[places(arch)[0].backend]
    assert loader(look(kernel)) == "multiboot2"
    start = START.format(command="multiboot", kernel=OWN, options=f" checks=boot {DEBUG_EXIT}")
    disc = tmp_path / "disc.iso"
    disc.write_bytes(image(f"{start}boot\n", 0, {OWN: kernel}))
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", "pc,vmport=off", "-m", "64", "-smp", "2", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", *QEMU_END, "-cdrom", disc],
        stdout=subprocess.PIPE, text=True, errors="replace", timeout=240, check=False, preexec_fn=tied(),
    )  # fmt: skip
    report = ktap.parse(done.stdout)
    assert report.failures() == []
    assert report.result["pass"] > 0
    assert report.boot["protocol"] == "multiboot"
    assert done.returncode == PASSED
