# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The user network of a guest in a rig: what it leaves behind for the next guest's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import pytest

from ci.control import Control
from ci.usernet import UserNetwork
from ci.util import UserError


class Played:
    """A rig in whose guest nobody listens before `listens` is set."""

    def __init__(self) -> None:
        self.listens = threading.Event()
        self.asked = threading.Event()
        self.taken: list[socket.socket] = []

    def connect(self, port: int, seconds: float, wanted: Callable[[], bool]) -> socket.socket:
        self.asked.set()
        while not self.listens.wait(0.01):
            if not wanted():
                raise UserError("nobody listens")
        near, far = socket.socketpair()
        self.taken.append(far)
        return near


@pytest.fixture
def rig() -> Played:
    return Played()


def network(rig: Played) -> UserNetwork:
    control: Control = rig  # type: ignore[assignment]
    return UserNetwork(control, 7001, "user")


def ask(far: socket.socket) -> bytes:
    """Who is 10.0.2.2, asked as a guest does; the answer's first bytes."""
    mac = bytes.fromhex("525400123456")
    arp = bytes.fromhex("0001080006040001") + mac + bytes([10, 0, 2, 15]) + bytes(6) + bytes([10, 0, 2, 2])
    frame = b"\xff" * 6 + mac + b"\x08\x06" + arp + bytes(18)
    far.settimeout(30)
    far.sendall(len(frame).to_bytes(4, "big") + frame)
    while True:
        with far.makefile("rb") as reader:
            size = int.from_bytes(reader.read(4), "big")
            body = reader.read(size)
        if body[12:14] == b"\x08\x06":
            return body


def test_frames_go_both_ways(rig: Played) -> None:
    one = network(rig)
    rig.listens.set()
    while not rig.taken:
        time.sleep(0.01)
    answer = ask(rig.taken[0])
    assert answer[20:22] == b"\x00\x02" and answer[28:32] == bytes([10, 0, 2, 2])
    one.close()


def test_a_network_that_is_closed_takes_no_later_connection(rig: Played) -> None:
    """Its guest has ended, or has never listened; the next guest's QEMU takes one connection at a time."""
    one = network(rig)
    assert rig.asked.wait(30)
    one.close()
    assert not any(thread.is_alive() for thread in one.threads)
    rig.listens.set()
    assert rig.taken == []


def test_a_connection_that_comes_as_it_is_closed_is_closed(rig: Played) -> None:
    one = network(rig)
    assert rig.asked.wait(30)
    one.ended = True
    rig.listens.set()
    one.close()
    for far in rig.taken:
        assert far.recv(1) == b""
