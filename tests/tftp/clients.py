# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""examples/tftp booted, and Debian's clients of TFTP."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.rig import Disk, Guest, Net, Outcome, Session
from ci.run import net
from ci.setup import FOR_TESTS, provide
from ci.util import tied

from .kernel import TFTP, request

PATIENCE = 600
"""Seconds that a client may take; only a fault takes so long."""
BIG = "big.bin"
LAST = "the last"
"""A file that there is not: the line about it ends the guest."""


@dataclass(frozen=True)
class Program:
    """A client of Debian's."""

    needs: str
    words: Sequence[str]
    """{port}, {name}, {out} and {patience} stand for those."""

    def command(self, port: int, name: str, out: Path, patience: int) -> list[str]:
        return [word.format(port=port, name=name, out=out, patience=patience) for word in self.words]


PROGRAMS = {
    "curl": Program("curl", ("curl", "--silent", "--show-error", "--max-time", "{patience}",
                             "--tftp-blksize", "1468", "--output", "{out}",
                             "tftp://127.0.0.1:{port}/{name}")),
    "tftp-hpa": Program("tftp", ("tftp", "-m", "binary", "127.0.0.1", "{port}", "-c", "get",
                                 "{name}", "{out}")),
    "atftp": Program("atftp", ("atftp", "--option", "windowsize 16", "--option", "blksize 1468", "--get",
                               "--remote-file", "{name}", "--local-file", "{out}", "127.0.0.1", "{port}")),
}  # fmt: skip


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def make_disk(folder: Path, files: Mapping[str, bytes]) -> Path:
    """An ISO 9660 disk with these files."""
    needs = ("xorriso", *(program.needs for program in PROGRAMS.values()))
    provide({need: FOR_TESTS[need] for need in needs})
    files_at, disk = folder / "files", folder / "files.iso"
    files_at.mkdir()
    for name, data in files.items():
        (files_at / name).write_bytes(data)
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V", "FILES", "-o", disk, files_at], check=True,
        capture_output=True,
    )  # fmt: skip
    return disk


def fetch(port: int, program: Program, name: str, out: Path, patience: int = PATIENCE) -> str:
    """Has a client fetch a file; what it says if it fails."""
    done = subprocess.run(
        program.command(port, name, out, patience), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=2 * patience, preexec_fn=tied(),
    )  # fmt: skip
    return "" if done.returncode == 0 and out.is_file() else done.stdout + done.stderr or f"{done.returncode}"


Work = Callable[[int], None]
"""What is done with the kernel's port while it runs."""


@dataclass
class Served:
    """A guest that serves until its work is done."""

    work: Work
    port: int
    ended: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    """The guest is: it may have been ended by the line before its answer was sent."""
    error: BaseException | None = None
    thread: threading.Thread | None = None

    def _work(self) -> None:
        try:
            self.work(self.port)
        except BaseException as error:  # the test's own thread raises it
            self.error = error
        self.ended.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
            asking.settimeout(1)
            while not self.gone.is_set():
                asking.sendto(request(LAST), ("127.0.0.1", self.port))
                with contextlib.suppress(TimeoutError):
                    asking.recv(600)
                    return

    def live(self, line: str) -> bool:
        """Begins when the kernel has its address."""
        if not self.thread and re.match(r"address \d", line):
            self.thread = threading.Thread(target=self._work)
            self.thread.start()
        return self.ended.is_set() and f"{LAST}: no such file" in line


def serve(
    session: Session, kernel: Path, name: str, disk: Path, work: Work, patience: int = PATIENCE,
    **more: object,
) -> Outcome:
    """Boots the kernel with that disk, and does the work meanwhile. Further arguments are Guest's."""
    network: Net = net(f"user,udp:{TFTP}")
    served = Served(work, network.forwards[0].host)
    guest = Guest(kernel, name, disks=[Disk(disk, True)], nets=[network], rng=True, deadline=3 * patience,
                  **more)  # type: ignore[arg-type]  # fmt: skip
    try:
        outcome = session.run(guest, served.live)
    finally:
        served.gone.set()
    assert served.thread, f"it has no address:\n{outcome.end}\n{outcome.console}"
    served.thread.join()
    if served.error:
        raise AssertionError(f"{served.error}\n{outcome.console[-3000:]}") from served.error
    return outcome


def sent(outcome: Outcome) -> Iterator[tuple[str, int]]:
    """The files that the kernel has sent, and how many packets of each again."""
    for line in outcome.console.splitlines():
        if found := re.search(r": (\S+): sent, (\d+) packets", line):
            yield found[1], int(found[2])
