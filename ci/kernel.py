# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a kernel's file is, found by looking at it before anything boots."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .util import ARCHITECTURES, UserError

MULTIBOOT = "a multiboot header"
MULTIBOOT2 = "a multiboot2 header"
PVH = "a PVH note"
XEN_PV = "the notes of a Xen PV kernel"
LINUX = "Linux's boot header"
"""What a kernel may have by which a loader starts it."""

MULTIBOOT_MAGIC = 0x1BADB002
MULTIBOOT_ADDRESSES = 1 << 16
"""Flag: the header says itself where the kernel is loaded (Multiboot Specification 0.6.96, 3.1.3)."""
MULTIBOOT2_MAGIC = 0xE85250D6
NOTE_LOADER, NOTE_PHYS32_ENTRY = "8", "18"
"""xen/include/public/elfnote.h"""
XLF_KERNEL_64 = 1
"""Documentation/arch/x86/boot.rst, xloadflags."""

MIB = 1 << 20
BESIDE = MIB - 508 * 1024
"""A library wants 1 MiB beside kernel and modules (runtime/loader.c). A PC has 636 KiB of it below the
kernel, less frame 0, and QEMU keeps 128 KiB at the end."""
_LIBRARY = re.compile(rb"vmi-library (\w+) [0-9a-f]{64}\0")
"""How a library says what it is (stubs.S)."""

_MACHINES = {"EM_386": ARCHITECTURES[0], "EM_X86_64": ARCHITECTURES[1]}
_UNLINKED = {"ET_REL": "an object that is not linked", "ET_CORE": "a core dump"}


@dataclass(frozen=True)
class Kernel:
    """A kernel's file."""

    path: Path
    architecture: str
    ways: frozenset[str]
    """MULTIBOOT, PVH …: by what it can be started."""
    addresses: bool = False
    """Whether its multiboot header has the kernel's addresses."""
    end: int = 0
    """Where it ends in memory, a guest physical address; 0 where the file does not say."""
    libraries: frozenset[str] = frozenset()
    """The libraries that are in it: one that it is linked with, or those that it binds itself to."""

    def least_memory(self, modules: Iterable[Path]) -> int:
        """The least MiB of memory with which it can run on a PC."""
        if not self.end:
            return 1
        page = 4096
        need = self.end + sum(-(-module.stat().st_size // page) * page for module in modules)
        return -(-(need + (BESIDE if self.libraries else 0)) // MIB)

    def check(self, starter: str, takes: Iterable[str]) -> None:
        """UserError if it has none of these ways to be started, by one who is called so."""
        takes = list(takes)
        if not self.ways & set(takes):
            has = ", ".join(sorted(self.ways)) or "nothing by which a loader starts it"
            raise UserError(
                f"kernel {self.path}: expected {' or '.join(takes)}, which {starter} starts; "
                f"the file has {has}{self._mend(starter)}", 2,
            )  # fmt: skip

    def _mend(self, starter: str) -> str:
        """How it gets what a loader wants, if it is a kernel of the SDK's or none of anybody's."""
        script = f"-Wl,-T,runtime/arch/{self.architecture}/kernel.ld"
        if self.ways:
            return f"; link it with the library for {starter}" if self.libraries else ""
        if self.libraries:
            return f"; it was linked without the library's linker script: add {script}"
        return f"; link it with libvmi-NAME.a and {script}, or give it a header of its own"


def is_linux(kernel: bytes) -> bool:
    """Whether a kernel is a bzImage of Linux (Documentation/arch/x86/boot.rst: `HdrS` at 0x202)."""
    return kernel[0x202:0x206] == b"HdrS"


def multiboot_flags(kernel: bytes) -> int | None:
    """The flags of a multiboot header, by which a PC's loaders (GRUB, QEMU) start a kernel; None if there is
    none. It is looked for in the first 8 KiB (Multiboot Specification 0.6.96, 3.1)."""
    head = kernel[:8192]
    for at in range(0, len(head) - 11, 4):
        magic, flags, checksum = struct.unpack_from("<3I", head, at)
        if magic == MULTIBOOT_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return int(flags)
    return None


def has_multiboot2(kernel: bytes) -> bool:
    """Whether there is a multiboot2 header for i386's entry, which is looked for in the first 32 KiB
    (Multiboot2 Specification 2.0, 3.1)."""
    head = kernel[:32768]
    for at in range(0, len(head) - 15, 8):
        magic, architecture, length, checksum = struct.unpack_from("<4I", head, at)
        if magic == MULTIBOOT2_MAGIC and (magic + architecture + length + checksum) & 0xFFFFFFFF == 0:
            return bool(architecture == 0)
    return False


def architecture(path: Path) -> str:
    """The processor that a kernel wants, by the first bytes of its file: an ELF file's class, or what a
    bzImage says (protocol at 0x206, xloadflags at 0x236); the first architecture's where nothing says it."""
    with open(path, "rb") as file:
        head = file.read(0x240)
    wide = head[:5] == b"\x7fELF\2"
    if is_linux(head) and int.from_bytes(head[0x206:0x208], "little") >= 0x20C:
        wide = bool(head[0x236] & XLF_KERNEL_64)
    return ARCHITECTURES[1 if wide else 0]


def look(path: Path) -> Kernel:
    """What a file is; UserError with status 2 if it is no kernel."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"kernel {path}: {error.strerror}", 2) from None
    flags = multiboot_flags(data)
    ways = {MULTIBOOT} if flags is not None else set()
    ways |= {MULTIBOOT2} if has_multiboot2(data) else set()
    if is_linux(data):
        return Kernel(path, architecture(path), frozenset({*ways, LINUX}))
    if data[:4] == b"\x7fELF":
        found, notes, end = _elf(path, data)
        ways |= notes
    elif flags is not None and flags & MULTIBOOT_ADDRESSES:
        found, end = ARCHITECTURES[0], 0  # any format: the header says where it goes
    else:
        raise UserError(f"kernel {path}: expected an ELF file or a bzImage of Linux, found {_other(data)}", 2)
    libraries = frozenset(name.decode() for name in _LIBRARY.findall(data))
    return Kernel(path, found, frozenset(ways), bool((flags or 0) & MULTIBOOT_ADDRESSES), end, libraries)


def _elf(path: Path, data: bytes) -> tuple[str, set[str], int]:
    """The architecture of an ELF file, the notes by which it is started, and where it ends in memory."""
    from elftools.elf.elffile import ELFFile
    from elftools.elf.segments import NoteSegment

    try:
        file = ELFFile(io.BytesIO(data))
        kind, machine, count = file["e_type"], file["e_machine"], file.num_segments()
        notes = {
            str(note["n_type"])
            for segment in file.iter_segments()
            if isinstance(segment, NoteSegment)
            for note in segment.iter_notes()
            if note["n_name"] == "Xen"
        }
        end = max((each["p_paddr"] + each["p_memsz"] for each in file.iter_segments("PT_LOAD")), default=0)
    except Exception:  # the file is anybody's: whatever the parser trips over, it is the file that is wrong
        raise UserError(f"kernel {path}: the ELF file is damaged or cut off", 2) from None
    if machine not in _MACHINES:
        name = str(machine).removeprefix("EM_")
        raise UserError(
            f"kernel {path}: expected an ELF file for {' or '.join(ARCHITECTURES)}, found one for {name}", 2
        )
    if kind in _UNLINKED or not count:
        what = _UNLINKED.get(kind, "one without anything to load")
        raise UserError(f"kernel {path}: expected a linked ELF file, found {what}", 2)
    ways = {PVH} if NOTE_PHYS32_ENTRY in notes else set()
    return _MACHINES[machine], ways | ({XEN_PV} if NOTE_LOADER in notes else set()), end


def _other(data: bytes) -> str:
    """What a file is that is neither."""
    if not data:
        return "an empty file"
    if data[:8] in (b"!<arch>\n", b"!<thin>\n"):
        return "an archive (link a kernel with it)"
    if data[:2] == b"\x1f\x8b":
        return "a compressed file (gzip)"
    try:
        data[:4096].decode()
    except UnicodeDecodeError as error:
        if error.start < len(data[:4096]) - 4:
            return f"other data (it begins with {data[:4].hex(' ')})"
    return "a text"
