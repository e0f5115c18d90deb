# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Source lines of addresses, from DWARF."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from elftools.dwarf.descriptions import describe_form_class
from elftools.dwarf.ranges import BaseAddressEntry

_HOLDING_CODE = frozenset(("DW_TAG_subprogram", "DW_TAG_lexical_block", "DW_TAG_inlined_subroutine"))


@dataclass(frozen=True)
class Place:
    """A line of a source file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Frame:
    """A function that was inlined, and where it was called."""

    function: str
    called: Place


@dataclass(frozen=True)
class Source:
    """Where an instruction comes from; `frames` from the innermost inlined function outwards."""

    place: Place
    frames: tuple[Frame, ...]


def find(elf: Any, addresses: Iterable[int]) -> dict[int, Source]:
    """The sources of those addresses that debug information tells of.

    Debug information that is damaged is as good as none: what was found in the code is reported all the same.
    """
    wanted = sorted(set(addresses))
    found: dict[int, Source] = {}
    try:
        if not wanted or not elf.has_dwarf_info(strict=True):
            return found
        dwarf = elf.get_dwarf_info()
        for unit in dwarf.iter_CUs():
            inside = _inside(dwarf, unit, wanted)
            if inside:
                found |= _lines(dwarf, unit, inside)
    except Exception:  # pyelftools raises whatever its parsing trips over
        return found
    return found


class Lines:
    """Where lines of the source begin. A unit's are read when they are first asked for, and then kept."""

    def __init__(self, elf: Any) -> None:
        self._elf = elf
        self._ranges: list[tuple[int, int, int]] | None = None
        """First address, the one behind the last, and which unit's, in order."""
        self._reach: list[int] = []
        """How far the ranges up to each one go."""
        self._units: list[Any] = []
        self._begins: dict[int, list[int]] = {}

    def next(self, address: int, end: int) -> int | None:
        """The first address behind another one, and before an end, at which a line begins."""
        try:
            found = [
                begins[i]
                for unit in self._units_at(address)
                if (i := bisect.bisect_right(begins := self._of(unit), address)) < len(begins)
                and begins[i] < end
            ]
            return min(found, default=None)
        except Exception:  # as above
            return None

    def _units_at(self, address: int) -> set[int]:
        if self._ranges is None:
            self._ranges = []
            if self._elf.has_dwarf_info(strict=True):
                dwarf = self._elf.get_dwarf_info()
                self._units = list(dwarf.iter_CUs())
                self._ranges = sorted(
                    (start, end, number)
                    for number, unit in enumerate(self._units)
                    for start, end in ranges(dwarf, unit, unit.get_top_DIE())
                )
                self._reach = list(accumulate((end for _, end, _ in self._ranges), max))
        found = set()
        i = bisect.bisect_right(self._ranges, address, key=lambda each: each[0]) - 1
        while i >= 0 and self._reach[i] > address:
            _, end, unit = self._ranges[i]
            if end > address:
                found.add(unit)
            i -= 1
        return found

    def _of(self, unit: int) -> list[int]:
        if unit not in self._begins:
            dwarf = self._units[unit].dwarfinfo
            program = dwarf.line_program_for_CU(self._units[unit])
            self._begins[unit] = sorted({start for start, _, _, _ in _rows(program)})
        return self._begins[unit]


def _inside(dwarf: Any, unit: Any, wanted: list[int]) -> list[int]:
    """Those of the addresses that a unit covers."""
    top = unit.get_top_DIE()
    inside: set[int] = set()
    for start, end in ranges(dwarf, unit, top):
        inside.update(wanted[bisect.bisect_left(wanted, start) : bisect.bisect_left(wanted, end)])
    return sorted(inside)


def ranges(dwarf: Any, unit: Any, entry: Any) -> Iterator[tuple[int, int]]:
    """Address ranges of an entry of the debug information."""
    low, high = entry.attributes.get("DW_AT_low_pc"), entry.attributes.get("DW_AT_high_pc")
    if low and high:
        relative = describe_form_class(high.form) == "constant"
        yield low.value, high.value + (low.value if relative else 0)
        return
    found = entry.attributes.get("DW_AT_ranges")
    if not found:
        return
    top = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = top.value if top else 0
    lists = dwarf.range_lists()
    for item in lists.get_range_list_at_offset(found.value, unit) if lists else ():
        if isinstance(item, BaseAddressEntry):
            base = item.base_address
        else:
            shift = 0 if getattr(item, "is_absolute", False) else base
            yield item.begin_offset + shift, item.end_offset + shift


def _lines(dwarf: Any, unit: Any, wanted: list[int]) -> dict[int, Source]:
    program = dwarf.line_program_for_CU(unit)
    rows = _rows(program)
    starts = [row[0] for row in rows]
    frames = _frames(dwarf, unit, program, wanted)
    found = {}
    for address in wanted:
        i = bisect.bisect_right(starts, address) - 1
        if i >= 0 and address < rows[i][1] and rows[i][3]:
            found[address] = Source(Place(_file(program, rows[i][2]), rows[i][3]), frames.get(address, ()))
    return found


def _rows(program: Any) -> list[tuple[int, int, int, int]]:
    """A line program's rows: first address, the one behind the last, file and line."""
    rows: list[tuple[int, int, int, int]] = []
    last = None
    for entry in program.get_entries() if program else ():
        state = entry.state
        if state is None:
            continue
        if last is not None and last.address < state.address:
            rows.append((last.address, state.address, last.file, last.line))
        last = None if state.end_sequence else state
    return sorted(rows)


def _file(program: Any, number: int) -> str:
    """A file of a line program: its name, with its folder unless that is where the compiler ran."""
    header = program.header
    files, folders = header["file_entry"], header["include_directory"]
    first = 0 if header["version"] >= 5 else 1
    if not 0 <= number - first < len(files):
        return "?"
    entry = files[number - first]
    name = _text(entry.name)
    folder = entry.dir_index
    if name.startswith("/") or not folder or not 0 <= folder - first < len(folders):
        return name
    return f"{_text(folders[folder - first])}/{name}"


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _frames(dwarf: Any, unit: Any, program: Any, wanted: list[int]) -> dict[int, tuple[Frame, ...]]:
    found: dict[int, list[Frame]] = {}
    waiting = [unit.get_top_DIE()]
    while waiting:
        for entry in waiting.pop().iter_children():
            if entry.tag not in _HOLDING_CODE:
                continue
            inside = [
                address
                for start, end in ranges(dwarf, unit, entry)
                for address in wanted[bisect.bisect_left(wanted, start) : bisect.bisect_left(wanted, end)]
            ]
            # What lies elsewhere is passed over, with everything below it.
            if not inside:
                continue
            waiting.append(entry)
            if entry.tag == "DW_TAG_inlined_subroutine":
                attributes = entry.attributes
                line = attributes.get("DW_AT_call_line")
                file = attributes.get("DW_AT_call_file")
                called = Place(_file(program, file.value) if file else "?", line.value if line else 0)
                for address in inside:
                    # Entries come outermost first.
                    found.setdefault(address, []).insert(0, Frame(name(entry), called))
    return {address: tuple(frames) for address, frames in found.items()}


def name(entry: Any) -> str:
    """The name of a function, which may stand at its declaration."""
    for attribute in ("DW_AT_abstract_origin", "DW_AT_specification"):
        if attribute in entry.attributes and "DW_AT_name" not in entry.attributes:
            return name(entry.get_DIE_from_attribute(attribute))
    found = entry.attributes.get("DW_AT_name")
    return _text(found.value) if found else "?"
