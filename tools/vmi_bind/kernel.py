# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A linked kernel as binding needs it: its code, its call sites, its entry points and its library."""

from __future__ import annotations

import bisect
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.constants import P_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from .problems import InputError, Refused

SITES = ".vmi.sites"
LIBRARY = "vmi__library"
"""The symbol by which a library says what it is (stubs.S)."""
SLOTS = "vmi__slots"
"""A symbol that only kernels have which bind themselves when they start."""
ARCHITECTURES = {"EM_386": "i386", "EM_X86_64": "x86_64"}
RECORD = {"i386": struct.Struct("<IHBB"), "x86_64": struct.Struct("<iHHBxxx")}
"""A record of a call site, as vmi/vmi.h makes it."""


@dataclass(frozen=True)
class Site:
    """A call site's record."""

    address: int
    ordinal: int
    length: int


@dataclass(frozen=True)
class Function:
    """A function's name and place."""

    address: int
    name: str


@dataclass
class Kernel:
    """A kernel's file."""

    path: Path
    mode: int
    """Permissions of the file."""
    data: bytes
    arch: str
    code_offset: int
    """Where the code lies in the file."""
    code_size: int
    code_address: int
    sites_address: int
    records: bytes
    sites: list[Site]
    symbols: dict[str, int]
    functions: list[Function]
    library: bytes
    """What its library says of itself."""

    def name_of(self, address: int) -> str:
        """An address as function and distance."""
        index = bisect.bisect_right(self.functions, address, key=lambda function: function.address)
        if not index:
            return "?"
        function = self.functions[index - 1]
        return f"{function.name}+{address - function.address:#x}"


def read(path: Path) -> Kernel:
    """A kernel's file. InputError if it is none; Refused if it is none that can be bound."""
    data = path.read_bytes()
    mode = path.stat().st_mode & 0o777
    if data[:4] != b"\x7fELF":
        raise InputError(f"{path}: expected a linked kernel, an ELF file, found something else")
    try:
        return _read(path, mode, data, ELFFile(io.BytesIO(data)))
    except InputError:
        raise
    except (ELFError, struct.error, KeyError, ValueError, IndexError, AssertionError, TypeError) as error:
        raise InputError(f"{path}: the ELF file is broken: {error or type(error).__name__}") from None


def _read(path: Path, mode: int, data: bytes, elf: Any) -> Kernel:
    arch = ARCHITECTURES.get(elf["e_machine"])
    if arch is None:
        raise InputError(f"{path}: expected a kernel for i386 or x86-64, found one for {elf['e_machine']}")
    if elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
        raise InputError(f"{path}: expected a linked kernel, found {elf['e_type']}; link it first")
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise Refused("it has no symbols; bind it before it is stripped")
    symbols: dict[str, int] = {}
    functions = []
    sizes: dict[str, int] = {}
    for symbol in table.iter_symbols():
        if symbol["st_shndx"] == "SHN_UNDEF":
            continue
        if symbol["st_info"]["bind"] != "STB_LOCAL":
            symbols[symbol.name] = symbol["st_value"]
            sizes[symbol.name] = symbol["st_size"]
        if symbol["st_info"]["type"] == "STT_FUNC":
            functions.append(Function(symbol["st_value"], symbol.name))
    if SLOTS in symbols:
        raise Refused("it binds itself when it starts: it is linked with `any`; link it with one library")
    if LIBRARY not in symbols:
        raise Refused("it says of no VMI library that it is linked with it; link it with one of this SDK")
    section = elf.get_section_by_name(SITES)
    records = section.data() if section else b""
    form = RECORD[arch]
    if not records:
        raise Refused(f"it has no records of call sites; keep {SITES} in its linker script")
    if len(records) % form.size:
        raise Refused(f"{SITES} has {len(records)} bytes, which are no whole number of records")
    sites_address = section["sh_addr"]
    sites = []
    for number, fields in enumerate(form.iter_unpack(records)):
        if arch == "i386":
            sites.append(Site(fields[0], fields[1], fields[2]))
        else:
            where = sites_address + number * form.size + fields[0]
            sites.append(Site(where & (1 << 64) - 1, fields[1], fields[3]))
    code = _code(elf, sites[0].address)
    _check_relocations(elf, sites)
    functions.sort(key=lambda function: (function.address, function.name))
    library = _bytes_at(elf, data, symbols[LIBRARY], sizes[LIBRARY]).rstrip(b"\0")
    return Kernel(
        path, mode, data, arch, code["p_offset"], code["p_filesz"], code["p_vaddr"], sites_address, records,
        sites, symbols, functions, library,
    )  # fmt: skip


def _code(elf: Any, address: int) -> Any:
    """The segment of code that has an address."""
    for segment in elf.iter_segments("PT_LOAD"):
        start, size = segment["p_vaddr"], segment["p_filesz"]
        if segment["p_flags"] & P_FLAGS.PF_X and start <= address < start + size:
            if segment["p_offset"] + size > elf.stream_len:
                raise Refused("its code is not in the file; it is cut short")
            return segment
    raise Refused(f"its first call site, at {address:#x}, is outside its code")


def _check_relocations(elf: Any, sites: list[Site]) -> None:
    """Whoever relocates the file later must not write into what a site becomes."""
    starts = sorted((site.address, site.length) for site in sites)
    for section in elf.iter_sections():
        if not isinstance(section, RelocationSection):
            continue
        for relocation in section.iter_relocations():
            place = relocation["r_offset"]
            index = bisect.bisect_right(starts, (place + 3, 256)) - 1
            if index >= 0 and place < starts[index][0] + starts[index][1]:
                raise Refused(
                    f"it keeps a relocation of its call site at {starts[index][0]:#x} ({section.name}); "
                    "link it without --emit-relocs"
                )


def _bytes_at(elf: Any, data: bytes, address: int, size: int) -> bytes:
    for segment in elf.iter_segments("PT_LOAD"):
        offset = address - segment["p_vaddr"]
        if 0 <= offset <= segment["p_filesz"] - size:
            return data[segment["p_offset"] + offset : segment["p_offset"] + offset + size]
    raise Refused("what its library says of itself is not in the file")
