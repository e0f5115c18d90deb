# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The ring of the flavour `traced` (runtime/traced/ring.h), as it is found in a guest's memory. A kernel may
have written anything there: what does not hold together is counted and left out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .elf_core import PAGE, Dump
from .util import UserError

MAGIC = b"vmi-flavour traced".ljust(24, b"\0")
VERSION = 1
WORDS = 5
NONE, ENTER, LEAVE = range(3)
"""Kinds of record."""
_HEADER = struct.Struct("<24s8IQ")
_RECORD = struct.Struct(f"<I2H2I3Q{WORDS}Q")
RECORDS_MAX = 1 << 24
ORDINALS_MAX = 1 << 12
_WORD_BITS = (32, 64)
_SEQUENCES = 1 << 32


@dataclass(frozen=True)
class Record:
    """A call that was begun, or one that has come back."""

    kind: int
    ordinal: int
    cpu: int
    time: int
    """Cycles of that CPU's TSC."""
    frame: int
    caller: int
    words: Sequence[int]


@dataclass(frozen=True)
class Ring:
    word_bits: int
    frequency: int
    """Of the TSC, Hz; 0 where it is not known."""
    begun: int
    """All records, those included that later ones stand in place of."""
    lost: int
    """The latter."""
    damaged: int
    """Records that were being written when the machine was stopped, or are none."""
    counts: Sequence[int]
    """Calls, by ordinal."""
    records: Sequence[Record]
    """In the order in which they were begun."""


@dataclass
class Call:
    """One call, of what its records say."""

    ordinal: int
    cpu: int
    begun: int
    caller: int
    arguments: Sequence[int]
    """Words, as the results' are."""
    ended: int | None = None
    """None if it has not come back."""
    results: Sequence[int] = ()


@dataclass(frozen=True)
class _Header:
    bytes: int
    records: int
    word_bits: int
    ordinals: int
    begun: int
    frequency: int


def _header(found: tuple[int, ...], room: int) -> _Header | str:
    """What a header says, or why it is none; `room` is what there is of its memory."""
    version, header_bytes, record_bytes, records, word_bits, ordinals, following, wraps, frequency = found
    if version != VERSION:
        return f"version {version}, expected {VERSION}"
    if not 0 < ordinals <= ORDINALS_MAX or header_bytes != -(-(_HEADER.size + 4 * ordinals) // 8) * 8:
        return f"a header of {header_bytes} bytes for {ordinals} ordinals"
    if record_bytes != _RECORD.size or word_bits not in _WORD_BITS:
        return f"records of {record_bytes} bytes, of words of {word_bits} bits"
    if not 0 < records <= RECORDS_MAX or records & (records - 1):
        return f"{records} records, expected a power of two up to {RECORDS_MAX}"
    if header_bytes + record_bytes * records > room:
        return f"{records} records, more than there is memory behind it"
    return _Header(header_bytes, records, word_bits, ordinals, wraps * _SEQUENCES + following, frequency)


def find(dump: Dump) -> Ring:
    """The ring in a guest's memory, of several that with the most records; UserError without one."""
    best: tuple[_Header, int] | None = None
    wrong = ""
    for piece in dump.pieces:
        # Only whole pages of the guest's: the dump's offsets need not be.
        for address in range(-(-piece.address // PAGE) * PAGE, piece.address + piece.size, PAGE):
            at = piece.offset + address - piece.address
            room = piece.offset + piece.size - at
            if room < _HEADER.size or dump.data[at : at + len(MAGIC)] != MAGIC:
                continue
            header = _header(_HEADER.unpack_from(dump.data, at)[1:], room)
            if isinstance(header, str):
                wrong = header
            elif not best or header.begun > best[0].begun:
                best = header, at
    if not best:
        raise UserError(
            f"the ring in the kernel's memory is damaged, or of another version of the library: {wrong}; "
            "link the kernel with this one's"
            if wrong
            else "there is no ring in the kernel's memory: it has made no call, or has overwritten it"
        )
    return _ring(dump, *best)


def _ring(dump: Dump, header: _Header, at: int) -> Ring:
    counts = struct.unpack_from(f"<{header.ordinals}I", dump.data, at + _HEADER.size)
    lost = max(0, header.begun - header.records)
    records = []
    for number in range(lost, header.begun):
        place = at + header.bytes + _RECORD.size * (number % header.records)
        sequence, ordinal, cpu, kind, words, time, frame, caller, *values = _RECORD.unpack_from(
            dump.data, place
        )
        if (
            sequence == number % _SEQUENCES
            and kind in (ENTER, LEAVE)
            and words <= WORDS
            and ordinal < header.ordinals
        ):
            records.append(Record(kind, ordinal, cpu, time, frame, caller, values[:words]))
    damaged = header.begun - lost - len(records)
    return Ring(header.word_bits, header.frequency, header.begun, lost, damaged, counts, records)


def calls(records: Sequence[Record]) -> list[Call]:
    """In the order in which they were begun. A call has come back by the next record of its frame; where that
    is another's beginning, it never has. Of one whose beginning is lost, nothing is known."""
    made: list[Call] = []
    under_way: dict[int, Call] = {}
    for record in records:
        if record.kind == ENTER:
            made.append(Call(record.ordinal, record.cpu, record.time, record.caller, record.words))
            under_way[record.frame] = made[-1]
        else:
            begun = under_way.pop(record.frame, None)
            if begun and begun.ordinal == record.ordinal:
                begun.ended, begun.results = record.time, record.words
    return made
