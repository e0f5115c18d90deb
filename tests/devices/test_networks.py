# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Networks: what the sample kernel sends comes out of its machine, byte for byte, and what is sent to it is
received, by messages and by lines; a link that goes down; what `./vmi run --net` takes."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ci.build import kernels
from ci.rig import Forward, Guest, Net, qemu_nets, user_network
from ci.run import net
from ci.util import ARCHITECTURES, ROOT, UserError

from ..guests import places
from .peer import HEADERS, LIES, Liar, Peer, Queues, shared_memory

_SOURCE = (ROOT / "sample_kernel/checks_networks.c").read_text()
ECHOES = int(re.findall(r"^#define FLOOD +(\d+)", _SOURCE, re.MULTILINE)[0])
"""Of the check `networks.flood`."""
ETHERNET = 14

DEVICES = {
    "message": ("virtio-net-pci", 1500),
    "line": ("virtio-net-pci,vectors=0", 1500),
    "jumbo": ("virtio-net-pci-non-transitional,host_mtu=9000", 9000),
    "plain": ("virtio-net-pci,indirect_desc=off,event_idx=off,status=off", 1500),
    "e1000": ("e1000", 1500),
    "e1000e": ("e1000e", 1500),
}


@pytest.fixture
def peer() -> Iterator[Peer]:
    # A path of a socket has at most 107 bytes, which a test's own folder may exceed.
    with tempfile.TemporaryDirectory() as folder, Peer(Path(folder)) as found:
        yield found


def guest(arch: str, name: str, peer: Peer, append: str = "checks=networks.", **options: str) -> Guest:
    return Guest(
        kernels("sample", arch)["native"], f"networks-{arch}-{name}", append, cpus=2, deadline=60.0,
        options=options, nets=[Net(netdev=peer.netdev)],
    )  # fmt: skip


def skipped(console: str) -> set[str]:
    return {line.split()[2] for line in console.splitlines() if "networks." in line and "# SKIP" in line}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_two_pairs(tmp_path: Path, arch: str) -> None:
    """QEMU's own backends that want no privilege have one pair, so the peer is the backend. By the line: with
    messages QEMU 7.2 without KVM crashes when one is bound for such a backend."""
    place = next(place for place in places(arch) if place.backend == "native")
    with tempfile.TemporaryDirectory() as folder, Queues(Path(folder)) as queues:
        bare = Guest(
            kernels("sample", arch)["native"], f"networks-{arch}-pairs", "checks=networks.", cpus=2,
            deadline=60.0, nets=[Net(netdev=queues.netdev)],
        )  # fmt: skip
        options = {
            "machine": "pc,vmport=off,memory-backend=memory", "net": "virtio-net-pci,mq=on,vectors=0",
            "qemu": f"{queues.arguments} {shared_memory(bare.memory_mib)}",
        }  # fmt: skip
        with place.rig.session(tmp_path / "logs") as session:
            outcome = session.run(replace(bare, options=options))
    assert outcome.clean, outcome.console[-3000:]
    assert "networks.second_pair" not in skipped(outcome.console)
    assert queues.wrong == []
    assert queues.asked[0] > ECHOES
    assert queues.asked[1] >= ECHOES // 4


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_liars_are_shut_off(tmp_path: Path, arch: str, peer: Peer) -> None:
    """Each for its reason, and anew when it is opened anew; the first network, which does not lie, works on,
    and the kernel ends as one whose checks have passed."""
    place = next(place for place in places(arch) if place.backend == "native")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        liars = [stack.enter_context(Liar(folder, name)) for name in LIES]
        lying = guest(arch, "liars", peer, "test=liars checks=traps.")
        words = [each.arguments for each in liars] + [shared_memory(lying.memory_mib)]
        options = {
            "machine": "pc,vmport=off,memory-backend=memory", "net": "virtio-net-pci,vectors=0",
            "qemu": " ".join(words),
        }  # fmt: skip
        nets = [*lying.nets, *(Net(netdev=each.netdev) for each in liars)]
        with place.rig.session(tmp_path / "logs") as session:
            outcome = session.run(replace(lying, options=options, nets=nets))
    assert outcome.clean, outcome.console[-3000:]
    found = re.findall(r"^# liar .*: shut off, (\w+)\r?$", outcome.console, re.MULTILINE)
    assert found == [lie.found for lie in LIES.values() for _ in range(2)]
    assert peer.wrong == []


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_packets_both_ways(tmp_path: Path, peer: Peer, arch: str, device: str) -> None:
    """From the smallest packet to the largest; what was sent is what the other side has, and as often."""
    place = next(place for place in places(arch) if place.backend == "native")
    name, mtu = DEVICES[device]
    with place.rig.session(tmp_path / "logs") as session:
        outcome = session.run(guest(arch, device, peer, net=name))
    assert outcome.clean, outcome.console[-3000:]
    assert {"networks.link", "networks.second_pair"} == skipped(outcome.console) - {"networks.beside_a_disk"}
    assert peer.wrong == []
    assert peer.noise > 100
    assert {HEADERS, 59, 60, 61, mtu + ETHERNET - 1, mtu + ETHERNET} <= set(peer.sizes)
    assert max(peer.sizes) == mtu + ETHERNET
    assert sum(peer.sizes.values()) > ECHOES


class Monitor:
    """QEMU's, by a socket of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def arguments(self) -> str:
        return f"-qmp unix:{self.path},server=on,wait=off"

    def set_link(self, name: str, up: bool) -> None:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(self.path))
            with stream.makefile("rw") as lines:
                for command, arguments in (
                    ("qmp_capabilities", {}), ("set_link", {"name": name, "up": up}),
                ):  # fmt: skip
                    lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                    lines.flush()
                    while "return" not in (said := json.loads(lines.readline())):
                        assert "error" not in said, said


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_link_goes_down(tmp_path: Path, peer: Peer, arch: str) -> None:
    place = next(place for place in places(arch) if place.backend == "native")
    monitor = Monitor(peer.near.with_name("monitor"))
    asked = []

    def live(line: str) -> None:
        if line.startswith("# link "):
            asked.append(line.split()[2])
            monitor.set_link("net0", asked[-1].startswith("up"))

    with place.rig.session(tmp_path / "logs") as session:
        outcome = session.run(
            guest(arch, "link", peer, "checks=networks.link link=down", qemu=monitor.arguments), live
        )
    assert outcome.clean, outcome.console[-3000:]
    assert asked == ["down,", "up,"]
    assert "networks.link # SKIP" not in outcome.console
    assert peer.wrong == []


# The command line


def test_of_a_network_its_ports() -> None:
    assert net("user") == Net([])
    found = net("user,udp:69=6969,tcp:80")
    assert found.forwards[0] == Forward("udp", 69, 6969)
    assert (found.forwards[1].protocol, found.forwards[1].port) == ("tcp", 80)
    assert 0 < found.forwards[1].host < 65536
    assert user_network(net("user,udp:69=6969")) == "user,hostfwd=udp:127.0.0.1:6969-:69"
    assert net("user,e1000") == Net([], device="e1000")
    found = net("user,e1000e,udp:69=6969")
    assert (found.device, found.forwards) == ("e1000e", [Forward("udp", 69, 6969)])


@pytest.mark.parametrize(
    "text", ["", "tap", "user,", "user,69", "user,udp:0", "user,tcp:65536", "user,udp:1=0", "user,sctp:1",
             "user,udp:1=65536", "user,udp:1=", "user,udp:1,guestfwd=x", "user,udp:1,e1000",
             "user,e1000,e1000e"],
)  # fmt: skip
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(UserError) as error:
        net(text)
    assert error.value.status == 2
    assert len(str(error.value).splitlines()) == 1


def test_of_a_network_its_device() -> None:
    """What QEMU is told; a device that a configuration has not is refused with those that it has."""
    rig = next(place for place in places("i386") if place.backend == "native").rig
    card = Guest(Path("kernel"), "card", nets=[net("user,e1000"), net("user")])
    rig.check_guest(card, "native")
    assert qemu_nets(card) == (
        "-netdev", "user,id=net0", "-device", "e1000,netdev=net0,romfile=",
        "-netdev", "user,id=net1", "-device", "virtio-net-pci,netdev=net1,romfile=",
    )  # fmt: skip
    with pytest.raises(UserError) as error:
        rig.check_guest(Guest(Path("kernel"), "card", nets=[net("user,e100")]), "native")
    assert error.value.status == 2
    assert str(error.value) == "native has no network device e100; it has virtio-net-pci, e1000, e1000e"
