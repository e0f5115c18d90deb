# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The ring of the flavour `traced` (runtime/traced/ring.h), as it is found in a guest's memory, which stands
still, or is followed while the guest runs. A kernel may have written anything there: what does not hold
together is counted and left out."""

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
NO_RING = "there is no ring in the kernel's memory: it has made no call, or has overwritten it"
RECORDS_MAX = 1 << 24
DAMAGED_MAX = 64
"""So many records may be damaged, however few there are."""
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


Entry = Call | Hypercall
"""Of a list of what a kernel and its library have made: a call, or a hypercall that belongs to none (when the
library starts, and for interrupts)."""


@dataclass(frozen=True)
class Shape:
    """What is known of a call beforehand."""

    stack: int
    """Bytes that it may take."""
    jump: bool = False
    """Whether it is reached by a jump, and never comes back."""


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


def _search(dump: Dump) -> tuple[tuple[_Header, int] | None, str]:
    """The ring in a guest's memory and where it is, of several that with the most records; and why others are
    none."""
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
    return best, wrong


def find(dump: Dump) -> Ring:
    """The ring in the memory of a guest that stands still; UserError without one."""
    best, wrong = _search(dump)
    if not best:
        raise UserError(
            f"the ring in the kernel's memory is damaged, or of another version of the library: {wrong}; "
            "link the kernel with this one's"
            if wrong
            else NO_RING
        )
    ring = _ring(dump, *best)
    looked_at = len(ring.records) + ring.damaged
    if ring.damaged > max(DAMAGED_MAX, looked_at // 2):
        raise UserError(
            f"{ring.damaged} of the ring's {looked_at} records are none: its frames do not follow each other "
            "in the memory that was read, or the kernel has written over it"
        )
    return ring


def _record(dump: Dump, header: _Header, at: int, number: int) -> Record | None:
    """The record of that number; None if it is another one, is being written, or is none."""
    place = at + header.bytes + _RECORD.size * (number % header.records)
    sequence, of, cpu, words, kind, time, frame, caller, *values = _RECORD.unpack_from(dump.data, place)
    if (
        sequence == number % _SEQUENCES
        and words <= WORDS
        and (kind in (HYPERCALL, ANSWER) or (kind in (ENTER, LEAVE) and of < header.ordinals))
    ):
        return Record(kind, of, cpu, time, frame, caller, values[:words])
    return None


def _counts(dump: Dump, header: _Header, at: int) -> Sequence[int]:
    return struct.unpack_from(f"<{header.ordinals}I", dump.data, at + _HEADER.size)


def _ring(dump: Dump, header: _Header, at: int) -> Ring:
    lost = max(0, header.begun - header.records)
    found = [_record(dump, header, at, number) for number in range(lost, header.begun)]
    records = [record for record in found if record]
    damaged = len(found) - len(records)
    counts = _counts(dump, header, at)
    return Ring(header.word_bits, header.frequency, header.begun, lost, damaged, counts, records)


class Followed:
    """The ring in the memory of a guest that runs: each record once, in order, as soon as it is written."""

    def __init__(self, dump: Dump) -> None:
        self._dump = dump
        self._place: tuple[_Header, int] | None = None
        self._next = 0
        self._lost = self._damaged = 0

    def _begun(self) -> int:
        """How many were begun; the guest may go round to 0 while this looks."""
        assert self._place
        *_, following, wraps, _ = _HEADER.unpack_from(self._dump.data, self._place[1])
        begun = wraps * _SEQUENCES + following
        return int(begun if begun >= self._next else begun + _SEQUENCES)

    def take(self, last: bool = False) -> list[Record]:
        """Those that have come since; with `last` the guest stands still, and what is not whole is damaged.
        Nothing as long as there is no ring."""
        if not self._place:
            self._place, _ = _search(self._dump)
        if not self._place:
            return []
        header, at = self._place
        begun = self._begun()
        found = []
        while self._next < begun:
            record = _record(self._dump, header, at, self._next)
            # What it was read from may have been written anew meanwhile: so looked at behind it.
            now = self._begun()
            if now - self._next > header.records:
                gone = now - header.records - self._next
                self._lost += gone
                self._next += gone
                continue
            if record:
                found.append(record)
            elif last:
                self._damaged += 1
            else:
                break
            self._next += 1
        return found

    @property
    def found(self) -> bool:
        """Whether there is a ring."""
        return self._place is not None

    def ring(self) -> Ring:
        """What there is to say of it, without the records."""
        assert self._place
        header, at = self._place
        frequency = _HEADER.unpack_from(self._dump.data, at)[-1]
        counts = _counts(self._dump, header, at)
        return Ring(header.word_bits, frequency, self._begun(), self._lost, self._damaged, counts, [])


BESIDES = 128
"""Bytes that a hypercall's frame may lie below a call's beside what the call itself takes of the stack: words
that the flavour hands on."""
JUMPED = 64
"""Bytes that the frame of a hypercall lies below that of a jump which it is itself: words that it takes."""


class Pairing:
    """Calls and hypercalls of records. A call has come back by the next record of its frame; where that is
    another's beginning, it never has. Of one whose beginning is lost, nothing is known. `shapes` are the
    calls', by ordinal."""

    def __init__(self, shapes: Mapping[int, Shape]) -> None:
        self._shapes = shapes
        self._calls: dict[int, Call] = {}
        """Under way, by their frames."""
        self._hypercalls: dict[int, tuple[Hypercall, Call | None]] = {}
        """Likewise, with the calls that they are made for."""
        self._last: dict[int, Call | None] = {}
        """By CPU, the call that was begun last, if nothing else is or was under way there since."""

    def feed(self, record: Record) -> tuple[Entry | None, Entry | None]:
        """What has begun by the next record, and what has come back, or never will."""
        if record.kind in (ENTER, LEAVE):
            return self._call(record)
        if record.kind == HYPERCALL:
            made = Hypercall(record.number, record.cpu, record.time, record.words)
            before, of_before = self._hypercalls.get(record.frame, (None, None))
            of = self._of(record)
            self._hypercalls[record.frame] = made, of
            self._last[record.cpu] = None
            if of:
                of.hypercalls.append(made)
            return None if of else made, None if of_before else before
        if record.frame not in self._hypercalls:
            return None, None
        made, of = self._hypercalls.pop(record.frame)
        made.ended, made.result = record.time, next(iter(record.words), None)
        self._last[record.cpu] = of
        return None, None if of else made

    def _call(self, record: Record) -> tuple[Call | None, Call | None]:
        before = self._calls.pop(record.frame, None)
        self._last[record.cpu] = None
        if record.kind == ENTER:
            call = Call(record.number, record.cpu, record.time, record.caller, record.words)
            self._calls[record.frame] = self._last[record.cpu] = call
            return call, before
        if before and before.ordinal == record.number:
            before.ended, before.results = record.time, record.words
        return None, before

    def _of(self, record: Record) -> Call | None:
        """The call that a hypercall is made for: the one with the next frame above its own, within the call's
        stack. A jump is over when anything else is begun; where one has led back into a call under way, what
        follows is that call's."""
        fit: dict[bool, int] = {}
        for frame, call in self._calls.items():
            shape = self._shapes.get(call.ordinal, Shape(0))
            if shape.jump and self._last.get(record.cpu) is not call:
                continue
            if 0 <= frame - record.frame <= shape.stack + BESIDES:
                fit[shape.jump] = min(frame, fit.get(shape.jump, frame))
        jump, other = fit.get(True), fit.get(False)
        if jump is not None and (other is None or jump - record.frame <= JUMPED):
            return self._calls[jump]
        return None if other is None else self._calls[other]

    def rest(self) -> list[Entry]:
        """Those that have not come back."""
        alone = [made for made, of in self._hypercalls.values() if not of]
        return sorted([*self._calls.values(), *alone], key=lambda each: each.begun)


def entries(records: Sequence[Record], shapes: Mapping[int, Shape]) -> list[Entry]:
    """In the order in which they were begun."""
    pairing = Pairing(shapes)
    return [begun for record in records if (begun := pairing.feed(record)[0])]
