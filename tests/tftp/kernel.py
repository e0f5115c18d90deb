# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""examples/tftp as a process of this machine (host.c), and what talks to it: frames, a DHCP server, a client
of TFTP, a network in which time is a number and packets get lost."""

from __future__ import annotations

import heapq
import itertools
import random
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.build import tree
from ci.util import ROOT, tied

from ..devices.peer import ARP, IPV4, checksum, with_checksum

EXAMPLE = ROOT / "examples/tftp"
LOGIC = ("dhcp.c", "iso9660.c", "net.c", "server.c", "tftp.c")
"""Files of the example that need no machine."""

ETHER = bytes.fromhex("525400123456")
"""The kernel's own, as host.c has it."""
OTHER = bytes.fromhex("020000000001")
EVERYBODY = b"\xff" * 6
OWN_IP, OTHER_IP = bytes((10, 0, 2, 15)), bytes((10, 0, 2, 2))
ALL_IP = b"\xff" * 4
UDP, ICMP = 17, 1
TFTP, DHCP_SERVER, DHCP_CLIENT = 69, 67, 68
SECOND = 1_000_000_000
READ, WRITE, DATA, ACK, ERROR, OACK = range(1, 7)


def build(folder: Path) -> Path:
    """The program; errors that the compiler can see while it runs end it."""
    program = folder / "host"
    subprocess.run(
        ["gcc", "-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
         "-fno-sanitize-recover=all", "-DVMI_ALLOW_SSE", f"-I{tree('x86_64') / 'include'}", f"-I{EXAMPLE}",
         "-o", program, Path(__file__).with_name("host.c"), *(EXAMPLE / name for name in LOGIC)],
        check=True,
    )  # fmt: skip
    return program


def ip(protocol: int, payload: bytes, source: bytes = OTHER_IP, to: bytes = OWN_IP, part: int = 0) -> bytes:
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, part, 64, protocol, 0) + source + to
    return with_checksum(head, 10) + payload


def frame(kind: bytes, payload: bytes, to: bytes = ETHER, source: bytes = OTHER) -> bytes:
    return (to + source + kind + payload).ljust(60, b"\0")


def udp(
    port: int, to_port: int, content: bytes, check: bool = True, source: bytes = OTHER_IP, to: bytes = OWN_IP
) -> bytes:
    """A datagram's frame."""
    size = 8 + len(content)
    body = struct.pack(">HHHH", port, to_port, size, 0) + content
    if check:
        value = checksum(source + to + struct.pack(">HH", UDP, size) + body) or 0xFFFF
        body = body[:6] + struct.pack(">H", value) + body[8:]
    return frame(IPV4, ip(UDP, body, source, to))


@dataclass(frozen=True)
class Sent:
    """A datagram of the kernel's."""

    ether: bytes
    source: bytes
    to: bytes
    port: int
    to_port: int
    content: bytes


def datagram(data: bytes) -> Sent | None:
    """What a frame of the kernel's carries, if that is a datagram; all about it has to be right."""
    assert data[6:12] == ETHER and 60 <= len(data) <= 1514
    if data[12:14] != IPV4:
        return None
    packet = data[14:]
    assert packet[0] == 0x45 and checksum(packet[:20]) == 0
    size = struct.unpack(">H", packet[2:4])[0]
    assert size <= len(packet) and (len(packet) == size or len(data) == 60)
    if packet[9] != UDP:
        return None
    body = packet[20:size]
    assert struct.unpack(">H", body[4:6])[0] == len(body) and body[6:8] != b"\0\0"
    assert checksum(packet[12:20] + struct.pack(">HH", UDP, len(body)) + body) == 0
    port, to_port = struct.unpack(">HH", body[:4])
    return Sent(data[:6], packet[12:16], packet[16:20], port, to_port, body[8:])


class Kernel:
    """The process. What it has sent is in `frames` until `take` or `datagrams` takes it."""

    def __init__(self, program: Path, disk: Path, room: int = 64) -> None:
        self.room = room
        self.process = subprocess.Popen(
            [program, disk, str(room)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=tied(),
        )  # fmt: skip
        self.frames: list[bytes] = []
        self.lines: list[str] = []
        self.now = 0
        self.due = 0
        self.full = False
        """Whether the card had no room for more."""
        self._read()

    def _read(self) -> None:
        assert self.process.stdout
        sent = 0
        while len(head := self.process.stdout.read(5)) == 5:
            kind, content = head[:1], self.process.stdout.read(struct.unpack("=I", head[1:])[0])
            if kind == b"F":
                self.frames.append(content)
                sent += 1
            elif kind == b"L":
                self.lines.append(content.decode("latin-1"))
            else:
                self.due = struct.unpack("=Q", content)[0]
                self.full = sent == self.room
                return
        _, said = self.process.communicate()
        raise AssertionError(f"ended with {self.process.returncode}: {said.decode()[-3000:]}")

    def _give(self, kind: bytes, content: bytes) -> None:
        assert self.process.stdin
        for each, what in ((b"N", struct.pack("=Q", self.now)), (kind, content)):
            self.process.stdin.write(each + struct.pack("=I", len(what)) + what)
        self.process.stdin.flush()
        self._read()

    def give(self, *frames: bytes) -> None:
        for each in frames:
            self._give(b"F", each)

    def at(self, now: int) -> None:
        """It is that time, in nanoseconds, and the kernel's wait ends."""
        self.now = max(now, self.now)
        self._give(b"T", b"")

    def take(self) -> list[bytes]:
        taken, self.frames = self.frames, []
        return taken

    def datagrams(self) -> list[Sent]:
        return [sent for each in self.take() if (sent := datagram(each))]

    def close(self) -> None:
        if self.process.poll() is None:
            _, said = self.process.communicate()
            assert self.process.returncode == 0, said.decode()[-3000:]

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# ---- DHCP


def options(content: bytes) -> dict[int, bytes]:
    found, at = {}, 240
    while content[at] != 255:
        if content[at] == 0:
            at += 1
            continue
        found[content[at]] = content[at + 2 : at + 2 + content[at + 1]]
        at += 2 + content[at + 1]
    return found


def answer(asked: Sent, kind: int, more: Mapping[int, bytes] | None = None, **changed: object) -> bytes:
    """The content of a DHCP server's answer. `changed`: address, ether, xid, op, tail."""
    given = {53: bytes((kind,)), 54: OTHER_IP, 51: struct.pack(">I", 3600), **(more or {})}
    xid = changed.get("xid", asked.content[4:8])
    head = struct.pack(">BBBB4sHH4s4s4s4s16s64s128s4s", changed.get("op", 2), 1, 6, 0, xid, 0, 0, b"",
                       changed.get("address", OWN_IP), b"", b"", changed.get("ether", ETHER), b"", b"",
                       b"\x63\x82\x53\x63")  # fmt: skip
    tail = b"".join(bytes((code, len(value))) + value for code, value in given.items() if value) + b"\xff"
    return head + changed.get("tail", tail)  # type: ignore[operator]


def from_server(content: bytes) -> bytes:
    return udp(DHCP_SERVER, DHCP_CLIENT, content, to=ALL_IP)


def lease(kernel: Kernel, more: Mapping[int, bytes] | None = None) -> None:
    """The kernel gets its address."""
    (discover,) = kernel.datagrams()
    kernel.give(from_server(answer(discover, 2, more)))
    (request,) = kernel.datagrams()
    kernel.give(from_server(answer(request, 5, more)))
    (announced,) = kernel.take()
    assert announced[12:14] == ARP


# ---- TFTP


def request(name: str, mode: str = "octet", operation: int = READ, **asked: object) -> bytes:
    words = [name, mode, *itertools.chain(*((key, str(value)) for key, value in asked.items()))]
    return struct.pack(">H", operation) + b"".join(word.encode() + b"\0" for word in words)


def ack(number: int) -> bytes:
    return struct.pack(">HH", ACK, number & 0xFFFF)


def accepted(content: bytes) -> dict[str, str]:
    """The options that were, by name."""
    assert content[:2] == struct.pack(">H", OACK) and content[-1:] == b"\0"
    words = content[2:-1].decode().split("\0")
    return dict(zip(words[::2], words[1::2], strict=True))


@dataclass
class Client:
    """Reads one file."""

    name: str
    port: int
    asked: Mapping[str, object] = field(default_factory=dict)
    server: int = TFTP
    got: bytearray = field(default_factory=bytearray)
    blocks: int = 0
    """That have come, in order."""
    size: int = 512
    window: int = 1
    done: bool = False
    error: str = ""
    last: bytes = b""
    told: bool = False
    """Whether the server knows that something is missing."""

    def begin(self) -> list[bytes]:
        self.last = request(self.name, **self.asked)
        return [self.last]

    def again(self) -> list[bytes]:
        return [] if self.done else [self.last]

    def _acknowledge(self) -> list[bytes]:
        self.last = ack(self.blocks)
        return [self.last]

    def take(self, sent: Sent) -> list[bytes]:
        """What it says to that."""
        operation, number = struct.unpack(">HH", sent.content[:4])
        if self.server == TFTP:
            self.server = sent.port
        if sent.port != self.server or self.done:
            return []
        if operation == ERROR:
            self.done, self.error = True, sent.content[4:-1].decode()
        elif operation == OACK and not self.blocks:
            found = accepted(sent.content)
            self.size, self.window = int(found.get("blksize", 512)), int(found.get("windowsize", 1))
            return self._acknowledge()
        elif operation == DATA and number == (self.blocks + 1) & 0xFFFF:
            self.blocks += 1
            self.told = False
            self.got += sent.content[4:]
            self.done = len(sent.content) - 4 < self.size
            assert len(sent.content) - 4 <= self.size
            if self.done or self.blocks % self.window == 0:
                return self._acknowledge()
        elif operation == DATA and not self.told:
            self.told = True
            return self._acknowledge()
        return []


@dataclass
class Losses:
    """What a network does to packets, each with this probability."""

    random: random.Random
    drop: float = 0.0
    double: float = 0.0
    late: float = 0.0
    """Comes later than some of those that follow it."""

    def delays(self) -> Iterator[int]:
        """Of the copies of a packet that get there."""
        for _ in range(2 if self.random.random() < self.double else 1):
            if self.random.random() >= self.drop:
                yield MILLISECOND * (self.random.randrange(2, 8) if self.random.random() < self.late else 1)


MILLISECOND = 1_000_000
CLIENT_PATIENCE = 3 * SECOND


def fetch(kernel: Kernel, clients: Sequence[Client], losses: Losses | None = None, most: int = 3600) -> None:
    """Has clients read their files at the same time."""
    losses = losses or Losses(random.Random(0))
    by_port = {client.port: client for client in clients}
    number = itertools.count()
    heap: list[tuple[int, int, Client | Sent | bytes | None]] = []
    """When, in which order, and what: a client's patience ends, a datagram is there, a frame is, the kernel's
    wait ends."""
    waits = dict.fromkeys(by_port, 0)
    now = kernel.now
    end = now + most * SECOND

    def later(when: int, what: Client | Sent | bytes | None) -> None:
        heapq.heappush(heap, (when, next(number), what))

    def say(client: Client, contents: Sequence[bytes]) -> None:
        waits[client.port] = now + CLIENT_PATIENCE
        later(waits[client.port], client)
        for content in contents:
            for delay in losses.delays():
                later(now + delay, udp(client.port, client.server, content))

    for client in clients:
        say(client, client.begin())
    while heap and not all(client.done for client in clients):
        when, _, what = heapq.heappop(heap)
        assert when < end, f"after {most} s: {[(client.name, client.blocks) for client in clients]}"
        now = when
        if isinstance(what, Client):
            if waits[what.port] <= when:
                say(what, what.again())
            continue
        if isinstance(what, Sent):
            if contents := by_port[what.to_port].take(what):
                say(by_port[what.to_port], contents)
            continue
        kernel.now = max(when, kernel.now)
        if isinstance(what, bytes):
            kernel.give(what)
        elif kernel.due > when:
            continue  # it waits for something else now
        else:
            kernel.at(when)
        while kernel.full:  # the card has room again
            kernel.at(when)
        for sent in kernel.datagrams():
            for delay in losses.delays() if sent.to_port in by_port else ():
                later(when + delay, sent)
        later(kernel.due, None)
