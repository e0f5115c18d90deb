# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Tells code from data, and finds the sensitive instructions in the code.

Code is followed from where it is known to begin: functions of the symbol table and of the unwind tables, the
entry point, targets of branches and jump tables. Where something only may be code (labels without a type,
addresses in data, what lies inside a function and was not reached) it is decoded on trial first, and left out
if it does not look like code. Bytes that remain are told by their number: nothing is decoded blindly.

Where the decoder does not know an instruction that is reached, decoding goes on at the next point where one
is known to begin: a symbol, or a line of the debug information.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import capstone

from . import debug, decode, newer
from .elf import Image, Relocation, Section, Symbol

_START, _INSIDE, _DATA, _PADDING = 1, 2, 3, 4
_LONGEST = 15
_INSTRUCTION = [bytes((_START, *([_INSIDE] * (size - 1)))) for size in range(newer.FORCED + _LONGEST + 1)]
_FIRST_BATCH = 6
"""Instructions decoded at a time at first: about what is between two jumps; then twice as many each time."""
_BATCH = 96
_ROW = 64
"""Breakpoints that are padding, wherever they stand."""
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
_BELOW = re.compile(r"\[rsp(?: \+ r\w+(?:\*\d)?)? - ")
_BREAKPOINTS = re.compile(rb"\xcc+")
_UNKNOWN = re.compile(rb"\0+")
# Zeroes, breakpoints, nops, and the long nops that assemblers write.
_PLAIN_FILLERS = re.compile(
    rb"(?:\0+|\xcc+|(?:\x66*\x2e?\x0f\x1f(?:\x00|\x40.|\x44..|\x80.{4}|\x84.{5})|\x66*\x90)+)", re.DOTALL
)
_NUMBER = re.compile(r"0x[0-9a-f]+")
_ABSOLUTE = re.compile(r"\[(?:[a-z]s:)?(?:(?:e|r)[a-z0-9]+\*[48] \+ )?(0x[0-9a-f]+)\]")
_TABLE = re.compile(r"\[(?:[a-z]s:)?(?:e|r)[a-z0-9]+\*([48]) \+ (0x[0-9a-f]+)\]")
_SAME_ADDRESS = re.compile(r"\[(?:[a-z]s:)?(\w+)(?: \+ (?:eiz|riz)(?:\*1)?)?(?: \+ (?:0x)?0)?\]")
_RELATIVE = re.compile(r"\[rip ([+-]) (0x[0-9a-f]+)\]")


Instruction = tuple[int, int, str, str]
"""Address, size, mnemonic, and operands in Intel's syntax."""


@dataclass(frozen=True)
class Hit:
    """A sensitive instruction."""

    address: int
    size: int
    name: str


@dataclass(frozen=True)
class Gap:
    """Bytes of a code section that were not decoded: not told from data, or `inside` a function.

    Code leads to `undecoded`, where there is an instruction that the decoder does not know.
    """

    address: int
    size: int
    inside: bool
    undecoded: int | None


@dataclass
class Function:
    """A range that a symbol or an unwind entry gives; `sized` if the end is told and not guessed."""

    start: int
    end: int
    sized: bool


class _Kind:
    """What there is to know of a mnemonic: `word` is the mnemonic without prefixes."""

    def __init__(self, mnemonic: str) -> None:
        self.word = mnemonic.rpartition(" ")[2]
        self.branch = _is_branch(self.word)
        self.ends = self.word in _ENDS
        self.may_end = self.word in _MAY_END
        self.may_be_named = decode.may_be_named(self.word)
        self.odd = self.word in _ODD and self.word == mnemonic


class _Kinds(dict[str, _Kind]):
    def __missing__(self, mnemonic: str) -> _Kind:
        made = self[mnemonic] = _Kind(mnemonic)
        return made


_KINDS = _Kinds()


class Walk:
    """Follows the code of one image."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.hits: dict[int, Hit] = {}
        self._decoder: capstone.Cs = decode.decoder(image.bits)
        self._marks = {section.address: bytearray(len(section.data)) for section in image.sections}
        self._relocations = [relocation.address for relocation in image.relocations]
        self._typed = {symbol.address for symbol in image.symbols if symbol.kind == "function"}
        self._points = sorted({symbol.address for symbol in image.symbols})
        self._functions = self._bounds()
        self._starts = [function.start for function in self._functions]
        self._undecoded: dict[int, None] = {}
        self._lines = debug.Lines(image.elf)
        self._stack: list[int] = []
        """Where memory below the stack pointer is named, and where the frame pointer is set (x86-64)."""
        self._labels, self._addresses = self._may_be_code()
        """What is to be tried still, in an order of its own and by address."""
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
        marked = 0
        for symbol, end in self._extents("object"):
            # A label of data at the end of some may be where a function begins.
            if (symbol.size or symbol.address not in self._typed) and end > marked:
                start = max(symbol.address, marked)
                self._mark(start, end - start, _DATA)
                marked = end
        pointers = [at for at in self.image.pointers if self._function(at)]
        self._follow([*self._starts, *self.image.entries, *pointers])
        self._try()
        more = True
        while more:
            for section in self.image.sections:
                self._fill(section)
            more = self._try()

    def _try(self) -> bool:
        """Follows what looks like code on trial, and what that leads to; what code reads as data is none.

        Says whether there was any.
        """
        found = False
        while new := [*self._labels, *sorted(self._addresses)]:
            self._labels, self._addresses = [], set()
            for address in new:
                if address in self._tried:
                    continue
                self._tried.add(address)
                if self._unknown(address) and address not in self._read and self._plausible(address):
                    self._follow([address])
                    found = True
        return found

    def gaps(self) -> Iterator[Gap]:
        """What was not decoded, is no padding, and is not known to be data."""
        undecoded = sorted(self._undecoded)
        for section in self.image.sections:
            marks = self._marks[section.address]
            for found in _UNKNOWN.finditer(marks):
                at = section.address + self._skip_fillers(section, found.start(), found.end())
                while at < section.address + found.end():
                    function, end = self._piece(at, section.address + found.end())
                    i = bisect.bisect_left(undecoded, at)
                    reached = undecoded[i] if i < len(undecoded) and undecoded[i] < end else None
                    inside = (function is not None and function.sized) or reached is not None
                    yield Gap(at, end - at, inside, reached)
                    at = end

    def _piece(self, start: int, end: int) -> tuple[Function | None, int]:
        """The function that something lies in, and where that ends."""
        function = self._function(start)
        i = bisect.bisect_right(self._starts, start)
        ends = [end, *self._starts[i : i + 1], *([function.end] if function else ())]
        return function, min(ends)

    def decoded(self) -> int:
        """Bytes that are code."""
        return sum(len(marks) - marks.count(0) - marks.count(_DATA) - marks.count(_PADDING)
                   for marks in self._marks.values())  # fmt: skip

    def frames(self) -> list[tuple[int, int]]:
        """Functions (start and end) that have a frame pointer or name memory below the stack pointer."""
        functions = (self._function(at) for at in self._stack)
        return sorted({(function.start, function.end) for function in functions if function})

    def again(self, start: int, end: int) -> Iterator[Instruction]:
        """The instructions of a range that are known as code, in the order of their addresses."""
        section = self.image.section(start)
        assert section
        marks = self._marks[section.address]
        at = start
        while (at := marks.find(_START, at - section.address) + section.address) >= start and at < end:
            for instruction in self._instructions(section, at):
                if instruction[0] >= end or marks[instruction[0] - section.address] != _START:
                    break
                yield instruction
                at = instruction[0]
            at += 1

    # What is known beforehand

    def _extents(self, kind: str) -> Iterator[tuple[Symbol, int]]:
        """Symbols of a kind with their ends: by size, else where the next symbol is."""
        for symbol in self.image.symbols:
            if symbol.kind != kind:
                continue
            section = self.image.section(symbol.address)
            assert section
            end = symbol.address + symbol.size
            if not symbol.size:
                end = self._next_point(symbol.address) or section.end
            yield symbol, min(end, section.end)

    def _next_point(self, address: int) -> int | None:
        """The next address that has a symbol."""
        i = bisect.bisect_right(self._points, address)
        return self._points[i] if i < len(self._points) else None

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

    def _may_be_code(self) -> tuple[list[int], set[int]]:
        """What may be code, more likely ones first; addresses that code takes come to it."""
        labels = [symbol.address for symbol in self.image.symbols if symbol.kind == "label"]
        sections = [section.address for section in self.image.sections]
        relative = [
            target
            for index, entries in self.image.tables.items()
            if not self.image.elf.get_section(index).name.startswith(".rodata")
            for target in entries.values()
        ]
        return [*sections, *labels], {*self.image.pointers, *relative}

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

    def _instructions(self, section: Section, address: int) -> Iterator[Instruction]:
        """Address, size, mnemonic and operands, until the end of the section or what is no instruction."""
        base, data, end = section.address, section.data, section.end
        count = _FIRST_BATCH
        while address < end:
            begin = address
            batch = data[address - base : address - base + count * _LONGEST]
            for item in self._decoder.disasm_lite(batch, address, count):
                if item[2] in newer.MISREAD and self._misread(section, item[0]):
                    break
                yield item
                address = item[0] + item[1]
            if address == begin:
                other = self._newer(section, address)
                if other is None:
                    return
                yield other
                address += other[1]
            count = min(2 * count, _BATCH)

    def _misread(self, section: Section, address: int) -> bool:
        start = address - section.address
        return newer.read(section.data[start : start + _LONGEST], self.image.bits) is not None

    def _newer(self, section: Section, address: int) -> Instruction | None:
        """The instruction at an address, if it is one that Capstone does not know."""
        start = address - section.address
        code = section.data[start : start + newer.FORCED + _LONGEST]
        read = newer.read(code, self.image.bits)
        if read is None:
            return None
        if not read.forced:
            return address, read.size, read.mnemonic, read.operands
        begin = address + newer.FORCED
        for _, size, mnemonic, operands in self._decoder.disasm_lite(code[newer.FORCED :], begin, 1):
            return address, newer.FORCED + size, mnemonic, operands
        behind = newer.read(code[newer.FORCED :], self.image.bits)
        if behind is None or behind.forced:
            return None
        return address, newer.FORCED + behind.size, behind.mnemonic, behind.operands

    def _block(self, section: Section, start: int, waiting: list[int]) -> None:
        """Decodes until the flow ends or is known already."""
        marks = self._marks[section.address]
        base = section.address
        function = self._function(start)
        end = function.end if function and function.sized else section.end
        loaded: list[tuple[int, Relocation | None]] = []
        relocated, fixed = bool(self._relocations), self.image.fixed
        may_end = False
        behind = start
        for at, size, mnemonic, operands in self._instructions(section, start):
            mark = marks[at - base]
            if mark in (_START, _DATA) or (may_end and at >= end):
                return
            if mnemonic == "int3" and may_end and self._padding(section, at):
                return
            relocation = self._relocation(at, size) if relocated else None
            if relocation and relocation.address == at:
                # An address instead of an instruction: a table.
                return
            marks[at - base : at - base + size] = _INSTRUCTION[size]
            behind = at + size
            kind = _KINDS[mnemonic]
            if kind.may_be_named:
                name = decode.name(kind.word, operands)
                if name:
                    self.hits[at] = Hit(at, size, name)
            if kind.branch:
                if self._branch(at, size, kind.word, operands, relocation, loaded, waiting):
                    return
            elif "[" in operands:
                self._memory(at, size, kind.word, operands, relocation, loaded)
                if "[rsp" in operands and _BELOW.search(operands):
                    self._stack.append(at)
            elif operands == "rbp, rsp":
                self._stack.append(at)
            if relocation or (fixed and "0x" in operands):
                self._immediate(at, size, operands)
            if kind.ends:
                return
            may_end = kind.may_end
        if behind < section.end and not marks[behind - base] and not may_end:
            self._undecoded[behind] = None
            waiting += self._known_points(section, behind, min(end, section.end))

    def _padding(self, section: Section, address: int) -> bool:
        """Whether breakpoints fill up what lies before a function, or before an address that is aligned."""
        start = address - section.address
        found = _BREAKPOINTS.match(section.data, start, start + _ROW)
        behind = section.address + (found.end() if found else start)
        return behind - address == _ROW or behind % 16 == 0 or behind in self._typed or behind >= section.end

    def _known_points(self, section: Section, address: int, end: int) -> list[int]:
        """Where an instruction is known to begin next, behind one that the decoder does not know."""
        points = [self._lines.next(address, end), self._next_point(address)]
        known = [point for point in points if point is not None and point < end]
        return [min(known)] if known else []

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
            self._memory(at, size, word, operands, relocation, [])
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
        if target in self._typed:
            return False
        first = next(self._instructions(section, target), None)
        if first is None or _KINDS[first[2]].word != "pop":
            return False
        self._mark(behind, target - behind, _DATA)
        return True

    def _memory(
        self,
        at: int,
        size: int,
        word: str,
        operands: str,
        relocation: Relocation | None,
        loaded: list[tuple[int, Relocation | None]],
    ) -> None:
        """Notes what an instruction reads or writes, and addresses that it takes: of jump tables, of code."""
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
            (self._addresses if word == "lea" else self._read).add(address)

    def _immediate(self, at: int, size: int, operands: str) -> None:
        """Notes an address of code that is used as a number: a handler, or a text."""
        if not self.image.fixed:
            relocation = self._last_relocation(at, size)
            target = relocation.target if relocation else None
            if relocation and target is not None and _of_immediate(relocation, at + size, operands):
                self._addresses.add(target)
            return
        number = operands.rpartition(", ")[2]
        if len(number) > 6 and number.startswith("0x") and self.image.section(int(number, 16)):
            self._addresses.add(int(number, 16))

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
        may_end = False
        for count, (at, size, mnemonic, operands) in enumerate(self._instructions(section, start), 1):
            mark = marks[at - section.address]
            if mark == _START:
                return count > 1
            code = section.data[at - section.address : at - section.address + size]
            relocation = self._relocation(at, size) if self._relocations else None
            if mark or code == b"\0\0" or (relocation and relocation.address == at):
                return False
            end = at + size
            kind = _KINDS[mnemonic]
            odd += kind.odd
            if odd * 10 > max(count, 5):
                return False
            if kind.branch and operands.startswith("0x"):
                target = self._target(at, size, operands, relocation)
                mark_there = self._mark_of(target) if target is not None else None
                if mark_there in (_INSIDE, _DATA) or (mark_there is None and relocation is None):
                    return False
                leads |= mark_there == _START or (relocation is not None and target is None)
            if count > _TRIAL:
                return True
            may_end = kind.may_end
            if kind.ends:
                break
        else:
            if end < section.end or not may_end:
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
        while found := _UNKNOWN.search(marks, at):
            at = self._skip_fillers(section, found.start(), found.end())
            address = section.address + at
            if at >= found.end():
                continue
            strict = self._function(address) is None
            if address not in self._read and self._plausible(address, strict):
                self._follow([address])
            else:
                at = found.end()

    def _skip_fillers(self, section: Section, at: int, end: int) -> int:
        """Passes over padding between functions: nops, breakpoints, zeroes."""
        marks = self._marks[section.address]
        start = at
        base = section.address
        while at < end:
            plain = _PLAIN_FILLERS.match(section.data, at, end)
            if plain:
                relocation = self._relocation(base + at, plain.end() - at) if self._relocations else None
                stop = relocation.address - base if relocation else plain.end()
                if stop > at:
                    at = stop
                    continue
            first = next(self._instructions(section, base + at), None)
            if first is None or self._relocation(first[0], first[1]) is not None:
                break
            _, length, mnemonic, operands = first
            word = _KINDS[mnemonic].word
            nothing = word in ("lea", "mov", "xchg") and _is_nothing(word, operands)
            if not ((word in _FILLERS or nothing) and at + length <= end):
                break
            at += length
        marks[start:at] = bytes([_PADDING]) * (at - start)
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
