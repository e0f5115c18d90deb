# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Tells code from data, and finds the sensitive instructions in the code.

Code is followed from where it is known to begin: functions of the symbol table and of the unwind tables, the
entry point, targets of branches and jump tables. Where something only may be code (labels without a type,
addresses in data, what lies inside a function and was not reached) it is decoded on trial first, and left out
if it does not look like code. Bytes that remain are told by their number: nothing is decoded blindly.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import capstone

from . import decode
from .elf import Image, Relocation, Section, Symbol

_START, _INSIDE, _DATA, _PADDING = 1, 2, 3, 4
_INSTRUCTION = [bytes((_START, *([_INSIDE] * (size - 1)))) for size in range(16)]
_BATCH = 24
"""Instructions decoded at a time: some more than a basic block has."""
_LONGEST = 15
_TRIAL = 200
"""Instructions after which a trial is content."""
_BACK = 12
"""Instructions before an indirect jump among which its table is looked for."""

_ENDS = frozenset(
    "ret retf retfq jmp ljmp iret iretd iretq sysexit sysexitq sysret sysretq rsm ud2".split()  # noqa: SIM905
)
# Where a function ends with one of these, what follows it is not reached.
_MAY_END = frozenset(("call", "lcall", "hlt", "int", "int3"))
_FILLERS = frozenset(("nop", "int3"))
# Instructions that compilers do not use and hand-written kernels hardly; texts and tables are full of them.
_ODD = frozenset(
    """
    aaa aad aam aas arpl bound daa das enter icebp int1 into lds les salc xlatb insb insd insw outsb outsd
    outsw fisttp
    """.split()  # noqa: SIM905
)
_NUMBER = re.compile(r"0x[0-9a-f]+")
_ABSOLUTE = re.compile(r"\[(?:[a-z]s:)?(?:(?:e|r)[a-z0-9]+\*[48] \+ )?(0x[0-9a-f]+)\]")
_TABLE = re.compile(r"\[(?:[a-z]s:)?(?:e|r)[a-z0-9]+\*([48]) \+ (0x[0-9a-f]+)\]")
_SAME_ADDRESS = re.compile(r"\[(?:[a-z]s:)?(\w+)(?: \+ (?:eiz|riz)(?:\*1)?)?(?: \+ (?:0x)?0)?\]")
_RELATIVE = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+)\]")


@dataclass(frozen=True)
class Hit:
    """A sensitive instruction."""

    address: int
    size: int
    name: str


@dataclass(frozen=True)
class Gap:
    """Bytes of a code section that could not be told from data."""

    address: int
    size: int


@dataclass
class Function:
    """A range that a symbol or an unwind entry gives; `sized` if the end is told and not guessed."""

    start: int
    end: int
    sized: bool


def _words(mnemonic: str) -> str:
    """The mnemonic without prefixes."""
    return mnemonic.rpartition(" ")[2]


class Walk:
    """Follows the code of one image."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.hits: dict[int, Hit] = {}
        self._decoder: capstone.Cs = decode.decoder(image.bits)
        self._marks = {section.address: bytearray(len(section.data)) for section in image.sections}
        self._relocations = [relocation.address for relocation in image.relocations]
        self._functions = self._bounds()
        self._starts = [function.start for function in self._functions]
        self._maybe: set[int] = set()
        self._read: set[int] = set()
        self._tried: set[int] = set()
        self._taken: set[int] = set()
        self._pending: list[tuple[Function, int, Relocation | None, int]] = []
        self._data_starts = {
            (relocation.table[0], relocation.table[1] + 4)
            for relocation in image.relocations
            if relocation.table and relocation.relative
        }

    def run(self) -> None:
        """Finds everything."""
        for symbol, end in self._extents("object"):
            # A label of data at the end of some may be where a function begins.
            if symbol.size or not any(s.kind == "function" for s in self._symbols_at(symbol.address)):
                self._mark(symbol.address, end - symbol.address, _DATA)
        pointers = [at for at in self.image.pointers if self._function(at)]
        self._follow([*self._starts, *self.image.entries, *pointers])
        self._try()
        for section in self.image.sections:
            self._fill(section)
        self._try()

    def _try(self) -> None:
        """Follows what looks like code on trial, and what that leads to; what code reads as data is none."""
        while new := [address for address in self._candidates() if address not in self._tried]:
            self._tried.update(new)
            for address in new:
                if self._unknown(address) and address not in self._read and self._plausible(address):
                    self._follow([address])

    def gaps(self) -> Iterator[Gap]:
        """What was not decoded, is no padding, and is not known to be data."""
        for section in self.image.sections:
            marks = self._marks[section.address]
            at = marks.find(0)
            while at >= 0:
                end = at
                while end < len(marks) and not marks[end]:
                    end += 1
                at = self._skip_fillers(section, at, end)
                if at < end:
                    yield Gap(section.address + at, end - at)
                at = marks.find(0, end)

    def decoded(self) -> int:
        """Bytes that are code."""
        return sum(len(marks) - marks.count(0) - marks.count(_DATA) - marks.count(_PADDING)
                   for marks in self._marks.values())  # fmt: skip

    # What is known beforehand

    def _extents(self, kind: str) -> Iterator[tuple[Symbol, int]]:
        """Symbols of a kind with their ends: by size, else where the next symbol is."""
        symbols = self.image.symbols
        for i, symbol in enumerate(symbols):
            if symbol.kind != kind:
                continue
            section = self.image.section(symbol.address)
            assert section
            end = symbol.address + symbol.size
            if not symbol.size:
                end = next((s.address for s in symbols[i + 1 :] if s.address > symbol.address), section.end)
            yield symbol, min(end, section.end)

    def _bounds(self) -> list[Function]:
        found: dict[int, Function] = {}
        for symbol, end in self._extents("function"):
            known = found.get(symbol.address)
            if known is None or (symbol.size and end > known.end):
                found[symbol.address] = Function(symbol.address, end, bool(symbol.size))
        for start, end in self.image.starts:
            if start not in found and self.image.section(start):
                found[start] = Function(start, end, True)
        return [found[start] for start in sorted(found)]

    def _function(self, address: int) -> Function | None:
        i = bisect.bisect_right(self._starts, address) - 1
        if i >= 0 and address < self._functions[i].end:
            return self._functions[i]
        return None

    def _candidates(self) -> list[int]:
        """What may be code, more likely ones first."""
        labels = [symbol.address for symbol in self.image.symbols if symbol.kind == "label"]
        sections = [section.address for section in self.image.sections]
        relative = [
            target
            for index, entries in self.image.tables.items()
            if not self.image.elf.get_section(index).name.startswith(".rodata")
            for target in entries.values()
        ]
        return [*sections, *labels, *sorted({*self.image.pointers, *relative, *self._maybe})]

    # Marks

    def _mark(self, address: int, size: int, mark: int) -> None:
        section = self.image.section(address)
        if section:
            marks = self._marks[section.address]
            start = address - section.address
            end = min(start + size, len(marks))
            marks[start:end] = bytes([mark]) * (end - start)

    def _mark_of(self, address: int) -> int | None:
        section = self.image.section(address)
        return self._marks[section.address][address - section.address] if section else None

    def _unknown(self, address: int) -> bool:
        return self._mark_of(address) == 0

    def _relocation(self, address: int, size: int) -> Relocation | None:
        """The first relocation inside an instruction."""
        i = bisect.bisect_left(self._relocations, address)
        if i < len(self._relocations) and self._relocations[i] < address + size:
            return self.image.relocations[i]
        return None

    def _last_relocation(self, address: int, size: int) -> Relocation | None:
        """The last relocation inside an instruction: an immediate comes behind everything else."""
        i = bisect.bisect_left(self._relocations, address + size) - 1
        if i >= 0 and self._relocations[i] >= address:
            return self.image.relocations[i]
        return None

    # Following code

    def _follow(self, seeds: list[int]) -> None:
        """Decodes what is reached from the seeds."""
        waiting = sorted(set(seeds), reverse=True)
        while waiting or self._pending:
            if not waiting:
                waiting = self._relative_tables()
                continue
            address = waiting.pop()
            section = self.image.section(address)
            if section:
                self._block(section, address, waiting)

    def _instructions(self, section: Section, address: int) -> Iterator[tuple[int, int, str, str]]:
        """Address, size, mnemonic and operands, until the end of the section or what is no instruction."""
        while address < section.end:
            start = address - section.address
            batch = section.data[start : start + _BATCH * _LONGEST]
            begin = address
            for at, size, mnemonic, operands in self._decoder.disasm_lite(batch, address, _BATCH):
                if section.address + len(section.data) < at + size:
                    return
                yield at, size, mnemonic, operands
                address = at + size
            if address == begin:
                return

    def _block(self, section: Section, start: int, waiting: list[int]) -> None:
        """Decodes until the flow ends or is known already."""
        marks = self._marks[section.address]
        base = section.address
        function = self._function(start)
        end = function.end if function and function.sized else section.end
        loaded: list[tuple[int, Relocation | None]] = []
        previous = ""
        for at, size, mnemonic, operands in self._instructions(section, start):
            mark = marks[at - base]
            if mark in (_START, _DATA) or (at >= end and previous in _MAY_END):
                return
            relocation = self._relocation(at, size) if self._relocations else None
            if relocation and relocation.address == at:
                # An address instead of an instruction: a table.
                return
            marks[at - base : at - base + size] = _INSTRUCTION[size]
            word = _words(mnemonic)
            name = decode.name(word, operands)
            if name:
                self.hits[at] = Hit(at, size, name)
            if _is_branch(word):
                if self._branch(at, size, word, operands, relocation, loaded, waiting):
                    return
            elif "[" in operands:
                self._memory(at, size, operands, relocation, loaded)
            if relocation or self.image.fixed:
                self._immediate(at, size, operands)
            if word in _ENDS:
                return
            previous = word

    def _branch(
        self,
        at: int,
        size: int,
        word: str,
        operands: str,
        relocation: Relocation | None,
        loaded: list[tuple[int, Relocation | None]],
        waiting: list[int],
    ) -> bool:
        """Follows a branch; says whether what comes behind it is a text that a call steps over."""
        if "[" in operands:
            self._memory(at, size, operands, relocation, [])
            if word == "jmp":
                waiting += self._table(at, operands, relocation)
            return False
        if not operands.startswith("0x") and ":" not in operands and "," not in operands:
            function = self._function(at)
            if word == "jmp" and function:
                self._pending += [(function, *table, 0) for table in loaded]
            return False
        target = self._target(at, size, operands, relocation)
        if target is None:
            return False
        waiting.append(target)
        return word == "call" and target > at + size and self._steps_over(at + size, target)

    def _target(self, at: int, size: int, operands: str, relocation: Relocation | None) -> int | None:
        """Where a direct branch leads; None for what is not in this file."""
        if relocation:
            if relocation.target is None:
                return None
            return relocation.target + (at + size - relocation.address if relocation.relative else 0)
        numbers = _NUMBER.findall(operands)
        return int(numbers[-1], 16) if numbers else None

    def _steps_over(self, behind: int, target: int) -> bool:
        """Whether a call jumps over what it wants the address of: its target takes it from the stack."""
        section = self.image.section(target)
        if not section or target - behind > 4096 or self._function(behind) != self._function(target):
            return False
        if any(symbol.address == target and symbol.kind == "function" for symbol in self._symbols_at(target)):
            return False
        first = next(self._instructions(section, target), None)
        if first is None or _words(first[2]) != "pop":
            return False
        self._mark(behind, target - behind, _DATA)
        return True

    def _symbols_at(self, address: int) -> Iterator[Symbol]:
        symbols = self.image.symbols
        i = bisect.bisect_left(symbols, address, key=lambda symbol: symbol.address)
        while i < len(symbols) and symbols[i].address == address:
            yield symbols[i]
            i += 1

    def _memory(
        self,
        at: int,
        size: int,
        operands: str,
        relocation: Relocation | None,
        loaded: list[tuple[int, Relocation | None]],
    ) -> None:
        """Notes what an instruction reads or writes, and addresses that it takes for a jump table."""
        address = None
        if relocation and _of_immediate(relocation, at + size, operands):
            return
        if relocation:
            address = self._target(at, size, operands, relocation)
        else:
            absolute = _ABSOLUTE.search(operands)
            relative = _RELATIVE.search(operands)
            if absolute:
                address = int(absolute.group(1), 16)
            elif relative:
                offset = int(relative.group(2), 16)
                address = at + size + (offset if relative.group(1) == "+" else -offset)
        if "[rip" in operands:
            loaded.append((address if address is not None else at, relocation))
            if address is not None:
                self._taken.add(address)
            del loaded[:-_BACK]
        if address is not None and self.image.section(address):
            self._read.add(address)

    def _immediate(self, at: int, size: int, operands: str) -> None:
        """Notes an address of code that is used as a number: a handler, or a text."""
        if not self.image.fixed:
            relocation = self._last_relocation(at, size)
            target = relocation.target if relocation else None
            if relocation and target is not None and _of_immediate(relocation, at + size, operands):
                self._maybe.add(target)
            return
        number = operands.rpartition(", ")[2]
        if len(number) > 6 and number.startswith("0x") and self.image.section(int(number, 16)):
            self._maybe.add(int(number, 16))

    # Jump tables

    def _table(self, at: int, operands: str, relocation: Relocation | None) -> list[int]:
        """Where `jmp *table(,%reg,4)` leads."""
        found = _TABLE.search(operands)
        function = self._function(at)
        if not found and not relocation:
            return []
        width = self.image.bits // 8
        if self.image.relocatable:
            if relocation is None or relocation.target is None:
                # A table in data: its addresses are known as pointers already.
                return []
            targets = []
            place = relocation.target
            while (entry := self._relocation(place, 1)) and entry.target is not None and not entry.relative:
                targets.append(entry.target)
                place += entry.size
            self._mark(relocation.target, place - relocation.target, _DATA)
            return targets
        if not found:
            return []
        return self._entries(int(found.group(2), 16), width, function)

    def _relative_tables(self) -> list[int]:
        """Where `jmp *%reg` leads after the address of a table was loaded: entries are counted from it.

        Tables follow each other without a mark between them, so one ends at the latest where code takes
        another address. That is known only when the code has been seen, so each gives one entry at a time.
        """
        pending, self._pending = self._pending, []
        targets: list[int] = []
        for function, address, relocation, number in pending:
            target = self._entry(address, relocation, number)
            if target is not None and self._may_follow(target, function):
                targets.append(target)
                self._pending.append((function, address, relocation, number + 1))
                if relocation is None and self._unknown(address + 4 * number):
                    self._mark(address + 4 * number, 4, _DATA)
        return targets

    def _entry(self, address: int, relocation: Relocation | None, number: int) -> int | None:
        """Where an entry of a table that may be one leads; None behind its end."""
        if relocation is None:
            place = address + 4 * number
            data = self.image.read(place, 4)
            if len(data) < 4 or (number and place in self._taken):
                return None
            return address + int.from_bytes(data, "little", signed=True)
        if relocation.table is None or not relocation.relative:
            return None
        index, value = relocation.table
        # The loading instruction ends behind its four bytes of displacement.
        place = value + 4 + 4 * number
        entry = self.image.tables.get(index, {}).get(place)
        if entry is None or (number and (index, place) in self._data_starts):
            return None
        return entry - 4 * number

    def _may_follow(self, target: int, function: Function) -> bool:
        """Whether an entry of a table leads to an instruction of the function."""
        return function.start <= target < function.end and self._mark_of(target) not in (_INSIDE, _DATA)

    def _entries(self, table: int, width: int, function: Function | None) -> list[int]:
        """Entries of a table of addresses in a linked file, as long as they lead into the function."""
        targets: list[int] = []
        while function:
            data = self.image.read(table + len(targets) * width, width)
            entry = int.from_bytes(data, "little")
            if len(data) < width or not self._may_follow(entry, function):
                break
            targets.append(entry)
        self._mark(table, len(targets) * width, _DATA)
        return targets

    # What only may be code

    def _plausible(self, start: int, strict: bool = False) -> bool:
        """Whether what begins here looks like code: it decodes, ends, and is no text and no table.

        With `strict` it must also lead to code that is known, or to another object's.
        """
        section = self.image.section(start)
        assert section
        marks = self._marks[section.address]
        odd = 0
        leads = False
        end = start
        previous = ""
        for count, (at, size, mnemonic, operands) in enumerate(self._instructions(section, start), 1):
            mark = marks[at - section.address]
            if mark == _START:
                return count > 1
            code = section.data[at - section.address : at - section.address + size]
            relocation = self._relocation(at, size) if self._relocations else None
            if mark or code == b"\0\0" or (relocation and relocation.address == at):
                return False
            end = at + size
            word = _words(mnemonic)
            odd += word in _ODD and mnemonic == word
            if odd * 10 > max(count, 5):
                return False
            if _is_branch(word) and operands.startswith("0x"):
                target = self._target(at, size, operands, relocation)
                mark_there = self._mark_of(target) if target is not None else None
                if mark_there in (_INSIDE, _DATA) or (mark_there is None and relocation is None):
                    return False
                leads |= mark_there == _START or (relocation is not None and target is None)
            if count > _TRIAL:
                return True
            previous = word
            if word in _ENDS:
                break
        else:
            if end < section.end or previous not in _MAY_END:
                return False
        return (leads or not strict) and not _is_text(
            section.data[start - section.address : end - section.address]
        )

    def _fill(self, section: Section) -> None:
        """Tries what was not reached: behind jumps through unknown tables, and rows of entry points.

        Outside of functions that asks for more: it must lead to code that is known.
        """
        marks = self._marks[section.address]
        at = 0
        while True:
            at = marks.find(0, at)
            if at < 0:
                return
            stop = at
            while stop < len(marks) and not marks[stop]:
                stop += 1
            at = self._skip_fillers(section, at, stop)
            address = section.address + at
            if at >= stop:
                continue
            strict = self._function(address) is None
            if address not in self._read and self._plausible(address, strict):
                self._follow([address])
            else:
                at = stop

    def _skip_fillers(self, section: Section, at: int, end: int) -> int:
        """Passes over padding between functions: nops, breakpoints, zeroes."""
        marks = self._marks[section.address]
        while at < end:
            first = next(self._instructions(section, section.address + at), None)
            size = 0
            if first and self._relocation(first[0], first[1]) is None:
                _, length, mnemonic, operands = first
                word = _words(mnemonic)
                nothing = word in ("lea", "mov", "xchg") and _is_nothing(word, operands)
                if (word in _FILLERS or nothing) and at + length <= end:
                    size = length
            if not size and section.data[at] == 0 and self._relocation(section.address + at, 1) is None:
                size = 1
            if not size:
                break
            marks[at : at + size] = bytes([_PADDING]) * size
            at += size
        return at


def _is_branch(word: str) -> bool:
    return word[0] == "j" or word in ("call", "ljmp", "lcall") or word.startswith("loop")


def _of_immediate(relocation: Relocation, end: int, operands: str) -> bool:
    """Whether a relocation fills the immediate of an instruction that ends there, not its displacement."""
    at_the_end = relocation.address + relocation.size == end and not relocation.relative
    return at_the_end and not operands.endswith("]") and operands.rpartition(", ")[2][:1].isdigit()


def _is_nothing(word: str, operands: str) -> bool:
    """Whether an instruction changes nothing: assemblers pad with `lea 0(%esi), %esi`."""
    to, _, source = operands.partition(", ")
    if word == "lea":
        found = _SAME_ADDRESS.fullmatch(source)
        return found is not None and found.group(1) == to
    return to == source


def _is_text(data: bytes) -> bool:
    """Whether bytes are most likely characters."""
    printable = sum(0x20 <= byte < 0x7F or byte in (0x09, 0x0A, 0x0D, 0) for byte in data)
    return len(data) >= 6 and printable * 10 >= len(data) * 9
