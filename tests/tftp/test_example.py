# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""examples/tftp without its machine (host.c): what it says to whom, and that nothing that comes from the
network or the disk does it harm."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci.setup import FOR_TESTS, provide

from ..devices.peer import ARP, IPV4, checksum, with_checksum
from ..seeds import SEED
from .kernel import (
    ALL_IP,
    DATA,
    DHCP_CLIENT,
    DHCP_SERVER,
    ERROR,
    ETHER,
    EVERYBODY,
    ICMP,
    OTHER,
    OTHER_IP,
    OWN_IP,
    SECOND,
    TFTP,
    WRITE,
    Client,
    Kernel,
    Losses,
    Sent,
    accepted,
    ack,
    answer,
    build,
    fetch,
    frame,
    from_server,
    ip,
    lease,
    options,
    request,
    udp,
)  # fmt: skip

LONG_NAME = "a name with spaces, of which plain ISO 9660 would not have much left.txt"


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(size + seed).randbytes(size)


FILES = {
    "empty": b"",
    "one": b"1",
    "511": content(511),
    "512": content(512),
    "513": content(513),
    "many": content(2048 * 70 + 5),
    "folder/inner/deep.bin": content(3000),
    LONG_NAME: b"long",
    **{f"crowd/file-{number}": str(number).encode() for number in range(200)},
}


def make_disk(folder: Path, *words: str) -> Path:
    provide({"xorriso": FOR_TESTS["xorriso"]})
    for name, data in FILES.items():
        path = folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    disk = folder / "disk.iso"
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", *words, "-V", "FILES", "-o", disk, folder / "files"],
        check=True, capture_output=True,
    )  # fmt: skip
    return disk


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("tftp"))


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_disk(tmp_path_factory.mktemp("long"), "-R")


@pytest.fixture
def bare(program: Path, disk: Path) -> Iterator[Kernel]:
    """Without an address."""
    with Kernel(program, disk) as found:
        yield found


@pytest.fixture
def kernel(bare: Kernel) -> Kernel:
    lease(bare)
    return bare


# ---- its address


def test_address_is_asked_for(bare: Kernel) -> None:
    (discover,) = bare.datagrams()
    assert (discover.ether, discover.source, discover.to) == (EVERYBODY, b"\0" * 4, ALL_IP)
    assert (discover.port, discover.to_port) == (DHCP_CLIENT, DHCP_SERVER)
    assert options(discover.content)[53] == b"\1" and len(discover.content) >= 300
    assert discover.content[28:34] == ETHER and discover.content[236:240] == b"\x63\x82\x53\x63"
    bare.give(from_server(answer(discover, 2)))
    (wanted,) = bare.datagrams()
    said = options(wanted.content)
    assert (said[53], said[50], said[54]) == (b"\3", OWN_IP, OTHER_IP)
    assert wanted.content[4:8] == discover.content[4:8] and wanted.to == ALL_IP
    bare.give(from_server(answer(wanted, 5)))
    (announced,) = bare.take()
    assert announced[:6] == EVERYBODY and announced[12:14] == ARP
    assert announced[28:32] == announced[38:42] == OWN_IP
    assert bare.lines[-1] == "address 10.0.2.15, from 10.0.2.2 for 3600 s"


def test_address_is_asked_for_again(bare: Kernel) -> None:
    """Later each time, a minute at most, and without end."""
    gaps = []
    bare.take()
    for _ in range(10):
        gaps.append((bare.due - bare.now) / SECOND)
        bare.at(bare.due)
        assert len(bare.datagrams()) == 1
    for gap, least in zip(gaps, [4, 8, 16, 32, 64, 64, 64, 64, 64, 64], strict=True):
        assert least <= gap <= least + 1


def refused(**changed: object) -> Callable[[Sent], bytes]:
    return lambda asked: from_server(answer(asked, 2, **changed))  # type: ignore[arg-type]


NO_OFFERS = {
    "another's": refused(xid=b"1234"),
    "another card's": refused(ether=OTHER),
    "a request": refused(op=1),
    "no address": refused(address=b"\0" * 4),
    "no host's address": refused(address=bytes((224, 0, 0, 1))),
    "a loopback address": refused(address=bytes((127, 0, 0, 1))),
    "no server": refused(more={54: b""}),
    "a server cut short": refused(more={54: b"\1\2"}),
    "options that do not end": refused(tail=bytes((53, 1, 2, 54, 4, 10, 0, 2))),
    "an option without a length": refused(tail=bytes((53, 1, 2, 54, 4, 10, 0, 2, 2, 51))),
    "no options": refused(tail=b""),
    "an answer of another kind": lambda asked: from_server(answer(asked, 5)),
    "a short message": lambda asked: from_server(answer(asked, 2)[:239]),
    "no cookie": lambda asked: from_server(answer(asked, 2)[:236] + b"cook" + answer(asked, 2)[240:]),
    "from another port": lambda asked: udp(66, DHCP_CLIENT, answer(asked, 2), to=ALL_IP),
    "to another port": lambda asked: udp(DHCP_SERVER, 67, answer(asked, 2), to=ALL_IP),
}


@pytest.mark.parametrize("case", NO_OFFERS)
def test_what_is_no_offer(bare: Kernel, case: str) -> None:
    (discover,) = bare.datagrams()
    bare.give(NO_OFFERS[case](discover))
    assert bare.datagrams() == []
    bare.give(from_server(answer(discover, 2)))
    (wanted,) = bare.datagrams()
    assert options(wanted.content)[53] == b"\3"


def test_another_server_has_no_say(bare: Kernel) -> None:
    (discover,) = bare.datagrams()
    bare.give(from_server(answer(discover, 2)))
    (wanted,) = bare.datagrams()
    for kind in (5, 6):
        bare.give(from_server(answer(wanted, kind, {54: bytes((10, 0, 2, 9))})))
        assert bare.take() == []
    bare.give(from_server(answer(wanted, 5, {51: b"\0\0\0\0"})))  # for no time
    assert bare.take() == []
    bare.give(from_server(answer(wanted, 6)))
    bare.at(bare.due)
    (anew,) = bare.datagrams()
    assert options(anew.content)[53] == b"\1" and anew.content[4:8] != wanted.content[4:8]


def test_offer_that_comes_to_nothing(bare: Kernel) -> None:
    """A server that falls silent is not asked for ever."""
    (discover,) = bare.datagrams()
    bare.give(from_server(answer(discover, 2)))
    kinds = []
    for _ in range(6):
        kinds += [options(sent.content)[53] for sent in bare.datagrams()]
        bare.at(bare.due)
    assert kinds[:4] == [b"\3"] * 4 and kinds[4] == b"\1"


def test_address_is_kept(kernel: Kernel) -> None:
    """It is renewed at half of its time with the server that gave it."""
    assert kernel.due == 1800 * SECOND
    kernel.at(kernel.due)
    (renewal,) = kernel.datagrams()
    assert (renewal.ether, renewal.source, renewal.to) == (OTHER, OWN_IP, OTHER_IP)
    assert renewal.content[12:16] == OWN_IP
    assert set(options(renewal.content)) == {53}
    kernel.give(udp(DHCP_SERVER, DHCP_CLIENT, answer(renewal, 5)))
    assert kernel.take() == [] and kernel.due == 3600 * SECOND


def test_address_is_lost(kernel: Kernel) -> None:
    """Nobody answers: the server is asked, then everybody, then it begins anew."""
    asked = []
    while kernel.now < 3600 * SECOND:
        kernel.at(kernel.due)
        asked += [(kernel.now // SECOND, sent.to, sent.source) for sent in kernel.datagrams()]
    assert asked[0] == (1800, OTHER_IP, OWN_IP)
    assert {to for when, to, _ in asked if when < 3150} == {OTHER_IP}
    assert {to for when, to, _ in asked if when >= 3150} == {ALL_IP}
    assert asked[-1][2] == b"\0" * 4 and asked[-2][2] == OWN_IP
    assert kernel.lines[-1] == "10.0.2.15 is no longer this kernel's"
    kernel.give(udp(5000, TFTP, request("one")))
    assert kernel.take() == []


def test_times_that_the_server_names(bare: Kernel) -> None:
    lease(bare, {51: struct.pack(">I", 1000), 58: struct.pack(">I", 100), 59: struct.pack(">I", 200)})
    assert bare.due == 100 * SECOND
    bare.at(100 * SECOND)
    assert bare.datagrams()[0].to == OTHER_IP
    bare.at(200 * SECOND)
    assert bare.datagrams()[0].to == ALL_IP


def test_times_that_cannot_be(bare: Kernel) -> None:
    lease(bare, {51: struct.pack(">I", 1000), 58: struct.pack(">I", 2000), 59: struct.pack(">I", 3000)})
    assert bare.due == 500 * SECOND


def test_address_for_ever(bare: Kernel) -> None:
    lease(bare, {51: b"\xff" * 4})
    assert bare.due == 2**64 - 1


# ---- the network


def asked_for(address: bytes = OWN_IP, operation: int = 1, head: str = "000108000604") -> bytes:
    question = bytes.fromhex(head) + struct.pack(">H", operation) + OTHER + OTHER_IP + b"\0" * 6 + address
    return frame(ARP, question, EVERYBODY)


def test_arp(kernel: Kernel) -> None:
    kernel.give(asked_for())
    (said,) = kernel.take()
    assert said[:14] == OTHER + ETHER + ARP
    assert said[14:42] == bytes.fromhex("0001080006040002") + ETHER + OWN_IP + OTHER + OTHER_IP
    kernel.give(asked_for(OTHER_IP), asked_for(operation=2), asked_for(head="000108000605"), asked_for()[:41])
    assert kernel.take() == []


def echo(size: int, kind: int = 8, code: int = 0) -> bytes:
    return with_checksum(struct.pack(">BBHHH", kind, code, 0, 77, size) + content(size), 2)


@pytest.mark.parametrize("size", [0, 1, 17, 18, 19, 56, 1472])
def test_echo(kernel: Kernel, size: int) -> None:
    kernel.give(frame(IPV4, ip(ICMP, echo(size))))
    (said,) = kernel.take()
    packet = said[14:]
    assert said[:14] == OTHER + ETHER + IPV4 and packet[12:20] == OWN_IP + OTHER_IP
    assert checksum(packet[:20]) == checksum(packet[20 : 28 + size]) == 0
    assert packet[20:22] == b"\0\0" and packet[24 : 28 + size] == echo(size)[4:]


def broken(at: int, value: bytes, check: bool = True) -> bytes:
    """An echo with other bytes in its IP header."""
    packet = ip(ICMP, echo(56))
    head = packet[:at] + value + packet[at + len(value) : 20]
    if check:
        head = with_checksum(head[:10] + b"\0\0" + head[12:], 10)
    return frame(IPV4, head + packet[20:])


NOT_TAKEN = {
    "a wrong checksum": broken(8, b"\1", check=False),
    "version 6": broken(0, b"\x65"),
    "a short header": broken(0, b"\x44"),
    "a header beyond the frame": broken(0, b"\x4f")[:50],
    "longer than the frame": broken(2, b"\x05\xdc"),
    "shorter than its header": broken(2, b"\0\x13"),
    "a first part": broken(6, b"\x20\0"),
    "a last part": broken(6, b"\0\1"),
    "for another": broken(16, OTHER_IP),
    "for all": broken(16, ALL_IP),
    "from all": broken(12, ALL_IP),
    "from no host": broken(12, b"\0\0\0\0"),
    "from this machine": broken(12, b"\x7f\0\0\1"),
    "another protocol": broken(9, b"\6"),
    "for another card": frame(IPV4, ip(ICMP, echo(56)), OTHER),
    "from several": frame(IPV4, ip(ICMP, echo(56)), source=b"\1" + OTHER[1:]),
    "another kind of frame": frame(b"\x88\xb5", ip(ICMP, echo(56))),
    "a wrong checksum inside": frame(IPV4, ip(ICMP, echo(56)[:-1] + b"\0")),
    "an answer": frame(IPV4, ip(ICMP, echo(56, 0))),
    "a code": frame(IPV4, ip(ICMP, echo(56, 8, 1))),
    "an echo without a header": frame(IPV4, ip(ICMP, echo(0)[:7])),
    "a header alone": frame(IPV4, b"")[:14],
    "a datagram without a header": frame(IPV4, ip(17, b"\0" * 7)),
    "a datagram that is too long": frame(IPV4, ip(17, struct.pack(">HHHH", 9, TFTP, 99, 0) + request("one"))),
    "a datagram that is too short": frame(IPV4, ip(17, struct.pack(">HHHH", 9, TFTP, 7, 0) + request("one"))),
    "a datagram with a wrong checksum": frame(
        IPV4, ip(17, struct.pack(">HHHH", 9, TFTP, 8 + len(request("one")), 1) + request("one"))
    ),
    "a datagram from no port": udp(0, TFTP, request("one")),
}


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_what_is_not_taken(kernel: Kernel, case: str) -> None:
    kernel.give(NOT_TAKEN[case])
    assert kernel.take() == []
    kernel.give(frame(IPV4, ip(ICMP, echo(56))))
    assert len(kernel.take()) == 1


def test_datagram_without_a_checksum(kernel: Kernel) -> None:
    kernel.give(udp(5000, TFTP, request("one"), check=False))
    assert [sent.content for sent in kernel.datagrams()] == [struct.pack(">HH", DATA, 1) + b"1"]


# ---- files


SOME = [name for name in FILES if not name.startswith("crowd/") or name.endswith("137")]


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("asked", [{}, {"blksize": 1468, "windowsize": 8}], ids=["plain", "options"])
def test_file(kernel: Kernel, name: str, asked: dict[str, int]) -> None:
    client = Client(name, 5000, asked)
    fetch(kernel, [client])
    assert (client.error, bytes(client.got)) == ("", FILES[name])


def test_names_of_plain_iso(program: Path, tmp_path: Path) -> None:
    """In any case, and without the version."""
    with Kernel(program, make_disk(tmp_path, "-iso-level", "3", "--norock")) as kernel:
        lease(kernel)
        deep = "folder/inner/deep.bin"
        for name, of in {"one": "one", "ONE": "one", "/Folder/inner/DEEP.bin": deep}.items():
            client = Client(name, 5000)
            fetch(kernel, [client])
            assert (client.error, bytes(client.got)) == ("", FILES[of])


@pytest.mark.parametrize(
    "name", ["", "/", "on", "one2", "one/", "one/two", "folder", "folder/", "folder/inner", ".", "..",
             "folder/../one", "\1", "folder/\1/one", "x" * 255, "x" * 480, "one;1"],
)  # fmt: skip
def test_no_such_file(kernel: Kernel, name: str) -> None:
    kernel.give(udp(5000, TFTP, request(name)))
    (said,) = kernel.datagrams()
    assert said.content == struct.pack(">HH", ERROR, 1) + b"no such file\0"
    assert said.port != TFTP


OPTIONS = {
    "all": ({"blksize": 1024, "windowsize": 4, "timeout": 3, "tsize": 0},
            {"blksize": "1024", "windowsize": "4", "timeout": "3", "tsize": "513"}),
    "in capitals": ({"BLKSIZE": 8}, {"blksize": "8"}),
    "more than a frame has": ({"blksize": 65464}, {"blksize": "1468"}),
    "more than are kept under way": ({"windowsize": 65535}, {"windowsize": "32"}),
    "some that are wrong": (
        {"blksize": 7, "windowsize": 0, "timeout": 256, "tsize": 0}, {"tsize": "513"}),
    "some that are no numbers": ({"blksize": "1x", "timeout": "", "windowsize": "-1", "tsize": "x"},
                                 {"tsize": "513"}),
    "one that nobody knows": ({"multicast": "", "blksize": 9}, {"blksize": "9"}),
}  # fmt: skip


@pytest.mark.parametrize("case", OPTIONS)
def test_options(kernel: Kernel, case: str) -> None:
    asked, expected = OPTIONS[case]
    kernel.give(udp(5000, TFTP, request("513", **asked)))
    (said,) = kernel.datagrams()
    assert accepted(said.content) == expected
    client = Client("513", 5001, asked)
    fetch(kernel, [client])
    assert bytes(client.got) == FILES["513"]


def test_options_twice(kernel: Kernel) -> None:
    asked = request("513", blksize=100)
    kernel.give(udp(5000, TFTP, asked + 30 * b"blksize\0200\0tsize\0000\0"))
    (said,) = kernel.datagrams()
    assert accepted(said.content) == {"blksize": "100", "tsize": "513"}


@pytest.mark.parametrize(
    "asked", [{"blksize": 65465}, {"timeout": 0}, {"windowsize": 65536}, {"what": "ever"}]
)
def test_no_options_are_left(kernel: Kernel, asked: dict[str, object]) -> None:
    """Then there is no packet that accepts any."""
    kernel.give(udp(5000, TFTP, request("one", **asked)))
    assert [sent.content for sent in kernel.datagrams()] == [struct.pack(">HH", DATA, 1) + b"1"]


REFUSED = {
    "to write": (request("one", operation=WRITE), 2),
    "another mode": (request("one", "netascii"), 4),
    "no mode": (request("one")[:-6], 4),
    "a mode that does not end": (request("one")[:-1], 4),
    "a name that does not end": (b"\0\1abc", 4),
    "another operation": (struct.pack(">HH", 9, 0), 4),
    "an acknowledgement of nothing": (ack(1), 4),
    "nothing": (b"", 4),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(kernel: Kernel, case: str) -> None:
    asked, code = REFUSED[case]
    kernel.give(udp(5000, TFTP, asked))
    (said,) = kernel.datagrams()
    assert struct.unpack(">HH", said.content[:4]) == (ERROR, code) and said.content[-1:] == b"\0"
    kernel.give(udp(5000, TFTP, struct.pack(">HH", ERROR, 0) + b"no\0"))
    assert kernel.take() == []


def test_block_numbers_wrap(program: Path, tmp_path: Path) -> None:
    """65536 blocks and more, of the least size."""
    (tmp_path / "files").mkdir()
    data = content(8 * 65536 + 100)
    (tmp_path / "files/big").write_bytes(data)
    with Kernel(program, make_disk(tmp_path, "-R")) as kernel:
        lease(kernel)
        client = Client("big", 5000, {"blksize": 8, "windowsize": 30})
        fetch(kernel, [client])
        assert client.blocks == 65536 + 13 and bytes(client.got) == data


def test_packets_that_are_lost_are_sent_again(kernel: Kernel) -> None:
    """Later each time, and not for ever."""
    kernel.give(udp(5000, TFTP, request("513")))
    (first,) = kernel.datagrams()
    gaps = []
    for _ in range(8):
        gaps.append((kernel.due - kernel.now) // SECOND)
        kernel.at(kernel.due)
        assert kernel.datagrams() == [first]
    assert gaps == [1, 1, 2, 4, 8, 8, 8, 8] or gaps == [1, 2, 4, 8, 8, 8, 8, 8]
    kernel.at(kernel.due)
    assert kernel.datagrams() == [] and "does not answer" in kernel.lines[-1]
    kernel.give(udp(5000, first.port, ack(1)))
    assert kernel.datagrams() == []


def test_timeout_is_the_clients(kernel: Kernel) -> None:
    kernel.give(udp(5000, TFTP, request("513", timeout=200)))
    assert kernel.due == kernel.now + 200 * SECOND


def test_old_acknowledgement_changes_nothing(kernel: Kernel) -> None:
    """What is sent for each that has come twice would be sent twice for ever."""
    kernel.give(udp(5000, TFTP, request("many")))
    port = kernel.datagrams()[0].port
    kernel.give(udp(5000, port, ack(1)), udp(5000, port, ack(1)), udp(5000, port, ack(0)))
    assert [sent.content[:4] for sent in kernel.datagrams()] == [struct.pack(">HH", DATA, 2)]
    kernel.give(udp(5000, port, ack(3)), udp(5000, port, ack(65535)), udp(5000, port, ack(2)))
    assert [sent.content[:4] for sent in kernel.datagrams()] == [struct.pack(">HH", DATA, 3)]


def test_window_begins_where_one_is_missing(kernel: Kernel) -> None:
    kernel.give(udp(5000, TFTP, request("many", windowsize=4)))
    port = kernel.datagrams()[0].port
    kernel.give(udp(5000, port, ack(0)), udp(5000, port, ack(2)))
    assert [sent.content[3] for sent in kernel.datagrams()] == [1, 2, 3, 4, 3, 4, 5, 6]


def test_request_that_comes_twice(kernel: Kernel) -> None:
    """Is one transfer; later, from the same port, it is another."""
    asked = udp(5000, TFTP, request("many"))
    kernel.give(asked, asked)
    (sent,) = kernel.datagrams()
    kernel.give(*(udp(5000, sent.port, ack(number)) for number in (1, 2)))
    kernel.take()
    kernel.give(asked)
    (anew,) = kernel.datagrams()
    assert anew.content == sent.content and anew.port != sent.port
    kernel.give(udp(5000, sent.port, ack(3)))
    assert kernel.take() == []


def test_another_client_does_not_disturb(kernel: Kernel) -> None:
    kernel.give(udp(5000, TFTP, request("513")))
    (first,) = kernel.datagrams()
    kernel.give(udp(5001, first.port, ack(1)))
    (said,) = kernel.datagrams()
    assert said.to_port == 5001 and said.content[:4] == struct.pack(">HH", ERROR, 5)
    kernel.give(udp(5001, first.port, struct.pack(">HH", ERROR, 5) + b"\0"), udp(5000, first.port, b"\0"))
    assert kernel.take() == []
    kernel.give(udp(5000, first.port, ack(1)))
    assert kernel.datagrams()[0].content[4:] == FILES["513"][512:]
    kernel.give(udp(5000, first.port, struct.pack(">HH", ERROR, 0) + b"enough\0"))
    assert kernel.take() == [] and kernel.due == 1800 * SECOND


def test_so_many_clients(kernel: Kernel) -> None:
    clients = [Client("many", 5000 + number, {"windowsize": 8}) for number in range(8)]
    kernel.give(*(udp(client.port, TFTP, request("many", windowsize=8)) for client in clients))
    kernel.take()
    kernel.give(udp(6000, TFTP, request("one")))
    (said,) = kernel.datagrams()
    assert said.content[:4] == struct.pack(">HH", ERROR, 0)
    fetch(kernel, clients)
    assert {bytes(client.got) for client in clients} == {FILES["many"]}


@pytest.mark.seeded
@pytest.mark.parametrize("room", [3, 64])
def test_packets_are_lost_doubled_and_late(program: Path, disk: Path, room: int) -> None:
    """Two clients at the same time, and a card that has less room than their windows."""
    losses = Losses(random.Random(SEED), drop=0.02, double=0.05, late=0.05)
    clients = [Client("many", 5000, {"blksize": 200, "windowsize": 9}), Client("many", 5001)]
    with Kernel(program, disk, room) as kernel:
        lease(kernel)
        fetch(kernel, clients, losses)
        assert [bytes(client.got) for client in clients] == [FILES["many"]] * 2


# ---- what wants to do harm


@pytest.mark.seeded
def test_any_frame(kernel: Kernel) -> None:
    """Frames that are nearly right, with bytes changed and cut at any place."""
    chance = random.Random(SEED)
    seeds = [
        asked_for(), frame(IPV4, ip(ICMP, echo(56))),
        *(udp(5000, TFTP, request("many", **asked), check=False) for asked, _ in OPTIONS.values()),
        udp(DHCP_SERVER, DHCP_CLIENT, answer(Sent(b"", b"", b"", 0, 0, b"\0" * 8), 5), check=False),
    ]  # fmt: skip
    for _ in range(3000):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randrange(4)):
            data[chance.randrange(14, len(data))] = chance.choice((0, 1, 255, chance.randrange(256)))
        if data[12:14] == IPV4 and chance.random() < 0.9:  # else few get further than here
            data[24:34] = with_checksum(bytes(data[14:24]) + b"\0\0" + bytes(data[26:34]), 10)[10:20]
        kernel.give(bytes(data[: chance.randrange(14, len(data) + 1) if chance.random() < 0.3 else None]))
        kernel.take()
    for _ in range(20):  # until what has been begun is given up
        kernel.at(kernel.now + 60 * SECOND)
    kernel.take()
    fetch(kernel, [client := Client("513", 6000)])
    assert bytes(client.got) == FILES["513"]


@pytest.mark.seeded
def test_any_disk(program: Path, disk: Path, tmp_path: Path) -> None:
    """Descriptors and directories with bytes changed: what there is is sent, or an error is."""
    chance = random.Random(SEED)
    whole = disk.read_bytes()
    places = [16 * 2048, *(at for at in range(17 * 2048, len(whole), 2048) if whole[at + 2048 - 1] == 0
                           and whole[at + 33] == 0)]  # fmt: skip
    assert len(places) > 4
    outcomes = set()
    for number in range(60):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 12)):
            value = chance.choice((0, 1, 255, chance.randrange(256)))
            data[chance.choice(places) + chance.randrange(250)] = value
        file = tmp_path / "other.iso"
        file.write_bytes(data[: chance.randrange(2048, len(data)) if number % 4 == 0 else None])
        try:
            kernel = Kernel(program, file)
        except AssertionError as error:
            assert str(error).startswith("ended with 1: "), error  # there is no volume
            outcomes.add("no volume")
            continue
        with kernel:
            lease(kernel)
            for name in ("one", "folder/inner/deep.bin", LONG_NAME, "crowd/file-3", "absent"):
                kernel.give(udp(5000, TFTP, request(name)))
                (said,) = kernel.datagrams()
                operation, code = struct.unpack(">HH", said.content[:4])
                outcomes.add({DATA: "data", ERROR: f"error {code}"}[operation])
                kernel.give(udp(5000, said.port, struct.pack(">HH", ERROR, 0) + b"\0"))
    assert {"data", "error 1"} <= outcomes


def test_directory_that_is_large(program: Path, disk: Path, tmp_path: Path) -> None:
    """Of 4 GiB, on a disk that is as large: it is not searched."""
    data = bytearray(disk.read_bytes())
    data[16 * 2048 + 156 + 10 : 16 * 2048 + 156 + 14] = struct.pack("<I", 0xFFFFF800)
    file = tmp_path / "large.iso"
    with open(file, "wb") as made:
        made.write(data)
        made.truncate(5 << 30)
    with Kernel(program, file) as kernel:
        lease(kernel)
        kernel.give(udp(5000, TFTP, request("absent")))
        (said,) = kernel.datagrams()
        assert said.content == struct.pack(">HH", ERROR, 0) + b"it cannot be read\0"


