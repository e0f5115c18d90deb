# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Core files of guests: what a hypervisor has written of a guest's memory and CPUs becomes one ELF core as
debuggers read it, with the addresses that the kernel uses. The page tables of each CPU are walked here; a
dump is not trusted.

Sources: System V ABI, "Object Files" and "Program Loading"; Linux 6.1, include/linux/elfcore.h and
arch/x86/include/asm/elf.h (NT_PRSTATUS); Intel SDM vol. 3A, chapter 4 (paging); QEMU 7.2, docs of
`dump-guest-memory` and target/i386/arch_dump.c (its notes).
"""

from __future__ import annotations

import bisect
import mmap
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .util import ARCHITECTURES, UserError

PAGE = 4096
ET_CORE, PT_LOAD, PT_NOTE, NT_PRSTATUS = 4, 1, 4, 1
MACHINES = {ARCHITECTURES[0]: (1, 3), ARCHITECTURES[1]: (2, 62)}
"""ELF's class and e_machine."""
PRESENT, LARGE = 1, 1 << 7
ADDRESS = 0x000F_FFFF_FFFF_F000
CR0_PG, CR4_PSE, CR4_PAE, CR4_LA57 = 1 << 31, 1 << 4, 1 << 5, 1 << 12
RANGES_MAX = 60000
"""An ELF header counts to 65,535."""
LEAVES_MAX = 1 << 22
"""Of the tables of one CPU; more are no kernel's."""

REGISTERS = {
    ARCHITECTURES[0]: (
        "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rax", "ds", "es", "fs", "gs", "orig", "rip", "cs",
        "rflags", "rsp", "ss",
    ),
    ARCHITECTURES[1]: (
        "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
        "rdi", "orig", "rip", "cs", "rflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
    ),
}  # fmt: skip
"""In the order of NT_PRSTATUS; `orig` is of system calls, and none is under way."""
CONTROL = ("cr0", "cr2", "cr3", "cr4")
NOTE_CONTROL = 0x564D4901
"""Type of the notes `VMI`, one for each CPU: its control registers as 64-bit numbers, in this order."""


@dataclass(frozen=True)
class Cpu:
    """One CPU's registers, by name; control registers too."""

    registers: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.registers.get(name, 0)


@dataclass(frozen=True)
class Piece:
    """A range of memory: where it is for the guest, and where in the dump."""

    address: int
    size: int
    offset: int


@dataclass
class Dump:
    """What a hypervisor has written."""

    data: bytes | mmap.mmap
    pieces: Sequence[Piece]
    """By guest-physical addresses, in their order."""
    cpus: Sequence[Cpu]
    frames: Mapping[int, int] | None = None
    """The guest's frames by the machine's, where its page tables have those."""

    def own(self, address: int) -> int:
        """Where what page tables have at an address is for the guest; -1 if it is not the guest's."""
        if self.frames is None:
            return address
        return self.frames.get(address // PAGE, -1) * PAGE + address % PAGE

    def find(self, address: int, size: int) -> int:
        """The place of guest-physical memory in the dump, -1 if it is not all there."""
        for piece in self.pieces:
            if piece.address <= address and address + size <= piece.address + piece.size:
                return piece.offset + address - piece.address
        return -1

    def read(self, address: int, size: int) -> bytes:
        """Guest-physical memory, nothing if it is not all there."""
        offset = self.find(address, size)
        return b"" if offset < 0 else bytes(self.data[offset : offset + size])


@dataclass(frozen=True)
class Range:
    """Linear addresses and what they are mapped to."""

    linear: int
    physical: int
    size: int


# QEMU's dumps


_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt")
_QEMU_STATE = struct.Struct("<2I18Q" + "4IQ" * len(_SEGMENTS) + "5QQ")
_QEMU_GENERAL = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags",
)  # fmt: skip


def _qemu_cpu(state: bytes) -> Cpu:
    words = _QEMU_STATE.unpack_from(state)
    registers = dict(zip(_QEMU_GENERAL, words[2:20], strict=True))
    for number, name in enumerate(_SEGMENTS):
        registers[name], _, _, _, registers[f"{name}_base"] = words[20 + 5 * number : 25 + 5 * number]
    rest = words[20 + 5 * len(_SEGMENTS) :]
    registers |= {f"cr{number}": value for number, value in enumerate(rest[:5])}
    return Cpu(registers)


def notes(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Name, type and content of each note of ELF's, as far as they go."""
    at = 0
    while at + 12 <= len(data):
        name_size, size, kind = struct.unpack_from("<3I", data, at)
        name = data[at + 12 : at + 12 + name_size].rstrip(b"\0").decode("ascii", "replace")
        at += 12 + (name_size + 3) // 4 * 4
        yield name, kind, data[at : at + size]
        at += (size + 3) // 4 * 4


def _headers(data: bytes | mmap.mmap, path: Path) -> Iterator[tuple[int, int, int, int]]:
    """Kind, offset, physical address and size in the file of each program header."""
    if bytes(data[:4]) != b"\x7fELF" or len(data) < 64 or data[4] not in (1, 2):
        raise UserError(f"{path}: expected a core file, an ELF file; found something else", 2)
    if data[4] == 2:
        at, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<2H", data, 54)
    else:
        at, size, count = *struct.unpack_from("<I", data, 28), *struct.unpack_from("<2H", data, 42)
    for number in range(count):
        try:
            if data[4] == 2:
                kind, _, offset, _, physical, length = struct.unpack_from("<2I4Q", data, at + size * number)
            else:
                kind, offset, _, physical, length = struct.unpack_from("<5I", data, at + size * number)
        except (struct.error, OverflowError):
            raise UserError(f"{path}: the core file is cut off", 2) from None
        if offset + length > len(data):
            raise UserError(f"{path}: the core file is cut off", 2)
        yield kind, offset, physical, length


def opened(path: Path) -> mmap.mmap:
    """A file's content."""
    with open(path, "rb") as file:
        if not path.stat().st_size:
            raise UserError(f"{path}: expected a core file, found an empty file", 2)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_qemu(path: Path, alone: bool = False) -> Dump:
    """A dump of QEMU's `dump-guest-memory` without paging; or one of memory `alone`, without CPUs."""
    data = opened(path)
    pieces, cpus = [], []
    for kind, offset, physical, length in _headers(data, path):
        if kind == PT_LOAD and length:
            pieces.append(Piece(physical, length, offset))
        elif kind == PT_NOTE:
            for name, _, state in notes(bytes(data[offset : offset + length])):
                if name == "QEMU" and len(state) >= _QEMU_STATE.size:
                    cpus.append(_qemu_cpu(state))
    if not pieces or not (cpus or alone):
        expected = "of a guest's memory" if alone else "of QEMU's, with CPUs and memory"
        raise UserError(f"{path}: expected a dump {expected}; found none", 2)
    return Dump(data, sorted(pieces, key=lambda piece: piece.address), cpus)


# Page tables


def _levels(cpu: Cpu, arch: str) -> tuple[int, tuple[int, ...]]:
    """Bytes of an entry, and the lowest address bit that each level translates, the root's first."""
    if arch == ARCHITECTURES[1]:
        return 8, ((48, 39, 30, 21, 12) if cpu["cr4"] & CR4_LA57 else (39, 30, 21, 12))
    return (8, (30, 21, 12)) if cpu["cr4"] & CR4_PAE else (4, (22, 12))


def _bits(arch: str, width: int, shifts: Sequence[int], level: int) -> int:
    """How many bits of an address a level translates."""
    if level == 0 and arch == ARCHITECTURES[0]:
        return 32 - shifts[0]
    return 9 if width == 8 else 10


def _is_leaf(entry: int, cpu: Cpu, shifts: Sequence[int], level: int, arch: str) -> bool:
    shift = shifts[level]
    if shift == 12:
        return True
    large = (shift == 22 and bool(cpu["cr4"] & CR4_PSE)) or shift == 21 or (
        shift == 30 and arch == ARCHITECTURES[1])  # fmt: skip
    return large and bool(entry & LARGE)


def leaves(dump: Dump, cpu: Cpu, arch: str) -> Iterator[Range]:
    """Each mapping of a CPU's page tables, in the order of addresses."""
    if not cpu["cr0"] & CR0_PG:
        yield from (Range(piece.address, piece.address, piece.size) for piece in dump.pieces)
        return
    width, shifts = _levels(cpu, arch)
    wide = arch == ARCHITECTURES[1]

    def walk(table: int, level: int, linear: int) -> Iterator[Range]:
        bits = _bits(arch, width, shifts, level)
        data = dump.read(dump.own(table), width << bits)
        entries = struct.unpack(f"<{1 << bits}{'Q' if width == 8 else 'I'}", data) if data else ()
        for number, entry in enumerate(entries):
            if not entry & PRESENT:
                continue
            here = linear | number << shifts[level]
            if wide and level == 0 and number >> bits - 1:
                here |= -1 << shifts[0] + bits  # addresses are sign-extended
            size = 1 << shifts[level]
            if _is_leaf(entry, cpu, shifts, level, arch):
                physical = dump.own(entry & ADDRESS & -size)
                if physical >= 0:
                    yield Range(here & (1 << 64) - 1, physical, size)
            else:
                yield from walk(entry & ADDRESS, level + 1, here)

    root = cpu["cr3"] & (ADDRESS if width == 4 or wide else 0xFFFF_FFE0)
    yield from walk(root, 0, 0)


def ranges(dump: Dump, arch: str) -> list[Range]:
    """What the CPUs see of the memory that is in the dump, in the order of addresses. Where they see
    different memory the first one's is it."""
    taken: list[Range] = []
    tables: dict[tuple[int, int], Cpu] = {}
    for cpu in dump.cpus:
        tables.setdefault((cpu["cr0"] & CR0_PG, cpu["cr3"]), cpu)
    for table in tables.values():
        merged: list[Range] = []
        for count, leaf in enumerate(leaves(dump, table, arch)):
            if count == LEAVES_MAX:
                raise UserError("the guest's page tables are none: they map more than a kernel would")
            last = merged[-1] if merged else None
            if last and (last.linear + last.size, last.physical + last.size) == (leaf.linear, leaf.physical):
                merged[-1] = Range(last.linear, last.physical, last.size + leaf.size)
            else:
                merged.append(leaf)
        new = [part for each in merged for there in _there(dump, each) for part in _besides(there, taken)]
        taken = sorted([*taken, *new], key=lambda each: each.linear)
    return taken


def _besides(part: Range, taken: Sequence[Range]) -> Iterator[Range]:
    """The parts of a range that none of others covers, which are in order."""
    at, end = part.linear, part.linear + part.size
    first = bisect.bisect_right(taken, at, key=lambda each: each.linear)
    for other in taken[max(first - 1, 0) :]:
        if other.linear >= end:
            break
        if other.linear > at:
            yield Range(at, part.physical + at - part.linear, other.linear - at)
        at = max(at, other.linear + other.size)
    if at < end:
        yield Range(at, part.physical + at - part.linear, end - at)


def _there(dump: Dump, mapped: Range) -> Iterator[Range]:
    """The parts of a range whose memory is in the dump."""
    for piece in dump.pieces:
        first = max(piece.address, mapped.physical)
        last = min(piece.address + piece.size, mapped.physical + mapped.size)
        if first < last:
            yield Range(mapped.linear + first - mapped.physical, first, last - first)


# Core files


def _note(name: bytes, kind: int, data: bytes) -> bytes:
    padded = name + b"\0" * (-len(name) % 4)
    return struct.pack("<3I", len(name), len(data), kind) + padded + data + b"\0" * (-len(data) % 4)


def _prstatus(cpu: Cpu, number: int, arch: str) -> bytes:
    values = [cpu[name] for name in REGISTERS[arch]]
    if arch == ARCHITECTURES[1]:
        head = struct.pack("<3IHxx2Q4i", 0, 0, 0, 0, 0, 0, number + 1, 0, 0, 0) + bytes(64)
        return head + struct.pack(f"<{len(values)}Q", *values) + bytes(8)
    head = struct.pack("<3IHxx2I4i", 0, 0, 0, 0, 0, 0, number + 1, 0, 0, 0) + bytes(32)
    return head + struct.pack(f"<{len(values)}I", *(value & 0xFFFF_FFFF for value in values)) + bytes(4)


def write(dump: Dump, arch: str, path: Path) -> None:
    """The core file: a thread for each CPU, whose number is the CPU's and one; memory by linear addresses."""
    elf_class, machine = MACHINES[arch]
    found = ranges(dump, arch)
    if len(found) > RANGES_MAX:
        raise UserError(f"the guest's memory is in {len(found)} ranges; a core file has {RANGES_MAX} at most")
    notes = b"".join(
        _note(b"CORE\0", NT_PRSTATUS, _prstatus(cpu, number, arch))
        + _note(b"VMI\0", NOTE_CONTROL, struct.pack("<4Q", *(cpu[name] for name in CONTROL)))
        for number, cpu in enumerate(dump.cpus)
    )
    header, entry = (64, 56) if elf_class == 2 else (52, 32)
    at = header + entry * (1 + len(found))
    memory = at + len(notes) + -(at + len(notes)) % PAGE
    places: dict[int, int] = {}
    for piece in dump.pieces:
        places[piece.address] = memory
        memory += piece.size + -piece.size % PAGE
    if elf_class == 1 and memory >= 1 << 32:
        raise UserError("a core file for 32 bits ends at 4 GiB; give the guest less memory", 2)

    def offset(physical: int) -> int:
        piece = next(p for p in dump.pieces if p.address <= physical < p.address + p.size)
        return places[piece.address] + physical - piece.address

    ident = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    layout = "<2HI3QI6H" if elf_class == 2 else "<2HI3II6H"
    with open(path, "wb") as file:
        file.write(ident)
        file.write(
            struct.pack(layout, ET_CORE, machine, 1, 0, header, 0, 0, header, entry, 1 + len(found), 0, 0, 0)
        )

        def program(kind: int, where: int, linear: int, physical: int, size: int, flags: int) -> None:
            if elf_class == 2:
                file.write(struct.pack("<2I6Q", kind, flags, where, linear, physical, size, size, 1))
            else:
                # Physical addresses above 4 GiB, which PAE has, are not for 32 bits to say.
                short = physical & 0xFFFF_FFFF
                file.write(struct.pack("<8I", kind, where, linear, short, size, size, flags, 1))

        program(PT_NOTE, at, 0, 0, len(notes), 4)
        for each in found:
            program(PT_LOAD, offset(each.physical), each.linear, each.physical, each.size, 7)
        file.write(notes)
        for piece in dump.pieces:
            file.seek(places[piece.address])
            end = piece.offset + piece.size
            for start in range(piece.offset, end, 1 << 20):
                file.write(dump.data[start : min(end, start + (1 << 20))])
