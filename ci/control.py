# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The host's end of a rig: its commands, and the channel beside them.

Commands go over the rig's second serial port (ci/rig-protocol.sh says how). All that is large goes by the
channel: a folder that both sides see (virtio-9p) for files either way, and a network card through which the
host, and nobody else, opens TCP connections to the rig (QEMU's user network).
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .console import lines, text
from .util import UserError

if TYPE_CHECKING:
    from .guest import GuestStrategy
    from .rig import Live, Terminal

NUDGE_SECONDS = 3.0
"""After so much silence of a running guest its rig gets an empty line. QEMU's TCG now and then loses an
interrupt request that comes while it enters or leaves a nested guest, the rig's kernel with it its tick, and
any further interrupt makes the local APIC ask again; the serial port's is one."""

POKES_AFTER = 2
"""After so many such lines without an answer the rig gets a packet as well: where the interrupt that was
lost is the serial port's own, its line stays up, and what is sent there asks for nothing any more."""

POKE_PORT = 9
"""To which nobody listens."""

AGAIN_SECONDS = 1.0
"""After so much silence a command that is not acknowledged is sent again."""

COMMAND_SECONDS = 90.0
"""After so much without an acknowledgement the rig is lost."""

TERMINAL_PORT = 7000
"""Where a rig joins a connection to a guest's console."""

NET_PORT = 7001
"""Where a rig joins connections to a guest's networks, and from there on."""

SHARE = "/share"
"""The channel's folder as the rig sees it."""


class RigFailed(UserError):
    """A rig's own hypervisor or emulator stands still or errs; nothing is said about the guest."""


def channel(share: Path) -> list[str]:
    """QEMU's arguments for a rig's channel."""
    # A NIC wants its boot ROM, which nobody boots from. `restrict`: nothing of the rig gets out.
    return [
        "-fsdev", f"local,id=share,path={str(share).replace(',', ',,')},security_model=none",
        "-device", "virtio-9p-pci,fsdev=share,mount_tag=share",
        "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
    ]  # fmt: skip


def frame(line: str) -> tuple[str, str]:
    """A line of a rig's second serial port as tag and text; no tag if it is not the rig's (firmware and
    the kernel's early console may write there too)."""
    tag, _, text = line.partition(" ")
    return (tag[1:], text) if tag.startswith("@") else ("", line)


def signed(command: str) -> str:
    """A command with its checksum before it."""
    return f"{hashlib.sha256(command.encode()).hexdigest()[:8]} {command}"


@dataclass
class Answer:
    """What a rig says of something it was asked to run."""

    frames: dict[str, list[str]]
    """Its lines by tag."""
    console: bytes
    seconds: float


class Control:
    """A rig that runs, with its channel."""

    def __init__(self, strategy: GuestStrategy, name: str, share: Path) -> None:
        self.strategy = strategy
        self.name = name
        self.share = share
        self.broken = ""
        self.commands = 0
        self.folders = 0
        self.forwarded: dict[int, tuple[str, int]] = {}

    # Commands

    def start(self, seconds: float) -> dict[str, list[str]]:
        """Wait until the rig is up; what it said on the way."""
        frames: dict[str, list[str]] = {}
        for tag, said in self._frames(seconds, NUDGE_SECONDS):
            frames.setdefault(tag, []).append(said)
            if tag == "ready":
                break
        return frames

    def command(self, word: str, argument: str = "-") -> None:
        """Have the rig take a command, however often it has to be sent."""
        if not re.fullmatch(r"[\w./-]+", argument):
            raise UserError(f"not for a rig's command line: {argument!r}", 2)
        self.commands += 1
        line = signed(f"{self.commands} {word} {argument}")
        self._send(line)
        for tag, said in self._frames(COMMAND_SECONDS, AGAIN_SECONDS):
            if tag == "ack" and said == str(self.commands):
                return
            if tag in ("", "again"):
                self._send(line)

    def _send(self, line: str) -> None:
        # What may be left of a line that lost its end is ended first.
        self.strategy.qemu.sendline("\n" + line)

    def _poke(self) -> None:
        """Have the rig's network card ask for an interrupt."""
        with contextlib.suppress(OSError, UserError):
            socket.create_connection(self.forward(POKE_PORT), timeout=AGAIN_SECONDS).close()

    def _frames(self, seconds: float, silence: float) -> Iterator[tuple[str, str]]:
        """The rig's lines as they come, as tags and texts; `("", "")` after so much silence. It ends by an
        error only, RigFailed after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            try:
                line = self.strategy.line(max(0.1, min(left, silence)))
            except TimeoutError:
                if left > silence:
                    yield "", ""
                    continue
                self._where()
                why = f"the {self.name} rig has not answered for {seconds:g} s"
                raise self._lost(RigFailed, why) from None
            if line is None:
                raise self._lost(UserError, f"the {self.name} rig has ended by itself")
            tag, said = frame(line)
            if tag == "error":
                raise self._lost(UserError, f"the {self.name} rig says: {said}")
            if tag:
                yield tag, said

    def _lost(self, kind: type[UserError], why: str) -> UserError:
        self.broken = why
        tail = self.strategy.console().splitlines()[-40:]
        return kind("\n".join([why, *tail, f"(whole log: {self.strategy.log})"]))

    def _where(self) -> None:
        """Leave beside the log what the rig's processors are doing, for whoever looks into its silence."""
        with contextlib.suppress(Exception):  # the machine may be past answering; the silence is reported
            said = self.monitor("info registers -a")
            self.strategy.log.with_suffix(".registers").write_text(said)

    def monitor(self, command: str) -> str:
        return str(
            self.strategy.qemu.monitor_command("human-monitor-command", {"command-line": command}) or ""
        )

    # The channel

    def folder(self) -> Path:
        """A new folder in the channel."""
        self.folders += 1
        path = self.share / str(self.folders)
        path.mkdir()
        return path

    def put(self, file: Path, folder: Path) -> str:
        """Copy a file into a folder of the channel; its path as the rig sees it."""
        target = folder / file.name
        number = 1
        while target.exists():  # another file of that name
            number += 1
            target = folder / f"{number}-{file.name}"
        shutil.copyfile(file, target)
        return f"{SHARE}/{target.relative_to(self.share)}"

    def forward(self, port: int) -> tuple[str, int]:
        """Lead a TCP port of this machine's loopback interface to one of the rig's; its address."""
        if port in self.forwarded:
            return self.forwarded[port]
        self.monitor(f"hostfwd_add net tcp:127.0.0.1:0-10.0.2.15:{port}")
        for line in self.monitor("info usernet").splitlines():
            #   TCP[HOST_FORWARD]  13  127.0.0.1  43211  10.0.2.15  7000  0  0
            words = line.split()
            if words[:1] == ["TCP[HOST_FORWARD]"] and words[4:6] == ["10.0.2.15", str(port)]:
                self.forwarded[port] = ("127.0.0.1", int(words[3]))
                return self.forwarded[port]
        raise UserError(f"the {self.name} rig's machine forwards no port {port}")

    def connect(
        self, port: int, seconds: float = 30.0, wanted: Callable[[], bool] = lambda: True
    ) -> socket.socket:
        """A stream to a TCP port on which something in the rig listens, or soon will; no longer tried once
        it is not `wanted`."""
        address = self.forward(port)
        deadline = time.monotonic() + seconds
        while True:
            # QEMU takes the connection before it knows whether anybody listens, and closes it then.
            stream = socket.create_connection(address, timeout=seconds)
            stream.settimeout(0.3)
            try:
                if stream.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                break
            except OSError:
                pass
            stream.close()
            if time.monotonic() > deadline or not wanted():
                raise UserError(f"nothing in the {self.name} rig listens on port {port}")
            time.sleep(0.1)
        stream.settimeout(None)
        return stream

    # What the rig runs

    def run(self, word: str, folder: Path, seconds: float, live: Live | None = None,
            terminal: Terminal | None = None, prompt: Live | None = None) -> Answer:  # fmt: skip
        """`run` or `script` of a folder of the channel, to its end."""
        if self.broken:
            raise UserError(self.broken)
        started = time.monotonic()
        done = folder / "done"
        stream: socket.socket | None = None
        stopping = False
        self.command(word, folder.name)
        silent = 0
        for tag, said in self._frames(seconds, NUDGE_SECONDS):
            # The line may be lost; the file is not.
            if (tag == "done" and said == folder.name) or (not tag and done.exists()):
                break
            silent = 0 if tag else silent + 1
            if not tag:
                self._send("")
            if silent > POKES_AFTER:
                self._poke()
            if tag not in ("console", "prompt"):
                continue
            if terminal and stream is None:
                stream = self.connect(TERMINAL_PORT)
                threading.Thread(target=_pump, args=(stream, terminal), daemon=True).start()
            seen = prompt if tag == "prompt" else live
            if seen and not stopping and seen(said):
                stopping = True
                self.command("stop")
                if done.exists():
                    break
        spent = time.monotonic() - started
        if stream:
            stream.close()
        frames: dict[str, list[str]] = {}
        for line in lines((folder / "answers").read_bytes()):
            tag, said = frame(line)
            frames.setdefault(tag, []).append(said)
        return Answer(frames, (folder / "console").read_bytes(), spent)

    def script(self, commands: str, seconds: float = 60.0) -> str:
        """Run shell commands in the rig; what they print. An error if their status is not 0."""
        folder = self.folder()
        (folder / "script").write_text(commands + "\n")
        answer = self.run("script", folder, seconds)
        shown = text(answer.console)
        if answer.frames.get("status") != ["0"]:
            raise UserError(f"in the {self.name} rig: {shown.strip() or 'failed without a word'}")
        return shown


def _pump(stream: socket.socket, terminal: Terminal) -> None:
    """A connection's two ways, until it ends."""

    def typed() -> None:
        with contextlib.suppress(OSError):
            while data := terminal.read():
                stream.sendall(data)

    threading.Thread(target=typed, daemon=True).start()
    with contextlib.suppress(OSError):
        while data := stream.recv(65536):
            terminal.write(data)


def options(values: Mapping[str, str]) -> str:
    """Options of a guest as its folder's file says them."""
    for key, value in values.items():
        if not re.fullmatch(r"[a-z_]+", key) or not value.isprintable():
            raise UserError(f"not printable, so not for a rig: {key}={value!r}", 2)
    return "".join(f"opt_{key}={shlex.quote(value)}\n" for key, value in values.items())
