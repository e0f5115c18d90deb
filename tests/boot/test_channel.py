# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The channel of every rig that is a machine of its own: files both ways, streams, and nothing out."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading

import pytest

from ci.control import Control
from ci.rig import ControlSession, LinuxRig

from ..guests import Place, Rigs, places

SIZE = 16 << 20
PORT = 9000


def control(rigs: Rigs, place: Place) -> Control:
    """Of the rig's open session."""
    rigs.prepare(place)
    session = rigs.session(place)
    inner = getattr(session, "session", session)
    if not isinstance(inner, ControlSession):
        pytest.skip("this machine's own hypervisor is used")
    return inner.control


RIGS = [place for place in places() if isinstance(place.rig, LinuxRig)]
every_rig = pytest.mark.parametrize("place", RIGS, ids=str)


@every_rig
def test_files_go_both_ways(rigs: Rigs, place: Place) -> None:
    """More than a serial port carries in a day."""
    rig = control(rigs, place)
    folder = rig.folder()
    data = os.urandom(SIZE)
    (folder / "there").write_bytes(data)
    said = rig.script(f"cd /share/{folder.name}; cp there /run/copy; sha256sum </run/copy; mv /run/copy back")
    assert said.split()[0] == hashlib.sha256(data).hexdigest()
    assert (folder / "back").read_bytes() == data


@every_rig
def test_streams_go_both_ways(rigs: Rigs, place: Place) -> None:
    """Of a TCP server in the rig, as a debugger's is."""
    rig = control(rigs, place)
    rig.script(f"nc -l -p {PORT} -e cat </dev/null >/dev/null 2>&1 &")
    data = os.urandom(SIZE // 8)
    back = bytearray()
    with rig.connect(PORT) as stream:

        def send() -> None:
            with contextlib.suppress(OSError):
                stream.sendall(data)

        threading.Thread(target=send, daemon=True).start()
        stream.settimeout(60)
        while len(back) < len(data):
            piece = stream.recv(65536)
            assert piece, f"{len(back)} of {len(data)} bytes"
            back += piece
    assert back == data


@every_rig
def test_nothing_of_the_rig_gets_out(rigs: Rigs, place: Place) -> None:
    """The rig's gateway is this machine, where something listens."""
    rig = control(rigs, place)
    address, port = rig.forward(PORT + 1)
    assert address == "127.0.0.1"
    said = rig.script(f"nc -w 3 10.0.2.2 {port} </dev/null >/dev/null 2>&1 && echo reached || echo refused")
    assert said == "refused\n"
