# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A kernel as a program of UEFI's: carried unchanged, started after the firmware has been left."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from pathlib import Path

import pytest

from ci import ktap
from ci.build import bound_kernel, rom
from ci.console import text
from ci.efi import PROGRAM, configuration, efi
from ci.rig import QEMU_END
from ci.run import module
from ci.setup import FIRMWARE, provide
from ci.util import ARCHITECTURES, UserError, tied

from ..guests import places
from .screen import PICTURES, Monitor, note, photographed, shows

DEADLINE = 300


def boot(folder: Path, *options: str) -> tuple[int, str]:
    """QEMU's exit status and the console."""
    provide(FIRMWARE)
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", "pc,vmport=off", "-m", "256", "-smp", "2", "-nodefaults",
         "-no-user-config", "-display", "none", "-serial", "stdio", *QEMU_END, "-bios", *FIRMWARE,
         "-drive", f"format=raw,snapshot=on,file=fat:{folder}", *options],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=DEADLINE, check=False, preexec_fn=tied(),
    )  # fmt: skip
    return done.returncode, text(done.stdout)


def carried(folder: Path) -> bytes:
    """The program's section with the kernel in it, as binutils finds it."""
    done = subprocess.run(
        ["objcopy", "-O", "binary", "--only-section=.kernel", folder / PROGRAM, "/dev/stdout"],
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return done.stdout


# Named so that no rig is taken to be needed (tests/guests.py).
@pytest.mark.parametrize("arch", ARCHITECTURES, ids=lambda arch: f"uefi_{arch}")
def test_starts_without_a_loader(arch: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All checks pass, of a kernel that binds itself to what is in a module; what the console has is on the
    screen, in the framebuffer that the firmware has left."""
    kernel, provider = bound_kernel("sample", arch), places(arch)[0].backend
    assert efi(kernel, f"vmi.provider={provider}", [(rom(provider, arch), "")], tmp_path) == 0
    data = kernel.read_bytes()
    assert carried(tmp_path)[: len(data)] == data
    assert hashlib.sha256(data).hexdigest() in capsys.readouterr().out
    picture = PICTURES / f"uefi-{arch}.ppm"
    with contextlib.closing(Monitor()) as monitor:
        photographed(monitor, picture, DEADLINE)
        # The kernel switches the machine off, which stays until the picture is taken.
        status, console = boot(tmp_path, "-vga", "std", "-no-shutdown", *monitor.options)
    note("uefi", "qemu64", arch, status, console)
    report = ktap.parse(console)
    assert (report.failures(), status) == ([], 0), console
    assert report.binding["source"].startswith("module@0x")
    assert report.boot["protocol"] == "multiboot2"
    assert shows(picture, console) == []


def test_what_cannot_be_started(tmp_path: Path) -> None:
    """Is refused before anything is made."""
    with pytest.raises(UserError, match="which the loader for UEFI starts") as error:
        efi(Path("/bin/true"), "", [], tmp_path / "folder")
    assert error.value.status == 2
    with pytest.raises(UserError, match="no module"):
        module("absent")
    with pytest.raises(UserError, match="of 4095"):
        configuration("x" * 5000, [])
    assert not (tmp_path / "folder").exists()
