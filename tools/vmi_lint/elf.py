# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""An ELF file as the linter needs it: code, symbols and relocations, all at addresses that are unique.

An object that is not linked has all its sections at address 0. They are laid out one behind the other here,
by writing new values for the symbols into a copy of the file, so that relocations, debug information and
symbols all speak of the same addresses afterwards.
"""

from __future__ import annotations

import bisect
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from elftools.dwarf.callframe import FDE
from elftools.elf.constants import P_FLAGS, SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from .problems import InputError

MAGIC = b"\x7fELF"
_BITS = {"EM_386": 32, "EM_X86_64": 64}
_CODE = SH_FLAGS.SHF_EXECINSTR | SH_FLAGS.SHF_ALLOC
_BASE = 0x10000
"""Where the first section of an object is laid; no section is at 0, so that 0 is no address of code."""

# Relocation types by number (System V ABI, i386 and x86-64 supplements): value is S + A, and S + A - P.
_ABSOLUTE = {32: {1: 4, 9: 4}, 64: {1: 8, 10: 4, 11: 4}}
_RELATIVE = {32: {2: 4, 4: 4}, 64: {2: 4, 4: 4, 24: 8}}


@dataclass(frozen=True)
class Section:
    """A piece of code; `origin` is what addresses in it are counted from: its own where it is not linked."""

    name: str
    address: int
    data: bytes
    origin: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + len(self.data)


@dataclass(frozen=True)
class Symbol:
    """A symbol that lies in code; local ones of one object have the same `group`, global ones 0."""

    name: str
    kind: str
    address: int
    size: int
    group: int = 0


@dataclass(frozen=True)
class Relocation:
    """A place that the linker fills; `target` is None where the symbol is not code of this file."""

    address: int
    size: int
    relative: bool
    target: int | None
    table: tuple[int, int] | None
    """Section and offset of what is meant, where it is data of this file."""
    name: str = ""
    """The symbol's, where it is not in this file."""


@dataclass
class Image:
    """One object or executable."""

    name: str
    bits: int
    sections: list[Section]
    symbols: list[Symbol]
    relocations: list[Relocation]
    pointers: list[int]
    """Addresses of code that data points to."""
    tables: dict[int, dict[int, int]]
    """By data section: places of relative relocations, and the sum of symbol and addend there."""
    locals: dict[int, list[str]]
    """Names of all local symbols, also of data, by the group of those that are of one object."""
    entries: list[int]
    starts: list[tuple[int, int]]
    """Begin and end of functions, by unwind information."""
    relocatable: bool
    fixed: bool
    """Linked to run at its addresses: a number in the code may be one."""
    stripped: bool
    elf: Any
    _data: list[tuple[int, bytes]] = field(default_factory=list)

    def section(self, address: int) -> Section | None:
        """The code section that holds the address."""
        i = bisect.bisect_right(self.sections, address, key=lambda section: section.address) - 1
        if i >= 0 and address < self.sections[i].end:
            return self.sections[i]
        return None

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address of a linked file, as far as they are in it."""
        for start, data in self._data:
            if start <= address < start + len(data):
                return data[address - start : address - start + size]
        return b""


def load(name: str, data: bytes) -> Image:
    """Reads a file; `name` is what messages call it."""
    try:
        return _load(name, data)
    except InputError:
        raise
    except Exception as error:
        # The file is anybody's: whatever the parser trips over, it is the file that is wrong.
        what = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name}: the ELF file is damaged or cut off ({what[:100]})") from None


def _load(name: str, data: bytes) -> Image:
    elf = ELFFile(io.BytesIO(data))
    bits = _BITS.get(elf["e_machine"])
    if bits is None or not elf.little_endian:
        machine = str(elf["e_machine"]).removeprefix("EM_")
        raise InputError(f"{name}: for {machine}; expected i386 or x86-64")
    kind = elf["e_type"]
    if kind not in ("ET_REL", "ET_EXEC", "ET_DYN"):
        raise InputError(f"{name}: ELF of type {kind}; expected an object, an executable or a shared object")
    _check(name, elf, len(data))
    relocatable = kind == "ET_REL"
    if relocatable and _only_for_the_linker(elf):
        raise InputError(
            f"{name}: no machine code, only GCC's intermediate code (-flto); compile with -ffat-lto-objects, "
            "or lint the linked file"
        )
    sections: dict[int, Section] = {}
    address = _BASE
    for index, part in enumerate(elf.iter_sections()):
        code = part["sh_flags"] & _CODE == _CODE and part["sh_type"] == "SHT_PROGBITS" and part["sh_size"]
        # The linker's own stubs hold nothing of interest, and look like tables.
        if code and not part.name.startswith(".plt"):
            start = address if relocatable else part["sh_addr"]
            origin = start if relocatable else 0
            sections[index] = Section(part.name, start, part.data(), origin)
            address = -(-(start + part["sh_size"]) // 64) * 64 + 64
    if relocatable:
        elf = ELFFile(io.BytesIO(_laid_out(elf, data, {i: s.address for i, s in sections.items()})))
    elif not sections:
        sections = {
            -i: Section(f"segment {i}", part["p_vaddr"], part.data(), 0)
            for i, part in enumerate(elf.iter_segments(), 1)
            if part["p_type"] == "PT_LOAD" and part["p_flags"] & P_FLAGS.PF_X and part["p_filesz"]
        }
    image = Image(
        name=name,
        bits=bits,
        sections=sorted(sections.values(), key=lambda section: section.address),
        symbols=[],
        relocations=[],
        pointers=[],
        tables={},
        locals={},
        entries=[elf["e_entry"]] if elf["e_entry"] and not relocatable else [],
        starts=[],
        relocatable=relocatable,
        fixed=kind == "ET_EXEC",
        stripped=elf.get_section_by_name(".symtab") is None,
        elf=elf,
    )
    _read_symbols(image, elf, sections)
    _read_relocations(image, elf, sections)
    if not relocatable:
        image._data = [
            (part["p_vaddr"], part.data()) for part in elf.iter_segments() if part["p_type"] == "PT_LOAD"
        ]
        image.starts = list(_unwind(elf))
    return image


def _only_for_the_linker(elf: Any) -> bool:
    """Whether GCC has left all code for link time (GCC internals, "LTO file sections")."""
    later = False
    for part in elf.iter_sections():
        later |= part.name.startswith(".gnu.lto_")
        if part["sh_flags"] & _CODE == _CODE and part["sh_size"]:
            return False
    return later


def _check(name: str, elf: Any, size: int) -> None:
    """Everything the headers speak of lies in the file."""
    for part in elf.iter_sections():
        if part["sh_type"] not in ("SHT_NOBITS", "SHT_NULL") and part["sh_offset"] + part["sh_size"] > size:
            raise InputError(f"{name}: section {part.name or '?'} lies beyond the end of the file (cut off?)")
    for part in elf.iter_segments():
        if part["p_offset"] + part["p_filesz"] > size:
            raise InputError(f"{name}: a segment lies beyond the end of the file (cut off?)")


def _laid_out(elf: Any, data: bytes, addresses: dict[int, int]) -> bytes:
    """The file with the addresses of its code sections added to the values of symbols."""
    copy = bytearray(data)
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return data
    wide = elf.elfclass == 64
    at, form = (8, "<Q") if wide else (4, "<I")
    mask = (1 << (64 if wide else 32)) - 1
    for i, symbol in enumerate(table.iter_symbols()):
        base = addresses.get(symbol["st_shndx"])
        if base:
            place = table["sh_offset"] + i * table["sh_entsize"] + at
            struct.pack_into(form, copy, place, (symbol["st_value"] + base) & mask)
    return bytes(copy)


def _read_symbols(image: Image, elf: Any, sections: dict[int, Section]) -> None:
    kinds = {"STT_FUNC": "function", "STT_GNU_IFUNC": "function", "STT_LOOS": "function",
             "STT_OBJECT": "object", "STT_NOTYPE": "label"}  # fmt: skip
    found: set[Symbol] = set()
    for name in (".symtab", ".dynsym"):
        table = elf.get_section_by_name(name)
        group = 0
        for symbol in table.iter_symbols() if table else ():
            info = symbol["st_info"]
            group += info["type"] == "STT_FILE"
            if info["bind"] == "STB_LOCAL":
                image.locals.setdefault(group, []).append(symbol.name)
            kind = kinds.get(info["type"])
            section = sections.get(symbol["st_shndx"]) if isinstance(symbol["st_shndx"], int) else None
            if kind and section and symbol.name and section.address <= symbol["st_value"] < section.end:
                own = group if info["bind"] == "STB_LOCAL" else 0
                found.add(Symbol(symbol.name, kind, symbol["st_value"], symbol["st_size"], own))
    image.symbols = sorted(found, key=lambda s: (s.address, s.kind != "function", -s.size, s.name))


class _Symbols(dict[int, Any]):
    """Symbols of a table by number; relocations speak of the same ones again and again."""

    def __init__(self, table: Any) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, number: int) -> Any:
        symbol = self[number] = self._table.get_symbol(number)
        return symbol


def _read_relocations(image: Image, elf: Any, sections: dict[int, Section]) -> None:
    absolute, relative = _ABSOLUTE[image.bits], _RELATIVE[image.bits]
    for part in elf.iter_sections():
        if not isinstance(part, RelocationSection) or not part["sh_info"]:
            continue
        of = elf.get_section(part["sh_info"])
        code = sections.get(part["sh_info"])
        if not code and (not of["sh_flags"] & SH_FLAGS.SHF_ALLOC or of.name.startswith(".eh_frame")):
            continue
        symbols = _Symbols(elf.get_section(part["sh_link"]))
        content = of.data() if of["sh_type"] != "SHT_NOBITS" else b""
        # Addends that stand in the place are of sections that an object has at 0.
        start = code.address if code else 0 if image.relocatable else of["sh_addr"]
        shift = start if image.relocatable else 0
        for entry in part.iter_relocations():
            kind = entry["r_info_type"]
            size = absolute.get(kind) or relative.get(kind) or 4
            place = entry["r_offset"] + shift
            symbol = symbols[entry["r_info_sym"]] if entry["r_info_sym"] else None
            addend = entry["r_addend"] if entry.is_RELA() else _signed(content, place - start, size)
            target = None
            table = None
            known = kind in absolute or kind in relative
            if known and symbol is not None and isinstance(symbol["st_shndx"], int):
                value = symbol["st_value"] + addend
                if symbol["st_shndx"] in sections:
                    target = value
                else:
                    table = (symbol["st_shndx"], value)
            if code:
                name = (
                    symbol.name if known and symbol is not None and target is None and table is None else ""
                )
                image.relocations.append(Relocation(place, size, kind in relative, target, table, name))
            elif target is not None and kind in relative:
                image.tables.setdefault(part["sh_info"], {})[place] = target
            elif target is not None and kind in absolute:
                image.pointers.append(target)
    image.relocations.sort(key=lambda relocation: relocation.address)


def _signed(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little", signed=True)


def _unwind(elf: Any) -> Iterator[tuple[int, int]]:
    """Functions that the unwind tables know of, which stay when symbols are stripped."""
    if elf.get_section_by_name(".eh_frame") is None:
        return
    info = elf.get_dwarf_info(relocate_dwarf_sections=False)
    for entry in info.EH_CFI_entries() if info.has_EH_CFI() else ():
        if isinstance(entry, FDE) and entry.header["address_range"]:
            start = entry.header["initial_location"]
            yield start, start + entry.header["address_range"]
