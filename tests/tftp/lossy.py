# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A bad network between clients of TFTP and a server on this machine's loopback interface: datagrams are
dropped, doubled and late, both ways."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import random
import selectors
import socket
import threading
import time
from collections import Counter

LOOPBACK = "127.0.0.1"
LATE_SECONDS = 0.01
ROOM = 70000


def datagrams() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind((LOOPBACK, 0))
    found.setblocking(False)
    return found


class Pair:
    """A client and the server, each with a socket that it takes for the other one."""

    def __init__(self, client: tuple[str, int], server: tuple[str, int]) -> None:
        self.client, self.server = client, server
        self.to_client, self.to_server = datagrams(), datagrams()


class Lossy:
    """Clients find the server at `port`. `counts` says what was done to how many."""

    def __init__(self, server: int, seed: int, drop: float, double: float, late: float) -> None:
        self.server = (LOOPBACK, server)
        self.random = random.Random(seed)
        self.drop, self.double, self.late = drop, double, late
        self.counts: Counter[str] = Counter()
        self.front = datagrams()
        self.port: int = self.front.getsockname()[1]
        self.pairs: dict[tuple[str, int], Pair] = {}
        self.waiting: list[tuple[float, int, socket.socket, bytes, tuple[str, int]]] = []
        self.numbers = itertools.count()
        self.ended = False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self._serve)

    def _pass(self, by: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        self.counts["datagrams"] += 1
        copies = 1
        if self.random.random() < self.double:
            self.counts["doubled"] += 1
            copies = 2
        for _ in range(copies):
            if self.random.random() < self.drop:
                self.counts["dropped"] += 1
            elif self.random.random() < self.late:
                self.counts["late"] += 1
                when = time.monotonic() + LATE_SECONDS
                heapq.heappush(self.waiting, (when, next(self.numbers), by, data, to))
            else:
                self._send(by, data, to)

    @staticmethod
    def _send(by: socket.socket, data: bytes, to: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # whoever it is for has gone
            by.sendto(data, to)

    def _take(self, at: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data, sender = at.recvfrom(ROOM)
            if at is self.front:
                if sender not in self.pairs:
                    pair = self.pairs[sender] = Pair(sender, self.server)
                    for each in (pair.to_client, pair.to_server):
                        self.selector.register(each, selectors.EVENT_READ, pair)
                self._pass(self.pairs[sender].to_server, data, self.server)
                return
            pair = self.selector.get_key(at).data
            if at is pair.to_server:
                pair.server = sender
                self._pass(pair.to_client, data, pair.client)
            else:
                self._pass(pair.to_server, data, pair.server)

    def _serve(self) -> None:
        while not self.ended:
            wait = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else 0.2
            for key, _ in self.selector.select(wait):
                self._take(key.fileobj)  # type: ignore[arg-type]
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                self._send(*heapq.heappop(self.waiting)[2:])

    def __enter__(self) -> Lossy:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self.selector.close()
