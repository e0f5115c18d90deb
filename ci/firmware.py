# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""How a PC's own firmware starts a kernel, in place of QEMU's loader: from a disc as `./vmi iso` makes it, or
as a program as `./vmi efi` makes it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .efi import STARTER, configuration, lay_out
from .iso import COMMANDS, epoch, own_disc, own_menu
from .kernel import MULTIBOOT2, Kernel, look
from .setup import FIRMWARE, provide
from .util import UserError, write_if_changed

Modules = Sequence[tuple[Path, str]]
GRUB = "GRUB on a PC"
OWN_LINES = re.compile(r"BdsDxe: |Welcome to GRUB!$|error: no suitable video mode found\.$")
"""What OVMF and GRUB write on the serial port before the kernel does; a machine without a screen has no mode
that GRUB could set."""


@dataclass(frozen=True)
class Firmware:
    """Firmware of a PC, and what it starts a kernel from."""

    name: str
    """In the matrix of machines (ci/machines.py)."""
    starter: str
    """Who starts the kernel then, in words."""
    takes: tuple[str, ...]
    """By what (ci/kernel.py)."""
    uefi: bool
    memory_mib: int
    """What a guest has of memory where nothing else is said."""
    least_mib: int
    """With less the firmware does not come up."""

    def check(self, kernel: Kernel, append: str, modules: Modules, memory_mib: int) -> None:
        """UserError with status 2 for a guest that cannot be started so."""
        kernel.check(self.starter, self.takes)
        if memory_mib < self.least_mib:
            raise UserError(f"--memory {memory_mib}: this firmware needs at least {self.least_mib} MiB", 2)
        if self.starter == GRUB:
            own_menu([kernel], append, [words for _, words in modules], ask=False)
        else:
            configuration(append, modules)

    def place(self, name: Path) -> Path:
        """Where what it starts from is, for a guest whose files have this name."""
        return name.with_name(f"{name.name}.{'iso' if self.starter == GRUB else 'efi'}")

    def make(self, kernel: Path, append: str, modules: Modules, place: Path) -> tuple[str, ...]:
        """Make what it starts from; QEMU's arguments for both."""
        if self.uefi:
            provide(FIRMWARE)
        name = str(place.absolute()).replace(",", ",,")
        if self.starter == GRUB:
            write_if_changed(place, own_disc([look(kernel)], append, epoch(), modules, ask=False))
            drive, device = f"media=cdrom,readonly=on,file={name}", "ide-cd"
        else:
            lay_out(kernel, append, modules, place)
            drive, device = f"snapshot=on,file=fat:{name}", "ide-hd"
        # Whatever disks the guest has: this one is started from.
        return (*(("-bios", *FIRMWARE) if self.uefi else ()),
                "-drive", f"if=none,id=medium,format=raw,{drive}",
                "-device", f"{device},drive=medium,bootindex=0")  # fmt: skip


WAYS = {
    "bios": Firmware("SeaBIOS, GRUB", GRUB, tuple(COMMANDS), False, 64, 16),
    "uefi": Firmware("OVMF", STARTER, (MULTIBOOT2,), True, 256, 128),
    "uefi-grub": Firmware("OVMF, GRUB", GRUB, tuple(COMMANDS), True, 256, 128),
}


def remove(place: Path) -> None:
    """Remove what was made for a guest."""
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
