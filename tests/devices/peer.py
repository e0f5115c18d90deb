# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The other side of a guest's network, by QEMU's `-netdev dgram`, where a frame is a datagram (`Peer`), or by
`-netdev vhost-user`, where it takes the guest's queues itself (`Queues`).

It is 10.0.2.2 as the sample kernel's checks want it (sample_kernel/checks_networks.c), keeps account of what
comes, and sends noise beside the answers. A `Liar` takes the queues as well, and says of them what is not so.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ADDRESS = bytes.fromhex("020000000001")
IP = bytes((10, 0, 2, 2))
ARP, IPV4, NOISE = b"\x08\x06", b"\x08\x00", b"\x88\xb5"
ICMP_REQUEST = 8
HEADERS = 14 + 20 + 8
BROADCAST = b"\xff" * 6


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(data: bytes, at: int) -> bytes:
    return data[:at] + struct.pack(">H", checksum(data)) + data[at + 2 :]


def content(number: int, size: int) -> bytes:
    """What an echo of that number carries: content() of checks_networks.c."""
    return bytes((number * 151 + i * 7 + (i >> 8)) & 0xFF for i in range(size))


class Other:
    """What it answers, and the account."""

    def __init__(self) -> None:
        self.sizes: Counter[int] = Counter()
        """Echoes by the bytes of their frames."""
        self.wrong: list[str] = []
        self.noise = 0
        self.ended = False
        self.random = random.Random(1)
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        raise NotImplementedError

    def _answers(self, frame: bytes) -> Iterator[bytes]:
        source, kind, rest = frame[6:12], frame[12:14], frame[14:]
        if kind == ARP and rest[24:28] == IP:
            answer = rest[:6] + b"\0\2" + ADDRESS + IP + rest[8:18]
            yield (source + ADDRESS + ARP + answer).ljust(60, b"\0")
        elif kind == IPV4 and rest[9] == 1 and rest[20] == ICMP_REQUEST:
            self.sizes[len(frame)] += 1
            icmp = rest[20:]
            run, number = struct.unpack(">HH", icmp[4:8])
            if frame[:6] != ADDRESS or checksum(rest[:20]) or checksum(icmp):
                self.wrong.append(f"packet {number} of run {run}")
            elif run and icmp[8:] != content(number, len(frame) - HEADERS):
                self.wrong.append(f"content of packet {number} of run {run}")
            yield from self._noise(source)
            ip = with_checksum(rest[:10] + b"\0\0" + IP + rest[12:16], 10)
            yield source + ADDRESS + IPV4 + ip + with_checksum(b"\0\0\0\0" + icmp[4:], 2)

    def _noise(self, guest: bytes) -> Iterator[bytes]:
        """Now and then frames that are nobody's, of all sizes, and such that are cut short."""
        if self.random.randrange(4) == 0:
            self.noise += 1
            size = self.random.choice((14, 15, 60, self.random.randrange(14, 1515), 1514))
            yield (self.random.choice((guest, BROADCAST)) + ADDRESS + NOISE).ljust(size, b"\x33")

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        self.thread.join()


class Peer(Other):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.near, self.guest = folder / "peer", folder / "guest"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.near))
        self.socket.settimeout(0.2)

    @property
    def netdev(self) -> str:
        """The backend that joins a guest of QEMU to this."""
        return (f"dgram,local.type=unix,local.path={self.guest},"
                f"remote.type=unix,remote.path={self.near}")  # fmt: skip

    def _serve(self) -> None:
        with self.socket:
            while not self.ended:
                with contextlib.suppress(TimeoutError):
                    frame = self.socket.recv(65536)
                    for answer in self._answers(frame):
                        self._send(answer)

    def _send(self, frame: bytes) -> None:
        """Waits while the guest takes none, for nothing may be lost."""
        while not self.ended:
            try:
                self.socket.sendto(frame, str(self.guest))
                return
            except TimeoutError:
                continue
            except OSError:  # the guest has gone
                return


# Requests of vhost-user (QEMU 7.2, docs/interop/vhost-user.rst), and features.
GET_FEATURES, SET_MEMORY, SET_NUMBER, SET_ADDRESSES, SET_BASE, GET_BASE = 1, 5, 8, 9, 10, 11
SET_KICK, SET_CALL, GET_PROTOCOL, GET_QUEUES = 12, 13, 15, 17
REPLY, NO_FILE = 5, 0x100
FEATURES = 1 << 32 | 1 << 30 | 1 << 28 | 1 << 22
"""VERSION_1, vhost-user's own, indirect descriptors, several pairs."""
NEXT, WRITE, INDIRECT = 1, 2, 4
HEADER = 12
"""Of virtio before each frame."""


@dataclass
class Ring:
    size: int = 0
    base: int = 0
    descriptors: int = 0
    used: int = 0
    available: int = 0
    call: int = -1
    runs: bool = False


class Queues(Other):
    """With two pairs of queues; what is asked by one of them is answered by it."""

    PAIRS = 2

    def __init__(self, folder: Path, name: str = "queues") -> None:
        super().__init__()
        self.name = name
        self.path = folder / name
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.path))
        self.listening.listen(1)
        self.listening.settimeout(0.2)
        self.asked: Counter[int] = Counter()
        """Frames by the pair that they came by."""
        self.rings = [Ring() for _ in range(2 * self.PAIRS)]
        self.waiting: list[list[bytes]] = [[] for _ in range(self.PAIRS)]
        self.regions: list[tuple[int, int, mmap.mmap, int]] = []
        """Of the guest's memory: QEMU's address, bytes, the mapping here and where in it."""
        self.physical: list[int] = []
        """And the guest's address of each."""

    @property
    def arguments(self) -> str:
        """What QEMU wants beside `netdev`, and beside `shared_memory` for all of them."""
        return f"-chardev socket,id={self.name},path={self.path}"

    @property
    def netdev(self) -> str:
        return f"vhost-user,chardev={self.name},queues={self.PAIRS}"

    # ---- the guest's memory, by QEMU's addresses ----

    def _at(self, address: int, size: int) -> tuple[mmap.mmap, int]:
        for start, length, memory, offset in self.regions:
            if start <= address and address + size <= start + length:
                return memory, address - start + offset
        raise ValueError(f"nothing is at {address:#x}")

    def _read(self, address: int, size: int) -> bytes:
        memory, at = self._at(address, size)
        return memory[at : at + size]

    def _write(self, address: int, data: bytes) -> None:
        memory, at = self._at(address, len(data))
        memory[at : at + len(data)] = data

    def _user(self, physical: int) -> int:
        """QEMU's address of one of the guest's."""
        for (start, length, _, _), first in zip(self.regions, self.physical, strict=True):
            if first <= physical < first + length:
                return start + physical - first
        raise ValueError(f"the guest has nothing at {physical:#x}")

    # ---- rings ----

    def _chain(self, ring: Ring, head: int) -> Iterator[tuple[int, int, int]]:
        """Address, length and flags of each descriptor."""
        table, number = ring.descriptors, head
        while True:
            address, length, flags, following = struct.unpack("<QIHH", self._read(table + 16 * number, 16))
            if flags & INDIRECT:
                table, number = self._user(address), 0
                continue
            yield self._user(address), length, flags
            if not flags & NEXT:
                return
            number = following

    def _take(self, ring: Ring) -> int | None:
        (index,) = struct.unpack("<H", self._read(ring.available + 2, 2))
        if index == ring.base:
            return None
        at = ring.available + 4 + 2 * (ring.base % ring.size)
        ring.base = (ring.base + 1) & 0xFFFF
        return int.from_bytes(self._read(at, 2), "little")

    def _end(self, ring: Ring, head: int, length: int) -> None:
        self._say_ended(ring, [(head, length)], 1)

    def _say_ended(self, ring: Ring, ended: Sequence[tuple[int, int]], count: int) -> None:
        """These, identifier and length, and that there are so many."""
        (index,) = struct.unpack("<H", self._read(ring.used + 2, 2))
        for number, (head, length) in enumerate(ended):
            at = ring.used + 4 + 8 * ((index + number) % ring.size)
            self._write(at, struct.pack("<II", head, length))
        self._write(ring.used + 2, struct.pack("<H", (index + count) & 0xFFFF))
        if ring.call >= 0:
            os.write(ring.call, struct.pack("<Q", 1))

    def _work(self) -> None:
        for pair in range(self.PAIRS):
            receiving, sending = self.rings[2 * pair : 2 * pair + 2]
            while sending.runs and (head := self._take(sending)) is not None:
                packet = b"".join(self._read(at, size) for at, size, _ in self._chain(sending, head))
                self._end(sending, head, 0)
                self.asked[pair] += 1
                self.waiting[pair] += self._answers(packet[HEADER:])
            while receiving.runs and self.waiting[pair] and (head := self._take(receiving)) is not None:
                left = b"\0" * (HEADER - 2) + b"\1\0" + self.waiting[pair].pop(0)
                length = len(left)
                for at, size, flags in self._chain(receiving, head):
                    if not flags & WRITE:
                        self.wrong.append("a buffer to receive is not to be written")
                    self._write(at, left[:size])
                    left = left[size:]
                self._end(receiving, head, length)

    # ---- QEMU's requests ----

    def _answer(self, stream: socket.socket) -> bool:
        """One of them; false if QEMU has gone."""
        head, files, _, _ = socket.recv_fds(stream, 12, 8)
        if len(head) < 12:
            return False
        request, _, size = struct.unpack("<III", head)
        payload = stream.recv(size, socket.MSG_WAITALL) if size else b""
        number = struct.unpack("<I", payload[:4])[0] if len(payload) >= 4 else 0
        ring = self.rings[number & 0xFF] if number & 0xFF < len(self.rings) else Ring()
        reply = None
        if request == GET_FEATURES:
            reply = struct.pack("<Q", FEATURES)
        elif request == GET_PROTOCOL:
            reply = struct.pack("<Q", 1)  # several queues
        elif request == GET_QUEUES:
            reply = struct.pack("<Q", self.PAIRS)
        elif request == SET_MEMORY:
            told = [struct.unpack("<QQQQ", payload[8 + 32 * i : 40 + 32 * i]) for i in range(number)]
            self.physical = [physical for physical, _, _, _ in told]
            self.regions = [
                (user, length, mmap.mmap(file, length + offset), offset)
                for (_, length, user, offset), file in zip(told, files, strict=True)
            ]
        elif request == SET_NUMBER:
            ring.size = struct.unpack("<I", payload[4:8])[0]
        elif request == SET_ADDRESSES:
            ring.descriptors, ring.used, ring.available = struct.unpack("<QQQ", payload[8:32])
        elif request == SET_BASE:
            ring.base = struct.unpack("<I", payload[4:8])[0]
        elif request == GET_BASE:
            ring.runs = False
            reply = struct.pack("<II", number, ring.base)
        elif request == SET_KICK:
            ring.runs = True  # looked at all the time, kicked or not
        elif request == SET_CALL and not number & NO_FILE:
            ring.call = files.pop()
        for file in files:
            os.close(file)
        if reply is not None:
            stream.sendall(struct.pack("<III", request, REPLY, len(reply)) + reply)
        return True

    def _serve(self) -> None:
        with self.listening:
            while not self.ended:
                with contextlib.suppress(TimeoutError):
                    stream, _ = self.listening.accept()
                    break
            else:
                return
        stream.settimeout(None)
        with stream:
            while not self.ended:
                if select.select([stream], [], [], 0.001)[0] and not self._answer(stream):
                    return
                self._work()


def shared_memory(mib: int) -> str:
    """A guest's memory that backends by vhost-user see, for a machine with `memory-backend=memory`."""
    return f"-object memory-backend-memfd,id=memory,size={mib}M,share=on"


@dataclass(frozen=True)
class Lie:
    sending: bool
    """Whether it is about what is sent, not about what is received."""
    ended: Callable[[int, int], Sequence[tuple[int, int]]]
    """What has ended in place of an identifier and a length."""
    count: int
    """And how many that is said to be."""
    found: str
    """As what the sample kernel finds it (checks_liars.c)."""


LIES = {
    "foreign": Lie(True, lambda head, length: [(head + 0x1000, length)], 1, "id"),
    "negative": Lie(False, lambda head, length: [(0xFFFFFFFF, length)], 1, "id"),
    "twice": Lie(True, lambda head, length: [(head, length)] * 2, 2, "id"),
    "long": Lie(False, lambda head, length: [(head, 0x10000)], 1, "length"),
    "short": Lie(False, lambda head, length: [(head, HEADER - 1)], 1, "length"),
    "written": Lie(True, lambda head, length: [(head, 1)], 1, "length"),
    "ahead": Lie(True, lambda head, length: [(head, length)], 0x4000, "count"),
    "back": Lie(False, lambda head, length: [(head, length)], -1, "count"),
}


class Liar(Queues):
    """Tells one lie of the first that it takes of a ring, and nothing of those behind."""

    PAIRS = 1

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.lie = LIES[name]

    def _end(self, ring: Ring, head: int, length: int) -> None:
        if self.lie.sending != (ring is self.rings[1]):
            super()._end(ring, head, length)
        elif ring.base == 1:
            self._say_ended(ring, self.lie.ended(head, length), self.lie.count)
