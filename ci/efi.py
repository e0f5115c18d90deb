# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi efi`: a kernel as a program that UEFI firmware of an x86-64 PC starts by itself, without GRUB.

The program is ci/efi_loader.c, compiled for UEFI, with the kernel's file in a section of its own, unchanged.
It lies in a folder whose content is that of a FAT file system to start from; beside it is vmi.cfg, with the
command line and the modules.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .kernel import MULTIBOOT2, look
from .setup import FIRMWARE
from .util import BUILD, ROOT, UserError, progress

PROGRAM = Path("EFI/BOOT/BOOTX64.EFI")
"""Where firmware looks for one on a disk that it knows nothing of (UEFI 2.10, 3.5.1.1)."""
STARTER = "the loader for UEFI"
CONFIGURATION = "vmi.cfg"
MOST = 4095
"""Bytes of vmi.cfg."""
COMPILE = ("clang", "--target=x86_64-unknown-windows", "-std=gnu11", "-O2", "-ffreestanding", "-fshort-wchar",
           "-mno-red-zone", "-mgeneral-regs-only", "-fno-stack-protector", "-mno-stack-arg-probe",
           "-Wall", "-Wextra", "-Werror")  # fmt: skip
LINK = ("lld-link", "-subsystem:efi_application", "-entry:efi_main", "-nodefaultlib", "-timestamp:0")
SOURCES = ("efi_loader.c", "efi_loader.S")


def program(kernel: Path, output: Path) -> None:
    """Write the program that carries a kernel."""
    with tempfile.TemporaryDirectory(prefix="vmi-efi-") as folder:
        carried = Path(folder) / "kernel"
        shutil.copyfile(kernel, carried)  # a path of anybody's may have anything in it
        objects = []
        for source in SOURCES:
            objects.append(f"{folder}/{source}.o")
            command = [*COMPILE, f'-DKERNEL="{carried}"', "-c", str(ROOT / "ci" / source), "-o", objects[-1]]
            _run(command)
        _run([*LINK, f"-out:{output}", *objects])


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError(f"{command[0]}: not found; ./vmi setup installs it") from None
    if done.returncode:
        raise UserError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")


def configuration(append: str, modules: Sequence[tuple[Path, str]]) -> str:
    """What vmi.cfg says: the command line, then a line for each module."""
    text = "".join(f"{each}\n" for each in (append, *(
        f"module{number} {words}".rstrip() for number, (_, words) in enumerate(modules)
    )))  # fmt: skip
    if len(text.encode()) > MOST:
        raise UserError(f"the command line and the modules' have {len(text.encode())} bytes, of {MOST}", 2)
    return text


def lay_out(kernel: Path, append: str, modules: Sequence[tuple[Path, str]], folder: Path) -> None:
    """Make the folder, for a kernel that the loader starts."""
    look(kernel).check(STARTER, [MULTIBOOT2])
    text = configuration(append, modules)
    place = folder / PROGRAM
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        program(kernel, place)
        (place.parent / CONFIGURATION).write_text(text)
        for number, (path, _) in enumerate(modules):
            shutil.copyfile(path, place.parent / f"module{number}")
    except OSError as error:
        raise UserError(f"cannot write {error.filename or place}: {error.strerror}") from None


def efi(kernel: Path, append: str, modules: Sequence[tuple[Path, str]], output: Path | None) -> int:
    """Make the folder and say what to do with it."""
    folder = output or BUILD / f"{kernel.stem}.efi"
    lay_out(kernel, append, modules, folder)
    place = folder / PROGRAM
    carried = kernel.read_bytes()
    at = place.read_bytes().find(carried)
    if at < 0:
        raise UserError(f"{place}: the kernel in it is not the one of {kernel}")
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    progress(f"wrote {shown / PROGRAM}")
    digest = hashlib.sha256(carried).hexdigest()
    print(f"{kernel}: {len(carried)} bytes, sha256 {digest}")
    print(f"{shown / PROGRAM}: has it unchanged from byte {at} on")
    firmware, package = next(iter(FIRMWARE.items()))
    print(f"""\
  in QEMU:     qemu-system-x86_64 -m 256 -serial stdio -bios {firmware} \\
                   -drive format=raw,snapshot=on,file=fat:{shown}
               ({firmware}: Debian package {package})
  on a PC:     copy EFI to a stick's FAT file system, and boot it by UEFI without Secure Boot
  the command line is the first line of {PROGRAM.parent / CONFIGURATION}, each further one a module""")
    return 0
