# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Dumps of domains as Xen's toolstack writes them (`xl dump-core`): memory by the domain's own frames, and a
context of each VCPU. A dump is not trusted.

Sources: Xen 4.17, docs/misc/dump-core-format.txt (sections, notes); public headers elfnote.h
(XEN_ELFNOTE_DUMPCORE_*), arch-x86/xen.h and xen-x86_64.h (struct vcpu_guest_context, of which a 64-bit
toolstack writes that for 64 bits).
"""

from __future__ import annotations

import itertools
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path

from .elf_core import CR0_PG, PAGE, Cpu, Dump, Piece, notes, opened
from .util import UserError

NOTES, CONTEXTS, PAGES = ".note.Xen", ".xen_prstatus", ".xen_pages"
FRAMES, TRANSLATED = ".xen_pfn", ".xen_p2m"
"""What frame a page is: of the domain, or of the domain and of the machine."""
HEADER, HEADER_WORDS = 0x2000001, 4
"""Type of the note that says what there is: magic, VCPUs, pages, size of a page."""
PV, HVM = 0xF00FEBED, 0xF00FEBEE
"""Magic of a domain whose page tables have the machine's frames, and of one whose tables have its own."""
NO_FRAME = (1 << 64) - 1
"""In place of a frame that was gone when it was read."""
FRAME_BITS = 40

_SECTION = struct.Struct("<2I4Q2I2Q")
_CONTEXT = struct.Struct("<512xQ 15Q II Q HxxB3x 2Q 5Q 4096x 2Q 16QQ 2Q 8Q 8Q 3Q Q 3Q")
_GENERAL = ("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
            "rdi")  # fmt: skip
_LAYOUT = (
    "flags", *_GENERAL, "error_code", "entry_vector", "rip", "cs", "masked", "rflags", "rsp", "ss", "es",
    "ds", "fs", "gs", "ldt_base", "ldt_entries", *(f"gdt{n}" for n in range(16)), "gdt_entries", "kernel_ss",
    "kernel_sp", *(f"cr{n}" for n in range(8)), *(f"dr{n}" for n in range(8)), "event", "failsafe",
    "syscall", "vm_assist", "fs_base", "gs_base_kernel", "gs_base_user",
)  # fmt: skip
_IN_KERNEL = 1 << 2
"""VGCF_in_kernel, of `flags`."""


def _sections(data: bytes | mmap.mmap, path: Path) -> dict[str, tuple[int, int]]:
    """Place and size of each section of an ELF file for 64 bits, by name; none of another file."""
    if bytes(data[:5]) != b"\x7fELF\2" or len(data) < 64:
        return {}
    (at,) = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<3H", data, 58)
    headers = []
    for number in range(count):
        try:
            headers.append(_SECTION.unpack_from(data, at + size * number))
        except (struct.error, OverflowError):
            raise UserError(f"{path}: the dump is cut off", 2) from None
    if not names < count:
        return {}
    place, length = headers[names][4:6]
    strings = bytes(data[place : place + min(length, PAGE)])
    return {
        strings[header[0] :].partition(b"\0")[0].decode("ascii", "replace"): header[4:6] for header in headers
    }


def _cpu(context: bytes, pv: bool) -> Cpu:
    values = dict(zip(_LAYOUT, _CONTEXT.unpack(context), strict=True))
    for name in ("ss", "es", "ds", "fs", "gs"):
        values[name] &= 0xFFFF
    in_kernel = not pv or values["flags"] & _IN_KERNEL
    values["gs_base"] = values["gs_base_kernel" if in_kernel else "gs_base_user"]
    if pv:
        values["cr0"] |= CR0_PG
    return Cpu(values)


def _pieces(frames: Sequence[int], at: int, path: Path) -> list[Piece]:
    """Of pages that follow each other in the dump, and whose frames do."""
    found: list[Piece] = []
    for number, frame in enumerate(frames):
        if frame == NO_FRAME:
            continue
        if frame >> FRAME_BITS:
            raise UserError(f"{path}: the dump is damaged: page {number} is frame {frame:#x}", 2)
        last = found[-1] if found else None
        offset = at + number * PAGE
        if last and (last.address + last.size, last.offset + last.size) == (frame * PAGE, offset):
            found[-1] = Piece(last.address, last.size + PAGE, last.offset)
        else:
            found.append(Piece(frame * PAGE, PAGE, offset))
    found.sort(key=lambda piece: piece.address)
    for before, after in itertools.pairwise(found):
        if before.address + before.size > after.address:
            raise UserError(
                f"{path}: the dump is damaged: frame {after.address // PAGE:#x} is there twice", 2
            )
    return found


def is_xen(path: Path) -> bool:
    """Whether a file is a dump of the toolstack's: what QEMU writes has no sections, or none of that name."""
    return NOTES in _sections(opened(path), path)


def read(path: Path) -> Dump:
    """A dump of `xl dump-core`."""
    data = opened(path)
    sections = _sections(data, path)

    def section(name: str) -> tuple[int, int]:
        """Place and size of one that must be there, whole."""
        if name not in sections:
            raise UserError(f"{path}: expected a dump of xl's, with a section {name}; found none", 2)
        at, size = sections[name]
        if at + size > len(data):
            raise UserError(f"{path}: the dump is cut off", 2)
        return at, size

    def place(name: str, expected: int) -> int:
        """Where one is that must have so many bytes."""
        at, size = section(name)
        if size != expected:
            raise UserError(f"{path}: the dump is damaged: {name} has {size} bytes, expected {expected}", 2)
        return at

    at, size = section(NOTES)
    said = [
        struct.unpack_from(f"<{HEADER_WORDS}Q", content)
        for name, kind, content in notes(bytes(data[at : at + size]))
        if (name, kind) == ("Xen", HEADER) and len(content) >= 8 * HEADER_WORDS
    ]
    if len(said) != 1 or said[0][0] not in (PV, HVM) or said[0][3] != PAGE or not all(said[0]):
        raise UserError(f"{path}: the dump is damaged: no note says what is in it", 2)
    magic, count, pages, _ = said[0]
    pv = magic == PV
    contexts = place(CONTEXTS, count * _CONTEXT.size)
    memory = place(PAGES, pages * PAGE)
    words_of_page = 2 if pv else 1
    table = place(TRANSLATED if pv else FRAMES, 8 * pages * words_of_page)
    words = struct.unpack_from(f"<{pages * words_of_page}Q", data, table)
    frames = words[::words_of_page]
    cpus = [
        _cpu(bytes(data[at : at + _CONTEXT.size]), pv)
        for at in range(contexts, contexts + count * _CONTEXT.size, _CONTEXT.size)
    ]
    pieces = _pieces(frames, memory, path)
    if not pv:
        return Dump(data, pieces, cpus)
    own = {of: frame for frame, of in zip(frames, words[1::2], strict=True) if frame != NO_FRAME}
    return Dump(data, pieces, cpus, own)
