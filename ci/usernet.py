# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The user network of a guest whose QEMU runs inside a rig.

QEMU's user network forwards ports of the machine it runs on, and a rig's own network lets no answer to UDP
out (`restrict`, ci/control.py). So that of a guest in a rig is a second QEMU's, here, that has no machine.
The guest's QEMU listens on a TCP port of the rig for Ethernet frames, each behind its length in 4 bytes, and
they are passed on both ways.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator

from .control import Control
from .util import UserError, tied

QEMU = "qemu-system-x86_64"

LISTEN = "stream,server=on,addr.type=inet,addr.host=0.0.0.0,addr.port={port}"
"""Backend of the guest's QEMU."""

CONNECT_SECONDS = 5.0
"""After so long the guest is looked at for whether it is still there."""


def _frames(stream: socket.socket) -> Iterator[bytes]:
    """Frames, each with its length before it, until the stream ends."""
    with stream.makefile("rb") as reader, contextlib.suppress(OSError):
        while len(head := reader.read(4)) == 4:
            size = int.from_bytes(head, "big")
            if len(body := reader.read(size)) < size:
                return
            yield head + body


class UserNetwork:
    """What stands between the two, while a guest runs."""

    def __init__(self, control: Control, port: int, backend: str) -> None:
        self.control = control
        self.port = port
        self.ended = False
        self.rig: socket.socket | None = None
        self.near, far = socket.socketpair()
        with far:
            self.qemu = subprocess.Popen(
                [QEMU, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none",
                 "-netdev", f"{backend},id=user",
                 "-netdev", f"stream,id=rig,server=off,addr.type=fd,addr.str={far.fileno()}",
                 "-netdev", "hubport,id=near,hubid=0,netdev=user",
                 "-netdev", "hubport,id=far,hubid=0,netdev=rig"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                pass_fds=(far.fileno(),), preexec_fn=tied(),
            )  # fmt: skip
        self.threads = [
            threading.Thread(target=loop, daemon=True) for loop in (self._from_guest, self._to_guest)
        ]
        for thread in self.threads:
            thread.start()

    def _from_guest(self) -> None:
        while not self.ended:
            # The guest's QEMU may not listen yet.
            with (
                contextlib.suppress(UserError, OSError),
                self.control.connect(self.port, CONNECT_SECONDS, lambda: not self.ended) as rig,
            ):
                self.rig = rig
                if not self.ended:  # else close() may not have seen it
                    for frame in _frames(rig):
                        self.near.sendall(frame)
            self.rig = None

    def _to_guest(self) -> None:
        for frame in _frames(self.near):
            with contextlib.suppress(OSError):
                if rig := self.rig:  # else the cable is not plugged in
                    rig.sendall(frame)

    def close(self) -> None:
        """Nothing of it is left to take the connection that the next guest's QEMU waits for."""
        self.ended = True
        for stream in (self.near, self.rig):
            if stream:
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        self.near.close()
        self.qemu.terminate()
        _, said = self.qemu.communicate()
        if self.qemu.returncode > 0:
            raise UserError(f"{QEMU} as user network: {said.decode(errors='replace').strip()}")


@contextlib.contextmanager
def user_networks(control: Control, backends: list[str], first: int) -> Iterator[list[str]]:
    """Networks with these backends of QEMU's, by ports of the rig from `first` on; what the guest's QEMU has
    as backends."""
    with contextlib.ExitStack() as stack:
        listening = []
        for port, backend in enumerate(backends, first):
            control.forward(port)  # in this thread: the monitor is not for two
            stack.callback(UserNetwork(control, port, backend).close)
            listening.append(LISTEN.format(port=port))
        yield listening
