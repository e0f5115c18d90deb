# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The ring of the flavour `traced` (runtime/traced/ring.h), as it is found in a guest's memory. A kernel may
have written anything there: what does not hold together is counted and left out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .elf_core import PAGE, Dump
from .util import UserError

MAGIC = b"vmi-flavour traced".ljust(24, b"\0")
VERSION = 2
WORDS = 5
NONE, ENTER, LEAVE, HYPERCALL, ANSWER = range(5)
"""Kinds of record."""
_HEADER = struct.Struct("<24s8IQ")
_RECORD = struct.Struct(f"<2I2HI3Q{WORDS}Q")
RECORDS_MAX = 1 << 24
ORDINALS_MAX = 1 << 12
_WORD_BITS = (32, 64)
_SEQUENCES = 1 << 32


@dataclass(frozen=True)
class Record:
    """A call or a hypercall that was begun, or one that has come back."""

    kind: int
    number: int
    """Of a call its ordinal."""
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
class Hypercall:
    """One hypercall, of what its records say."""

    number: int
    cpu: int
    begun: int
    arguments: Sequence[int]
    """Words, of all registers that may hold one."""
    ended: int | None = None
    """None if it has not come back."""
    result: int | None = None
    """A word."""


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
    hypercalls: list[Hypercall] = field(default_factory=list)
    """That were made for it, or by what has interrupted it."""


@dataclass(frozen=True)
class Made:
    """What a kernel and its library have made, in the order in which it was begun."""

    entries: list[Call | Hypercall]
    """Calls, and hypercalls that belong to none: when the library starts, and for interrupts."""
    hypercalls: list[Hypercall]
    """All of them."""

    @property
    def calls(self) -> list[Call]:
        return [each for each in self.entries if isinstance(each, Call)]


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
        sequence, of, cpu, words, kind, time, frame, caller, *values = _RECORD.unpack_from(dump.data, place)
        if (
            sequence == number % _SEQUENCES
            and words <= WORDS
            and (kind in (HYPERCALL, ANSWER) or (kind in (ENTER, LEAVE) and of < header.ordinals))
        ):
            records.append(Record(kind, of, cpu, time, frame, caller, values[:words]))
    damaged = header.begun - lost - len(records)
    return Ring(header.word_bits, header.frequency, header.begun, lost, damaged, counts, records)


BESIDES = 128
"""Bytes that a hypercall's frame may lie below a call's beside what the call itself takes of the stack: words
that the flavour hands on."""
JUMPED = 64
"""Bytes that the frame of a hypercall lies below that of a jump which it is itself: words that it takes."""


@dataclass(frozen=True)
class Shape:
    """What is known of a call beforehand."""

    stack: int
    """Bytes that it may take."""
    jump: bool = False
    """Whether it is reached by a jump, and never comes back."""


@dataclass
class _UnderWay:
    """Calls and hypercalls that have not come back, by their frames."""

    shapes: Mapping[int, Shape]
    calls: dict[int, Call] = field(default_factory=dict)
    hypercalls: dict[int, tuple[Hypercall, Call | None]] = field(default_factory=dict)
    """With the calls that they are made for."""
    last: dict[int, Call | None] = field(default_factory=dict)
    """By CPU, the call that was begun last, if nothing else is or was under way there since."""

    def of(self, record: Record) -> Call | None:
        """The call that a hypercall is made for: the one with the next frame above its own, within the call's
        stack. A jump is over when anything else is begun; where one has led back into a call under way, what
        follows is that call's."""
        fit: dict[bool, int] = {}
        for frame, call in self.calls.items():
            shape = self.shapes.get(call.ordinal, Shape(0))
            if shape.jump and self.last.get(record.cpu) is not call:
                continue
            if 0 <= frame - record.frame <= shape.stack + BESIDES:
                fit[shape.jump] = min(frame, fit.get(shape.jump, frame))
        jump, other = fit.get(True), fit.get(False)
        if jump is not None and (other is None or jump - record.frame <= JUMPED):
            return self.calls[jump]
        return None if other is None else self.calls[other]


def made_of(records: Sequence[Record], shapes: Mapping[int, Shape]) -> Made:
    """What the records tell; `shapes` are the calls', by ordinal. A call has come back by the next record of
    its frame; where that is another's beginning, it never has. Of one whose beginning is lost, nothing is
    known."""
    found = Made([], [])
    now = _UnderWay(shapes)
    for record in records:
        if record.kind == ENTER:
            call = Call(record.number, record.cpu, record.time, record.caller, record.words)
            now.calls[record.frame] = now.last[record.cpu] = call
            found.entries.append(call)
        elif record.kind == LEAVE:
            now.last[record.cpu] = None
            begun = now.calls.pop(record.frame, None)
            if begun and begun.ordinal == record.number:
                begun.ended, begun.results = record.time, record.words
        elif record.kind == HYPERCALL:
            hypercall = Hypercall(record.number, record.cpu, record.time, record.words)
            of = now.of(record)
            (of.hypercalls if of else found.entries).append(hypercall)
            found.hypercalls.append(hypercall)
            now.hypercalls[record.frame] = hypercall, of
            now.last[record.cpu] = None
        elif record.frame in now.hypercalls:
            hypercall, now.last[record.cpu] = now.hypercalls.pop(record.frame)
            hypercall.ended, hypercall.result = record.time, next(iter(record.words), None)
    return found
