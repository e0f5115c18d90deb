# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Stores that no instruction shows: to page tables, descriptor tables and the local APIC, found by type.

Debug information says where a function keeps its variables, and what they point to. From there types are
followed through loads, copies and additions, in straight lines; a store through a pointer, or to a global
variable, whose type or variable has one of the names below is a hint. It is no more than that: a table that
is not in use yet may be written directly.
"""

from __future__ import annotations

import argparse
import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import capstone
from elftools.dwarf.callframe import FDE
from elftools.dwarf.dwarf_expr import DWARFExprParser
from elftools.dwarf.locationlists import LocationExpr, LocationParser

from . import debug, decode
from .elf import Image, Relocation
from .newer import read as read_newer
from .rules import HINT, Rule, Rules
from .selector import family

MANY = 64 << 20
"""Bytes of debug information (`.debug_info`) above which stores are not looked for unasked."""

# By kind: the calls to use, names of types, names of variables; lower case, with shell wildcards. Names are
# those of Linux, Xen, the BSDs, and what small kernels call theirs.
KINDS = {
    "page-table": (
        ("SetPxE", "SetPxELong"),
        """
        pte_t pmd_t pud_t p4d_t pgd_t pteval_t pmdval_t pudval_t pgdval_t intpte_t l?_pgentry*
        pt_entry* pd_entry* pdp_entry* pdpt_entry* pml4_entry* pml5_entry* pte pde pdpe pdpte pml4e pml5e
        *_pte *_pde pte_* page_table* page_directory* page_dir* pagetable* pagedir* page_map_level*
        """,
        """
        page_table* page_director* page_dir* pagetable* *_pgd swapper_pg_dir *pml4* *pdpt* *_page_table
        *_page_dir
        """,
    ),
    "descriptor-table": (
        ("WriteGDTEntry", "WriteLDTEntry", "WriteIDTEntry"),
        """
        desc_struct gate_struct* gate_desc ldt_desc tss_desc seg_desc* segment_desc* gate_descriptor*
        segdesc system_segment_descriptor interrupt_gate* gdt_entry* idt_entry* ldt_entry* gdt_desc*
        idt_desc* ldt_desc* gdt_table* idt_table* idt_gate* descriptor_table_entry
        """,
        "gdt idt ldt *_gdt *_idt *_ldt gdt_table* idt_table* gdt_entries idt_entries",
    ),
    "local-apic": (
        ("APICWrite",),
        "*lapic* *local_apic* apic_reg* apic_page",
        "*lapic* *local_apic* apic_base apic_reg* apic_mmio apic",
    ),
}
# Operands of LGDT and LIDT, and variables that hold an address of a table: not tables.
_NOT = ("*_ptr", "*ptr_t", "*_pointer", "*gdtr*", "*idtr*", "*ldtr*", "desc_ptr")
_APIC = range(0xFEE00000, 0xFEE01000)
"""Where the local APIC is after reset (Intel SDM vol. 3A, section 11.4.1)."""

_REGISTERS = {
    32: ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di"),
    64: ("ax", "dx", "cx", "bx", "si", "di", "bp", "sp", *(f"r{n}" for n in range(8, 16))),
}
_CALLERS = {32: {"ax", "cx", "dx"}, 64: {"ax", "cx", "dx", "si", "di", "r8", "r9", "r10", "r11"}}
_QUALIFIERS = frozenset(
    f"DW_TAG_{kind}_type" for kind in ("const", "volatile", "restrict", "atomic")
) | {"DW_TAG_typedef"}  # fmt: skip
_RECORDS = frozenset(f"DW_TAG_{kind}_type" for kind in ("structure", "union", "class"))
_NAMED = frozenset(("DW_TAG_typedef", "DW_TAG_variable", *_RECORDS))


def of_option(text: str) -> tuple[str, str]:
    """`KIND=NAME` of the command line."""
    kind, _, name = text.partition("=")
    if kind not in KINDS or not name:
        raise argparse.ArgumentTypeError(f"'{text}'; expected KIND=NAME, KIND one of {', '.join(KINDS)}")
    return kind, name


def rule(kind: str, rules: Rules) -> Rule:
    """What there is to say of a store of some kind."""
    calls = tuple((call, rules.calls[call]) for call in KINDS[kind][0])
    name = f"store to {kind.replace('-', ' ')}"
    return Rule(
        name, HINT, "A store that a hypervisor must know of.", calls, None, "debug information (DWARF)"
    )


@dataclass(frozen=True)
class Store:
    """A store: `what` is the type's or variable's name that told."""

    address: int
    size: int
    kind: str
    what: str


@dataclass(frozen=True)
class _Pointer:
    """What a register holds: an address in something of a type; `variable` is by whose name it was found."""

    type: Any
    offset: int
    variable: str


@dataclass
class _Variable:
    """A variable of a function, and where it is: from and to which address in which register, or at which
    offset from a register or the canonical frame address."""

    name: str
    type: Any
    registers: list[tuple[int, int, str]]
    slots: list[tuple[int, int, str, int]]


class Names:
    """Which names matter."""

    def __init__(self, more: tuple[tuple[str, str], ...]) -> None:
        self._types = {kind: [*types.split(), *_of(kind, more)] for kind, (_, types, _) in KINDS.items()}
        self._variables = {kind: [*names.split(), *_of(kind, more)] for kind, (_, _, names) in KINDS.items()}
        self._known: dict[tuple[str, bool], str | None] = {}

    def kind(self, name: str, variable: bool) -> str | None:
        """The kind of table that a type or a variable is of."""
        if (name, variable) not in self._known:
            low = name.lower()
            patterns = self._variables if variable else self._types
            self._known[name, variable] = next(
                (kind for kind, of in patterns.items() if any(fnmatchcase(low, pattern) for pattern in of)),
                None,
            ) if low and not any(fnmatchcase(low, pattern) for pattern in _NOT) else None  # fmt: skip
        return self._known[name, variable]


def _of(kind: str, more: tuple[tuple[str, str], ...]) -> list[str]:
    return [name.lower() for of, name in more if of == kind]


def find(image: Image, names: Names) -> list[Store]:
    """The stores of one file. Debug information that is damaged is as good as none."""
    found: dict[int, Store] = {}
    try:
        if not image.elf.has_dwarf_info(strict=True):
            return []
        dwarf = image.elf.get_dwarf_info()
        globals_ = _Globals(image)
        frames = _Frames(dwarf, image.bits)
        for unit in dwarf.iter_CUs():
            entries = list(_entries(unit.get_top_DIE()))
            if any(
                names.kind(debug.name(entry), entry.tag == "DW_TAG_variable")
                for entry in entries
                if entry.tag in _NAMED
            ):
                globals_.enter(entries)
                reader = _Unit(image, dwarf, unit, names, globals_, frames)
                for entry in entries:
                    if entry.tag == "DW_TAG_subprogram":
                        found |= {store.address: store for store in reader.function(entry)}
    except Exception:  # pyelftools raises whatever its parsing trips over
        return list(found.values())
    return list(found.values())


def _entries(top: Any) -> Iterator[Any]:
    """Entries of a unit that are not inside a function."""
    for entry in top.iter_children():
        yield entry
        if entry.tag in ("DW_TAG_namespace", *_RECORDS):
            yield from (each for each in _entries(entry) if each.tag in ("DW_TAG_subprogram", *_NAMED))


class _Frames:
    """Canonical frame addresses, from the tables for debuggers or those for unwinding."""

    def __init__(self, dwarf: Any, bits: int) -> None:
        self._names = _REGISTERS[bits]
        entries = dwarf.CFI_entries() if dwarf.has_CFI() else []
        entries += dwarf.EH_CFI_entries() if dwarf.has_EH_CFI() else []
        self._entries = {entry["initial_location"]: entry for entry in entries if isinstance(entry, FDE)}
        self._starts = sorted(self._entries)
        self._decoded: dict[int, list[tuple[int, str, int]]] = {}

    def at(self, address: int) -> tuple[str, int]:
        """Register and offset; the frame pointer, as compilers have it, where no table tells."""
        i = bisect.bisect_right(self._starts, address) - 1
        start = self._starts[i] if i >= 0 else 0
        if i < 0 or address >= start + self._entries[start]["address_range"]:
            return "bp", 16 if len(self._names) > 8 else 8
        if start not in self._decoded:
            self._decoded[start] = [
                (line["pc"], self._names[line["cfa"].reg], line["cfa"].offset)
                for line in self._entries[start].get_decoded().table
                if line["cfa"].reg is not None and line["cfa"].reg < len(self._names)
            ]
        lines = self._decoded[start]
        found = bisect.bisect_right(lines, address, key=lambda line: line[0]) - 1
        return lines[found][1:] if found >= 0 else ("", 0)


class _Globals:
    """Global variables by address: in an object that is not linked, by section and offset."""

    def __init__(self, image: Image) -> None:
        table = image.elf.get_section_by_name(".symtab")
        found = sorted(
            (
                symbol["st_shndx"] if image.relocatable else 0,
                symbol["st_value"],
                symbol["st_size"],
                symbol.name,
            )
            for symbol in (table.iter_symbols() if table else ())
            if symbol["st_info"]["type"] == "STT_OBJECT" and isinstance(symbol["st_shndx"], int)
        )
        self._places = [(section, value) for section, value, _, _ in found]
        self._objects = found
        self._types: dict[str, Any] = {}

    def enter(self, entries: list[Any]) -> None:
        """Takes the types of a unit's variables; of names that are not unique, the last unit's count."""
        for entry in entries:
            if entry.tag == "DW_TAG_variable":
                self._types[debug.name(entry)] = _type_of(entry)

    def by_name(self, name: str) -> _Pointer:
        """The variable of a name. Of what is only declared, clang does not tell the type."""
        return _Pointer(self._types.get(name), 0, name)

    def at(self, section: int, value: int) -> _Pointer | None:
        """The variable that holds a place."""
        i = bisect.bisect_right(self._places, (section, value)) - 1
        if i < 0:
            return None
        where, start, size, name = self._objects[i]
        if where != section or value >= start + max(size, 1):
            return None
        return _Pointer(self._types.get(name), value - start, name)


class _Unit:
    """Reads the functions of one unit."""

    def __init__(
        self, image: Image, dwarf: Any, unit: Any, names: Names, globals_: _Globals, frames: _Frames
    ) -> None:
        self._image = image
        self._dwarf = dwarf
        self._unit = unit
        self._names = names
        self._globals = globals_
        self._frames = frames
        self._decoder = decode.decoder(image.bits)
        self._decoder.detail = True
        self._expressions = DWARFExprParser(unit.structs)
        self._locations = LocationParser(dwarf.location_lists())
        self._relocations = {relocation.address: relocation for relocation in image.relocations}
        base = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        self._base = base.value if base else 0

    def function(self, entry: Any) -> Iterator[Store]:
        """Stores of a function."""
        for start, end in debug.ranges(self._dwarf, self._unit, entry):
            if end > start and self._image.section(start):
                yield from self._walk(start, end, list(self._variables(entry, start, end)))

    def _variables(self, entry: Any, start: int, end: int) -> Iterator[_Variable]:
        for child in entry.iter_children():
            if child.tag in ("DW_TAG_variable", "DW_TAG_formal_parameter"):
                kind = _type_of(child)
                if kind is not None and "DW_AT_location" in child.attributes:
                    variable = _Variable(debug.name(child), kind, [], [])
                    self._place_of(variable, child, start, end)
                    yield variable
            elif child.tag in ("DW_TAG_lexical_block", "DW_TAG_inlined_subroutine"):
                yield from self._variables(child, start, end)

    def _place_of(self, variable: _Variable, entry: Any, start: int, end: int) -> None:
        """Notes where a variable is."""
        attribute = entry.attributes["DW_AT_location"]
        location: Any = self._locations.parse_from_attribute(attribute, self._unit["version"], entry)
        base = self._base
        parts = [(start, end, location.loc_expr)] if isinstance(location, LocationExpr) else []
        for item in () if parts else location:
            if hasattr(item, "base_address"):
                base = item.base_address
            elif hasattr(item, "loc_expr"):
                shift = 0 if getattr(item, "is_absolute", False) else base
                parts.append((item.begin_offset + shift, item.end_offset + shift, item.loc_expr))
        for begin, behind, expression in parts:
            operation = self._single(expression)
            if operation is None:
                continue
            register = self._register(operation)
            if register:
                variable.registers.append((begin, behind, register))
            elif operation.op_name == "DW_OP_fbreg":
                variable.slots.append((begin, behind, self._frame(entry), operation.args[0]))

    def _single(self, expression: Any) -> Any:
        operations = self._expressions.parse_expr(expression)
        return operations[0] if len(operations) == 1 else None

    def _register(self, operation: Any) -> str:
        number = operation.op - 0x50
        known = _REGISTERS[self._image.bits]
        return known[number] if operation.op_name.startswith("DW_OP_reg") and number < len(known) else ""

    def _frame(self, entry: Any) -> str:
        """What the frame's offsets are counted from: a register, or "" for the canonical frame address."""
        while entry is not None and entry.tag != "DW_TAG_subprogram":
            entry = entry.get_parent()
        base = entry.attributes.get("DW_AT_frame_base") if entry else None
        operation = self._single(base.value) if base else None
        return self._register(operation) if operation else ""

    def _walk(self, start: int, end: int, variables: list[_Variable]) -> Iterator[Store]:
        """Goes through the instructions in a row."""
        section = self._image.section(start)
        assert section
        holds: dict[str, _Pointer | int] = {}
        instructions = list(self._instructions(section.data, section.address, start, min(end, section.end)))
        targets = {
            operand.imm
            for instruction in instructions
            if instruction.group(capstone.CS_GRP_JUMP)
            for operand in instruction.operands
            if operand.type == capstone.x86.X86_OP_IMM
        }
        for instruction in instructions:
            at = instruction.address
            if at in targets:
                holds.clear()
            for variable in variables:
                pointed = _pointed(variable.type)
                for begin, behind, register in variable.registers:
                    if begin <= at < behind and pointed is not None:
                        holds[register] = _Pointer(pointed, 0, variable.name)
            kind = self._store(instruction, holds, variables)
            if kind:
                yield Store(at, instruction.size, *kind)
            self._step(instruction, holds, variables)

    def _instructions(self, data: bytes, base: int, start: int, end: int) -> Iterator[Any]:
        at = start
        while at < end:
            for instruction in self._decoder.disasm(data[at - base : end - base], at):
                yield instruction
                at = instruction.address + instruction.size
            other = read_newer(data[at - base : end - base], self._image.bits) if at < end else None
            if other is None:
                return
            at += other.size

    def _store(
        self, instruction: Any, holds: dict[str, _Pointer | int], variables: list[_Variable]
    ) -> tuple[str, str] | None:
        """Kind and name, if the instruction stores to a table."""
        for operand in instruction.operands:
            if operand.type != capstone.x86.X86_OP_MEM or not operand.access & capstone.CS_AC_WRITE:
                continue
            place = self._place(instruction, operand.mem, holds)
            if isinstance(place, int):
                return ("local-apic", f"{place:#x}") if place in _APIC else None
            if place is None:
                continue
            passed, leaf = _at(place.type, place.offset)
            if leaf is not None and leaf.tag == "DW_TAG_pointer_type":
                continue
            for name in passed:
                kind = self._names.kind(name, False)
                if kind:
                    return kind, name
            kind = self._names.kind(place.variable, True)
            # Without a type it may be the pointer itself that is stored; the local APIC is reached by
            # pointers.
            if kind and not (place.type is None and kind == "local-apic"):
                return kind, place.variable
        return None

    def _place(
        self, instruction: Any, memory: Any, holds: dict[str, _Pointer | int]
    ) -> _Pointer | int | None:
        """What a memory operand is a place of."""
        base, index = (
            family(instruction.reg_name(register) or "") for register in (memory.base, memory.index)
        )
        relocation = self._relocations.get(instruction.address + instruction.disp_offset)
        if relocation and instruction.disp_offset:
            return self._of_relocation(relocation, instruction)
        if base == "ip":
            return self._globals.at(0, instruction.address + instruction.size + memory.disp)
        for register in (base, index if memory.scale == 1 else ""):
            held = holds.get(register)
            if isinstance(held, _Pointer):
                return _Pointer(held.type, held.offset + memory.disp, held.variable)
            if isinstance(held, int):
                return held + int(memory.disp)
        if not base or base not in holds:
            mask = (1 << self._image.bits) - 1
            known = self._globals.at(0, memory.disp & mask) if self._image.fixed else None
            return known or ((memory.disp & mask) if not base and not index else None)
        return None

    def _of_relocation(self, relocation: Relocation, instruction: Any) -> _Pointer | None:
        if relocation.name:
            return self._globals.by_name(relocation.name)
        if relocation.table is None:
            return None
        section, value = relocation.table
        behind = instruction.address + instruction.size - relocation.address if relocation.relative else 0
        return self._globals.at(section if self._image.relocatable else 0, value + behind)

    def _step(self, instruction: Any, holds: dict[str, _Pointer | int], variables: list[_Variable]) -> None:
        """Changes what registers hold."""
        made: _Pointer | int | None = None
        operands = instruction.operands
        to = ""
        if len(operands) >= 2 and operands[0].type == capstone.x86.X86_OP_REG:
            to = family(instruction.reg_name(operands[0].reg))
            made = self._value(instruction, operands, to, holds, variables)
        if instruction.group(capstone.CS_GRP_CALL):
            for register in _CALLERS[self._image.bits]:
                holds.pop(register, None)
        for register in instruction.regs_access()[1]:
            holds.pop(family(instruction.reg_name(register)), None)
        if made is not None:
            holds[to] = made

    def _value(
        self,
        instruction: Any,
        operands: Any,
        to: str,
        holds: dict[str, _Pointer | int],
        variables: list[_Variable],
    ) -> _Pointer | int | None:
        """What the first operand holds afterwards."""
        source = operands[1]
        word = instruction.mnemonic
        if word == "lea":
            return self._place(instruction, source.mem, holds)
        if source.type == capstone.x86.X86_OP_MEM:
            return self._loaded(instruction, source.mem, holds, variables) if word == "mov" else None
        if source.type == capstone.x86.X86_OP_REG:
            other = holds.get(family(instruction.reg_name(source.reg)))
            if word == "mov":
                return other
            held = holds.get(to)
            return (held if isinstance(held, _Pointer) else other) if word == "add" else None
        if word in ("mov", "movabs"):
            relocation = self._relocations.get(instruction.address + instruction.imm_offset)
            if relocation:
                return self._of_relocation(relocation, instruction)
            number = source.imm & ((1 << self._image.bits) - 1)
            return (self._globals.at(0, number) if self._image.fixed else None) or number
        held = holds.get(to)
        if word == "add" and isinstance(held, _Pointer):
            return _Pointer(held.type, held.offset + source.imm, held.variable)
        return held + source.imm if word == "add" and isinstance(held, int) else None

    def _loaded(
        self, instruction: Any, memory: Any, holds: dict[str, _Pointer | int], variables: list[_Variable]
    ) -> _Pointer | None:
        """What is loaded, where it is a pointer: a variable in the frame, or part of something known."""
        at = instruction.address
        base = family(instruction.reg_name(memory.base) or "")
        frame, above = self._frames.at(at) if base in ("sp", "bp") and not memory.index else ("", 0)
        for variable in variables if frame else ():
            for begin, behind, register, offset in variable.slots:
                slot = (register, offset) if register else (frame, above + offset)
                if begin <= at < behind and slot == (base, memory.disp):
                    target = _pointed(variable.type)
                    return _Pointer(target, 0, variable.name) if target is not None else None
        place = self._place(instruction, memory, holds)
        if not isinstance(place, _Pointer):
            return None
        _, leaf = _at(place.type, place.offset)
        target = _pointed(leaf) if leaf is not None else None
        return _Pointer(target, 0, place.variable) if target is not None else None


def _type_of(entry: Any) -> Any:
    """The entry of something's type, which may stand where it is declared; None for void."""
    for _ in range(8):
        if "DW_AT_type" in entry.attributes:
            return entry.get_DIE_from_attribute("DW_AT_type")
        for attribute in ("DW_AT_abstract_origin", "DW_AT_specification"):
            if attribute in entry.attributes:
                entry = entry.get_DIE_from_attribute(attribute)
                break
        else:
            return None
    return None


def _pointed(kind: Any) -> Any:
    """What a pointer points to; None for what is no pointer."""
    for _ in range(32):
        if kind is None or kind.tag not in _QUALIFIERS:
            break
        kind = _type_of(kind)
    return _type_of(kind) if kind is not None and kind.tag == "DW_TAG_pointer_type" else None


def _at(kind: Any, offset: int) -> tuple[list[str], Any]:
    """Names of the types that hold what is at an offset, and the innermost of those types."""
    passed = []
    for _ in range(32):
        if kind is None:
            break
        if kind.tag in _QUALIFIERS:
            if kind.tag == "DW_TAG_typedef":
                passed.append(debug.name(kind))
            kind = _type_of(kind)
        elif kind.tag == "DW_TAG_array_type":
            element = _type_of(kind)
            size = _size(element)
            offset = offset % size if size else 0
            kind = element
        elif kind.tag in _RECORDS:
            if "DW_AT_name" in kind.attributes:
                passed.append(debug.name(kind))
            offset %= _size(kind) or 1
            member = _member(kind, offset)
            if member is None:
                break
            kind, start = member
            offset -= start
        else:
            break
    return passed, kind


def _member(kind: Any, offset: int) -> tuple[Any, int] | None:
    for child in kind.iter_children():
        if child.tag == "DW_TAG_member":
            place = child.attributes.get("DW_AT_data_member_location")
            start = place.value if place and isinstance(place.value, int) else 0
            target = _type_of(child)
            if start <= offset < start + max(_size(target), 1):
                return target, start
    return None


def _size(kind: Any) -> int:
    """Bytes of a type, 0 if that is not known."""
    for _ in range(32):
        if kind is None:
            return 0
        if "DW_AT_byte_size" in kind.attributes:
            return int(kind.attributes["DW_AT_byte_size"].value)
        if kind.tag == "DW_TAG_pointer_type":
            return int(kind.cu["address_size"])
        if kind.tag == "DW_TAG_array_type":
            count = 1
            for child in kind.iter_children():
                upper = child.attributes.get("DW_AT_upper_bound")
                number = child.attributes.get("DW_AT_count")
                count *= number.value if number else upper.value + 1 if upper else 0
            return count * _size(_type_of(kind))
        kind = _type_of(kind) if kind.tag in _QUALIFIERS else None
    return 0
