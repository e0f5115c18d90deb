# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi run`: kernels of anybody's in one configuration."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import socket
import sys
import tempfile
import termios
import tty
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import flavour, ktap
from .boot import once, only, show_failure
from .kernel import Kernel, look
from .rig import PC_DISK_DEVICES, Disk, Forward, Guest, Net, Outcome, Rig, Terminal, discover
from .util import RESULTS, UserError, above, progress, write_if_changed

QUIT = b"\x1d"
"""Control-], which leaves a terminal as it leaves those of xl, virsh and telnet."""
LOGS = RESULTS / "run"
SECTOR = 512
"""Bytes of a disk's smallest block."""
SILENT = (
    "it wrote no line: see whether its library is this configuration's, whether its loader's header and "
    'entry point are there (readelf -hln), and where it stops (docs/run.md, "With a debugger")'
)


@dataclass(frozen=True)
class Wanted:
    """What a kernel is run with, and how it is judged."""

    append: str = ""
    cpus: int = 1
    memory_mib: int = 64
    deadline: float = 90.0
    gdb: bool = False
    """Whether a debugger is waited for."""
    modules: Sequence[tuple[Path, str]] = ()
    rom: Path | None = None
    disks: Sequence[Disk] = ()
    nets: Sequence[Net] = ()
    rng: bool = False
    firmware: str = ""
    """What starts the kernel, one of ci.firmware.WAYS; empty for the rig's own loader."""
    stdin: str = ""
    """A file that is typed on the console; `-` is standard input."""
    interactive: bool = False
    expect: Sequence[re.Pattern[str]] = ()
    fail: Sequence[re.Pattern[str]] = ()
    checked: bool = False
    """Whether the library's flavour `checked` watches it."""
    all_lines: bool = False
    """Whether what the hypervisor writes on the console is shown, too."""


def pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"not a regular expression: {text!r}: {error}", 2) from None


def file(path: Path, what: str) -> Path:
    """A file that is there and can be read."""
    try:
        with open(path, "rb"):
            return path.resolve()
    except FileNotFoundError:
        raise UserError(f"no {what} {path}", 2) from None
    except OSError as error:
        raise UserError(f"{what} {path}: {error.strerror}", 2) from None


def module(text: str) -> tuple[Path, str]:
    """`FILE ARGUMENTS`, as a loader of multiboot modules takes them."""
    name, _, words = text.partition(" ")
    return file(Path(name), "module"), words


def disks(texts: Sequence[str]) -> list[Disk]:
    """Files that a kernel sees as disks, in that order."""
    found = [disk(text) for text in texts]
    for each in found:
        if not each.read_only and sum(each.file == other.file for other in found) > 1:
            raise UserError(
                f"disk {each.file}: given twice, and can be written to; use a copy, or add ,ro to both", 2
            )
    return found


def disk(text: str) -> Disk:
    """`FILE`, `FILE,ro`, `FILE,nvme`, `FILE,ro,nvme`, …: a file that a kernel sees as a disk."""
    words = ("ro", *PC_DISK_DEVICES)
    name, read_only, device = text, False, ""
    while (before := name.rpartition(","))[2] in words and before[1]:
        if before[2] == "ro":
            read_only = True
        elif device:
            raise UserError(f"disk {text}: expected one device, found {before[2]} and {device}", 2)
        else:
            device = before[2]
        name = before[0]
    if "," in name and not Path(name).exists():
        said = ", ".join(f"FILE,{word}" for word in words)
        raise UserError(f"disk {text}: expected FILE or {said}; there is no file {name}", 2)
    if read_only and device == "ahci":
        raise UserError(f"disk {text}: no disk by AHCI is read-only; leave out ro, or ahci", 2)
    found = Disk(file(Path(name), "disk"), read_only, device)
    size = found.file.stat().st_size
    if not found.file.is_file() or not size or size % SECTOR:
        raise UserError(f"disk {name}: expected whole sectors of {SECTOR} bytes, found {size} bytes", 2)
    if not found.read_only and not os.access(found.file, os.W_OK):
        raise UserError(f"disk {name}: it cannot be written to; mend its permissions, or give {name},ro", 2)
    return found


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that nobody has now."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def forward(text: str) -> Forward:
    """`udp:PORT[=HOSTPORT]` or `tcp:…`; without HOSTPORT one that is free."""
    found = re.fullmatch(r"(udp|tcp):(\d{1,5})(?:=(\d{1,5}))?", text)
    kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
    ports = [int(port) for port in found.groups()[1:] if port] if found else []
    if not found or not all(0 < port < 65536 for port in ports):
        raise UserError(f"--net: expected udp:PORT or tcp:PORT, with =HOSTPORT or without; found {text!r}", 2)
    return Forward(found[1], ports[0], ports[1] if found[3] else free_port(kinds[found[1]]))


def net(text: str) -> Net:
    """`user`, the device of QEMU that plays it or none, and what is forwarded, with commas between: a
    network that a kernel sees."""
    kind, *words = text.split(",")
    if kind != "user":
        raise UserError(f"--net: expected user, with a device and ports behind it or not; found {text!r}", 2)
    device = words.pop(0) if words and re.fullmatch(r"[a-z][a-z0-9-]*", words[0]) else ""
    return Net([forward(each) for each in words], device=device)


class Typed(Terminal):
    """What is typed is a file; what the guest writes is shown as lines."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read(self) -> bytes:
        return os.read(self.descriptor, 4096)

    def write(self, data: bytes) -> None:
        pass


class Joined(Terminal):
    """This process's own terminal. Each key goes to the guest, but for the one that ends it."""

    def __init__(self) -> None:
        self.left = False
        self.input, self.output = sys.stdin.fileno(), sys.stdout.fileno()

    def read(self) -> bytes:
        # The thread that reads must see that the guest has ended.
        while not self.left:
            if select.select([self.input], [], [], 0.2)[0]:
                data = os.read(self.input, 4096)
                if QUIT in data:
                    self.left = True
                    data = data[: data.index(QUIT)]
                return data
        return b""

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.output, data) :]


def check_terminal(wanted: Wanted) -> None:
    """UserError if there is nothing to be joined to the console as it is wanted."""
    if wanted.interactive and not sys.stdin.isatty():
        raise UserError("--interactive needs a terminal as standard input; --stdin FILE does not", 2)
    if wanted.stdin not in ("", "-"):
        file(Path(wanted.stdin), "file to be typed")


@contextlib.contextmanager
def terminal(wanted: Wanted) -> Iterator[Terminal | None]:
    """What is joined to the console of the guests."""
    if wanted.interactive:
        progress("the console is joined to this terminal; Control-] ends it")
        joined = Joined()
        before = termios.tcgetattr(joined.input)
        tty.setraw(joined.input)
        try:
            yield joined
        finally:
            joined.left = True
            termios.tcsetattr(joined.input, termios.TCSADRAIN, before)
    elif wanted.stdin == "-":
        yield Typed(sys.stdin.fileno())
    elif wanted.stdin:
        with open(wanted.stdin, "rb") as typed:
            yield Typed(typed.fileno())
    else:
        yield None


@dataclass
class Watch:
    """Looks at a console as it comes: shows it, and says when the guest may be stopped."""

    wanted: Wanted
    rig: Rig
    joined: Terminal | None
    kernel: Path
    missing: list[re.Pattern[str]] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    """Lines that must not be there."""
    hidden: int = 0
    spoken: bool = False
    """Whether the kernel has written anything."""

    def __post_init__(self) -> None:
        self.missing = list(self.wanted.expect)

    def line(self, line: str) -> bool:
        self._show(line)
        return self._look(line)

    def prompt(self, line: str) -> bool:
        """A last line that has not ended. It is shown when that is sure to be all of it."""
        stop = self._look(line)
        if stop:
            self._show(line)
        return stop

    def _show(self, line: str) -> None:
        if self.rig.own_lines.match(line) and not self.wanted.all_lines:
            self.hidden += 1
            return
        self.spoken |= bool(line.strip())
        if not isinstance(self.joined, Joined):
            if self.wanted.checked:
                line = flavour.named(self.kernel, line)
            with above():
                print(line, flush=True)

    def _look(self, line: str) -> bool:
        self.found += [
            f"--fail {each.pattern!r} is there: {line}" for each in self.wanted.fail if each.search(line)
        ]
        self.missing = [each for each in self.missing if not each.search(line)]
        left = isinstance(self.joined, Joined) and self.joined.left
        return left or bool(self.found) or bool(self.wanted.expect and not self.missing)

    def failures(self, outcome: Outcome) -> list[str]:
        """Why this kernel has not passed. What is expected decides alone where it is said; else the machine
        has to have ended as a passing kernel ends it, with no test of a KTAP report failed."""
        if self.found:
            return self.found[:1]
        if self.wanted.expect:
            return [*(f"--expect {each.pattern!r} is not there" for each in self.missing),
                    *([outcome.end] if self.missing else [])]  # fmt: skip
        reported = "KTAP version" in outcome.console
        failed = ktap.parse(outcome.console).failures() if reported else []
        if self.wanted.checked:
            failed += flavour.failures(outcome.console)
        return [*failed, *([] if outcome.clean else [outcome.end])]


def offer(stub: Path, image: Kernel) -> None:
    """Say what to type for a debugger of a kernel whose machine waits there."""
    words = ["gdb", str(image.path), "-ex", f"target remote {stub}", "-ex", "hbreak kernel_main",
             "-ex", "continue"]  # fmt: skip
    progress(f"the machine waits for gdb; type in another terminal: {shlex.join(words)}")


def fits(image: Kernel, backend: str, wanted: Wanted) -> None:
    """UserError if a kernel has too little memory; a line if its library is another one's."""
    least = image.least_memory(path for path, _ in wanted.modules)
    if wanted.memory_mib < least:
        raise UserError(
            f"--memory {wanted.memory_mib}: {image.path.name} with its modules needs at least {least} MiB", 2
        )
    if image.libraries and backend not in image.libraries:
        linked = ", ".join(sorted(image.libraries))
        progress(
            f"{image.path.name} is linked with the library for {linked}, not for {backend}: link it with "
            f"libvmi-{backend}.a, or run it in a configuration of {linked}"
        )


def distinct(names: Sequence[str]) -> list[str]:
    """Names that differ: one that has come before has a number behind it."""
    seen: list[str] = []
    for name in names:
        number, each = 1, name
        while each in seen:
            number += 1
            each = f"{name}-{number}"
        seen.append(each)
    return seen


def run(name: str, kernels: Sequence[Path], wanted: Wanted) -> int:
    """Run kernels one after the other in one configuration, consoles on standard output; 0 if all passed."""
    with tempfile.TemporaryDirectory(prefix="vmi-gdb-") as folder:  # names of sockets must be short
        return _run(name, kernels, wanted, Path(folder) / "stub" if wanted.gdb else None)


def _run(name: str, kernels: Sequence[Path], wanted: Wanted, stub: Path | None) -> int:
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    kernels = [file(kernel, "kernel") for kernel in kernels]
    if wanted.checked:
        kernels = [flavour.linked(kernel, rig.backend, flavour.CHECKED) for kernel in kernels]
    images = [look(kernel) for kernel in kernels]
    check_terminal(wanted)
    several = len(images) > 1
    guests = []
    for image, called in zip(images, distinct([image.path.stem for image in images]), strict=True):
        guest = Guest(
            image.path, f"{configuration.name}-{called}" if several else configuration.name,
            wanted.append, wanted.cpus, wanted.memory_mib, wanted.deadline,
            configuration.given(image.architecture)[0], modules=wanted.modules, option_rom=wanted.rom,
            disks=wanted.disks, nets=wanted.nets, rng=wanted.rng, gdb=stub,
            firmware=wanted.firmware,
        )  # fmt: skip
        rig.check(image, name, loaded=not wanted.firmware)
        fits(image, rig.backend, wanted)
        rig.check_guest(guest, name)
        guests.append(guest)
    rig.prepare()
    for each in (each for one in wanted.nets for each in one.forwards):
        progress(f"{each.protocol.upper()} port {each.port} of the kernel is 127.0.0.1:{each.host}")
    for limited in dict.fromkeys(configuration.given(image.architecture)[1] for image in images):
        if limited:
            progress(f"{name} is limited here: only kernels without page tables run, because {limited}")
    failed = 0
    with rig.steady_session(LOGS) as session:
        for image, guest in zip(images, guests, strict=True):
            if several:
                progress(f"{name}: {guest.kernel.name}")
            if stub:
                offer(stub, image)
            with terminal(wanted) as joined:
                watch = Watch(wanted, rig, joined, image.path)
                outcome = session.run(replace(guest, terminal=joined, prompt=watch.prompt), watch.line)
            write_if_changed(LOGS / f"{guest.name}.guest.log", outcome.console + "\n")
            failures = watch.failures(outcome)
            if not outcome.clean and not watch.spoken and not stub:
                outcome = replace(outcome, advice="; ".join(filter(None, (outcome.advice, SILENT))))
            if failures:
                failed += 1
                # What the kernel wrote has been seen; the hypervisor's own lines are for one that wrote none.
                unseen = watch.hidden > 0 and not watch.spoken
                show_failure(outcome, failures, rig.own_lines, tail=unseen)
                if watch.hidden and not unseen:
                    progress(
                        f"{watch.hidden} lines of the hypervisor's own are left out; --all-lines shows them"
                    )
            elif several:
                progress(f"{name}: {guest.kernel.name} passed in {outcome.seconds:.1f} s")
    if several:
        progress(f"{name}: {len(guests) - failed} of {len(guests)} kernels passed")
    return 1 if failed else 0
