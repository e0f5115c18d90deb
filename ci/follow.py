# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace --live`: the ring of the flavour `traced` is read while the guest runs, out of the file that
is its memory, so that each call is written as it comes back, also of more than the ring has room for."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .elf_core import Dump, Piece
from .rig import MEMORY_HELD
from .ring import Entry, Followed, Pairing, Record, Ring, Shape

PERIOD = 0.01
"""Seconds between two looks: the ring has room for what a guest calls in some tenths of one."""
PORTION = 2000
"""Records between two looks while there are some to be written."""
MIB = 1 << 20


class Follower:
    """Calls of a guest whose memory is a file: `over` gets each that has come back, in this order, and at the
    end those that have not; with the time of the first record, and the TSC's frequency. `shapes` are the
    calls', by ordinal."""

    def __init__(
        self,
        file: Path,
        memory_mib: int,
        shapes: Mapping[int, Shape],
        over: Callable[[Entry, int, int], None],
    ) -> None:
        self.made: list[Entry] = []
        """In the order in which they were begun."""
        self.ring: Ring | None = None
        """What there is to say of the ring, once all is read; None if there was none."""
        self._file = file
        self._size = min(memory_mib, MEMORY_HELD) * MIB
        self._over = over
        self._records: list[Record] = []
        self._pairing = Pairing(shapes)
        self._start: int | None = None

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Follows the guest that runs meanwhile; afterwards all is read."""
        self._file.touch()
        with open(self._file, "r+b") as file:
            file.truncate(self._size)
            with mmap.mmap(file.fileno(), self._size, access=mmap.ACCESS_READ) as memory:
                followed = Followed(Dump(memory, [Piece(0, self._size, 0)], []))
                ended = threading.Event()
                reader = threading.Thread(target=self._read, args=(followed, ended), daemon=True)
                reader.start()
                try:
                    yield
                finally:
                    ended.set()
                    reader.join()
                    self._rest(followed)

    def _read(self, followed: Followed, ended: threading.Event) -> None:
        while not ended.is_set():
            self._records += followed.take()
            if not self._write(followed):
                ended.wait(PERIOD)

    def _rest(self, followed: Followed) -> None:
        self._records += followed.take(last=True)
        while self._write(followed):
            pass
        if followed.found:
            self.ring = followed.ring()
            for call in self._pairing.rest():
                self._say(call)

    def _write(self, followed: Followed) -> int:
        """Of the records that wait, a portion at most; how many."""
        records: Sequence[Record] = self._records[:PORTION]
        del self._records[:PORTION]
        if records:
            self.ring = followed.ring()
        for record in records:
            if self._start is None:
                self._start = record.time
            begun, over = self._pairing.feed(record)
            if begun:
                self.made.append(begun)
            if over:
                self._say(over)
        return len(records)

    def _say(self, call: Entry) -> None:
        assert self.ring and self._start is not None
        self._over(call, self._start, self.ring.frequency)
