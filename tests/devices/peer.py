# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The other side of a guest's network, by QEMU's `-netdev dgram`: a frame is a datagram.

It is 10.0.2.2 as the sample kernel's checks want it (sample_kernel/checks_networks.c), keeps account of what
comes, and sends noise beside the answers.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

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


class Peer:
    def __init__(self, folder: Path) -> None:
        self.near, self.guest = folder / "peer", folder / "guest"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.near))
        self.socket.settimeout(0.2)
        self.sizes: Counter[int] = Counter()
        """Echoes by the bytes of their frames."""
        self.wrong: list[str] = []
        self.noise = 0
        self.ended = False
        self.random = random.Random(1)
        self.thread = threading.Thread(target=self._serve)

    @property
    def netdev(self) -> str:
        """The backend that joins a guest of QEMU to this."""
        return (f"dgram,local.type=unix,local.path={self.guest},"
                f"remote.type=unix,remote.path={self.near}")  # fmt: skip

    def _serve(self) -> None:
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

    def __enter__(self) -> Peer:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = True
        self.thread.join()
        self.socket.close()
