# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Rigs: how kernels linked with a backend are booted.

A backend folder that can be booted has a `rig.py` with a class `BackendRig(Rig)`. The front door and
the tests discover it (`discover()`); nothing else knows the backend's name. A rig makes ready what
it needs (`prepare`), says what that is (`describe`) and opens sessions; a session runs guests, many
per session where a hypervisor has to be booted first, so that tests pay for one such boot.

`LinuxRig` and `ControlSession` are the common part of rigs that are a small Linux of distribution
packages in memory (ci/rig-init.sh is its first process).
"""

from __future__ import annotations

import abc
import contextlib
import hashlib
import importlib.util
import inspect
import json
import os
import re
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import initramfs, packages
from .backends import backends
from .cache import kept
from .util import ROOT, Progress, UserError, cache_dir, locked, write_if_changed

if TYPE_CHECKING:
    from .guest import GuestStrategy
    from .ktap import Report
    from .witness import Hypercall

Live = Callable[[str], None]

LIMITED_KERNEL = "unpaged"
"""What a limited configuration can still boot."""

NUDGE_SECONDS = 3.0
"""After so much silence of a running guest its rig gets an empty line. QEMU's TCG now and then loses an
interrupt request that comes while it enters or leaves a nested guest, the rig's kernel with it its tick, and
any further interrupt makes the local APIC ask again; the serial port's is one."""

UNUSED_SECONDS = 3 * 86400
"""An image that nobody has wanted for this long goes when a new one is made."""

COUNTING = ("-accel", "tcg", "-icount", "shift=0")
"""How QEMU is told to let a machine's time-stamp counter count instructions."""


@dataclass(frozen=True)
class Guest:
    """One kernel to run once."""

    kernel: Path
    name: str
    """Of the run; names its console log."""
    append: str = ""
    """Kernel command line, without the options of the library, which the rig adds."""
    cpus: int = 1
    memory_mib: int = 64
    deadline: float = 60.0
    """Seconds until the guest is stopped and reported as hanging."""
    options: Mapping[str, str] = field(default_factory=dict)
    """What only this rig understands, for example another CPU model."""
    typed: Path | None = None
    """What is typed on the guest's console after its line `# input ready`. The session is opened with this
    file among its kernels."""
    option_rom: Path | None = None
    """A ROM that the machine's firmware finds; only where `Rig.option_roms`."""
    witness: bool = False
    """Whether the rig is to keep an independent record of the guest's hypercalls, if it can."""


@dataclass
class Outcome:
    """What became of a guest, as its machine tells it. The console tells the other half."""

    guest: Guest
    console: str
    clean: bool
    """Whether the machine ended the way a passing kernel ends it."""
    end: str
    """The end state in words: `exit status 0x10`, `shutdown reason 3 (crash)`, `hung: …`."""
    advice: str
    """What to do about an end that is not clean; empty if it is."""
    seconds: float
    command: str
    """The command that started the guest, as a person would repeat it."""
    log: Path
    """The session's console log."""
    evidence: dict[str, list[str]] = field(default_factory=dict)
    """What the rig saw from outside, by kind of evidence."""
    witness: list[Hypercall] | None = None
    """The guest's hypercalls in order, as seen from outside the guest; if asked for."""


@dataclass(frozen=True)
class Configuration:
    """One row of the figure: a backend's library in one way of booting it."""

    name: str
    title: str
    options: Mapping[str, str] = field(default_factory=dict)
    limited: str = ""
    """Why whole kernels cannot run in this way here; empty if they can. Tests of whole kernels leave a
    limited configuration out."""

    @property
    def kernel(self) -> str:
        """The kernel of the figure's row."""
        return LIMITED_KERNEL if self.limited else "sample"


class Session(abc.ABC):
    """An open rig."""

    @abc.abstractmethod
    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        """Run one guest to its end or deadline; `live` gets its console line by line."""


class RigSilent(UserError):
    """A rig's own hypervisor or emulator stands still; nothing is said about the guest."""


class SteadySession(Session):
    """A session that is opened anew, and its guest run again, once, if the rig itself falls silent: emulated
    processors have been seen to lose an interrupt of the rig's own kernel. A guest that hangs is another
    matter: the rig ends it and lives on."""

    def __init__(self, rig: Rig, kernels: Sequence[Path], logs: Path) -> None:
        self.rig = rig
        self.kernels = kernels
        self.logs = logs
        self.stack = contextlib.ExitStack()
        self.session = self._open()

    def _open(self) -> Session:
        self.stack.close()
        return self.stack.enter_context(self.rig.session(self.kernels, self.logs))

    @property
    def broken(self) -> str:
        return str(getattr(self.session, "broken", ""))

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        try:
            return self.session.run(guest, live)
        except RigSilent as silence:
            self.rig.report(f"{str(silence).splitlines()[0]}: it is started anew, for {guest.name} once more")
            self.session = self._open()
            return self.session.run(guest, live)

    def close(self) -> None:
        self.stack.close()


class Rig(abc.ABC):
    """How the kernels of one backend are booted."""

    configurations: tuple[Configuration, ...]
    """A rig may find when it is made that here they are others, or limited."""
    instruction_counter: Mapping[str, str] = {}
    """Options of a guest (`Guest.options`) with which its time-stamp counter counts instructions; empty
    if no option does."""
    console_kib = 1024
    """How much data a guest's console carries within a test's time, each way."""
    other_consoles: Mapping[str, int] = {}
    """What else a guest's console can be (its option `console`), and how many KiB that carries in a test's
    time, each way."""
    option_roms = False
    """Whether guests can be given one (`Guest.option_rom`)."""
    witnesses = False
    """Whether sessions can see a guest's hypercalls from outside (`Guest.witness`); `prepare` may find
    that here they cannot."""

    def __init__(self, backend: str, report: Progress) -> None:
        self.backend = backend
        self.report = report

    @contextlib.contextmanager
    def steady_session(self, kernels: Sequence[Path], logs: Path) -> Iterator[SteadySession]:
        """`session`, opened anew where the rig itself falls silent."""
        session = SteadySession(self, kernels, logs)
        try:
            yield session
        finally:
            session.close()

    @property
    def folder(self) -> Path:
        return ROOT / "backends" / self.backend

    def prepare(self) -> None:
        """Make ready whatever a session needs; slow only the first time."""
        return

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """What guests run on, component by component, with versions; after `prepare`."""

    @abc.abstractmethod
    def session(
        self, kernels: Sequence[Path], logs: Path
    ) -> contextlib.AbstractContextManager[Session]:
        """Open the rig with these kernels at hand; logs go to the folder `logs`."""

    def count_instructions(self) -> bool:
        """After `prepare`: whether guests' time-stamp counters count instructions, with `instruction_counter`
        among their options; a rig that has to make its machine so does it for sessions from here on."""
        return bool(self.instruction_counter)

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the figure's row says about this run beyond what every run says."""
        return {}

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """What is wrong about a run of the conformance kernel although that found nothing: what the
        library does not use and the hypervisor offers, what the hypervisor itself has counted
        otherwise."""
        return []


def rig_class(backend: str) -> Any:
    """The class BackendRig of a backend; one that boots as its parent does builds on the parent's."""
    path = ROOT / "backends" / backend / "rig.py"
    spec = importlib.util.spec_from_file_location(f"vmi_rig_{backend.replace('-', '_')}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BackendRig


def discover(report: Progress) -> dict[str, Rig]:
    """The rigs of all backends, by backend; backends that others build on come first."""
    rigs = {}
    for backend in backends():
        if (ROOT / "backends" / backend / "rig.py").is_file():
            rigs[backend] = rig_class(backend)(backend, report)
    return rigs


@dataclass(frozen=True)
class Machine:
    """A QEMU machine as labgrid's environment describes it."""

    qemu: str
    machine: str
    cpu: str
    memory: str
    kernel: Path
    append: str
    extra: Sequence[str] = ()


@contextlib.contextmanager
def boot(machine: Machine, name: str, logs: Path, limit: float) -> Iterator[GuestStrategy]:
    """Start a machine through labgrid; it is switched off at the end, whatever happens."""
    # Imported here: only commands that boot something pay for labgrid.
    from labgrid import Environment

    from . import guest as _  # noqa: F401  # registers driver and strategy

    qemu = shutil.which(machine.qemu)
    if not qemu:
        raise UserError(f"{machine.qemu}: not found; ./vmi setup installs it")
    config = {
        "tools": {"qemu": qemu},
        "images": {"kernel": str(machine.kernel)},
        "targets": {
            name: {
                "drivers": {
                    "GuestDriver": {
                        "qemu_bin": "qemu",
                        "machine": machine.machine,
                        "cpu": machine.cpu,
                        "display": "fb-headless",
                        "memory": machine.memory,
                        "kernel": "kernel",
                        "boot_args": machine.append,
                        "extra_args": shlex.join(machine.extra),
                    },
                    "GuestStrategy": {"limit": limit},
                }
            }
        },
    }
    logs.mkdir(parents=True, exist_ok=True)
    environment = logs / f"{name}.env.yaml"
    write_if_changed(environment, json.dumps(config, indent=2) + "\n")
    target = Environment(str(environment)).get_target(name)
    strategy = target.get_strategy()
    strategy.log = (logs / f"{name}.console.log").absolute()
    try:
        strategy.transition("running")
        yield strategy
    finally:
        strategy.transition("off")
        target.cleanup()


def is_wide(kernel: Path) -> bool:
    """Whether a kernel wants a 64-bit processor: an ELF file of that class."""
    with open(kernel, "rb") as file:
        head = file.read(5)
    return head == b"\x7fELF\2"


STATUS = {0x10: "pass", 0x11: "fail", 0x12: "panic", 0x13: "refused"}
"""What a kernel writes to isa-debug-exit: VMI_STATUS_* of the specification."""

DEBUG_EXIT = "vmi.debug_exit=0xf4"
"""Library option that goes with QEMU_END below."""

QEMU_END = ("-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4")


def qemu_end(code: int | None, shutdown: str = "") -> tuple[bool, str, str]:
    """What QEMU's exit status says about the guest: clean, the end in words, advice.

    isa-debug-exit makes it `value << 1 | 1`; None stands for a guest that had to be stopped.
    """
    if code is None:
        return False, "hung: stopped at its deadline", "the last lines show how far it came"
    if code > 1 and code & 1:
        status = code >> 1
        return status == 0x10, f"exit status {status:#x} ({STATUS.get(status, 'unknown')})", (
            "" if status == 0x10 else "the console says which check failed or why it stopped"
        )
    if code == 0:
        how = f" ({shutdown})" if shutdown else ""
        return False, f"machine reset or powered off without a status{how}", (
            "a reset is most often a triple fault: a fault before the kernel's own traps are set up"
        )
    return False, f"QEMU exited with {code}", "QEMU itself failed; its message is in the log"


def run_machine(machine: Machine, guest: Guest, logs: Path, live: Live | None) -> Outcome:
    """Run a guest directly in a QEMU of its own."""
    from labgrid.driver.exception import ExecutionError

    lines: list[str] = []
    command = shlex.join([machine.qemu, *machine.extra, "-kernel", str(machine.kernel)])
    log = logs / f"{guest.name}.console.log"
    code: int | None = None
    shutdown = ""
    started = time.monotonic()
    try:
        with boot(machine, guest.name, logs, guest.deadline) as strategy:
            command = shlex.join(strategy.qemu.command)
            while True:
                try:
                    line = strategy.line(strategy.left())
                except TimeoutError:
                    break
                if line is None:
                    code = strategy.qemu.wait(10)
                    shutdown = strategy.qemu.shutdown_reason()
                    break
                lines.append(line)
                if guest.typed and line.startswith("# input ready"):
                    with contextlib.suppress(TimeoutError):  # then the guest waits for it to its deadline
                        strategy.qemu.feed(guest.typed.read_bytes(), strategy.left())
                if live:
                    live(line)
            lines += [rest] if (rest := strategy.rest()) else []
            if code and not code & 1:
                lines += strategy.qemu.errors().splitlines()
        clean, end, advice = qemu_end(code, shutdown)
    except ExecutionError as error:
        clean, end = False, str(error.msg)
        advice = "QEMU would not run this kernel: is it an i386 multiboot ELF?"
    return Outcome(guest, "\n".join(lines), clean, end, advice, time.monotonic() - started, command, log)


def frame(line: str) -> tuple[str, str]:
    """A line of a rig's second serial port as tag and text; no tag if it is not the rig's (firmware and
    the kernel's early console may write there too)."""
    tag, _, text = line.partition(" ")
    return (tag[1:], text) if tag.startswith("@") else ("", line)


class ControlSession(Session):
    """The host's end of ci/rig-init.sh's protocol on the rig's second serial port."""

    def __init__(self, strategy: GuestStrategy, name: str) -> None:
        self.strategy = strategy
        self.name = name
        self.broken = ""

    def start(self, seconds: float) -> dict[str, list[str]]:
        """Wait until the rig is up; what it said on the way."""
        return self._collect("ready", seconds, None)

    def _collect(self, last: str, seconds: float, live: Live | None) -> dict[str, list[str]]:
        """Frames by tag, up to the frame `last`."""
        frames: dict[str, list[str]] = {}
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            silent = False
            try:
                line = self.strategy.line(max(0.1, min(left, NUDGE_SECONDS)))
            except TimeoutError:
                if left > NUDGE_SECONDS:
                    if last == "done":
                        self.send("")
                    continue
                line, silent = None, True
                self.broken = f"the {self.name} rig has not answered for {seconds:g} s"
                self._where()
            if line is None:
                self.broken = self.broken or f"the {self.name} rig has ended by itself"
                tail = self.strategy.console().splitlines()[-40:]
                kind = RigSilent if silent else UserError
                raise kind("\n".join([self.broken, *tail, f"(whole log: {self.strategy.log})"]))
            tag, text = frame(line)
            if not tag:
                continue
            frames.setdefault(tag, []).append(text)
            if tag == "console" and live:
                live(text)
            if tag == last:
                return frames

    def _where(self) -> None:
        """Leave beside the log what the rig's processors are doing, for whoever looks into its silence."""
        with contextlib.suppress(Exception):  # the machine may be past answering; the silence is reported
            said = self.strategy.qemu.monitor_command(
                "human-monitor-command", {"command-line": "info registers -a"}
            )
            self.strategy.log.with_suffix(".registers").write_text(str(said))

    def send(self, line: str) -> None:
        if not line.isprintable():
            raise UserError(f"not printable, so not for a rig: {line!r}", 2)
        self.strategy.qemu.sendline(line)

    def run_kernel(
        self, guest: Guest, options: Mapping[str, str], live: Live | None
    ) -> tuple[dict[str, list[str]], float]:
        """Run a guest in the rig; the frames it gave and the seconds it took."""
        if self.broken:
            raise UserError(self.broken)
        for key, value in {
            "deadline": f"{guest.deadline:.0f}",
            "append": guest.append,
            "cpus": str(guest.cpus),
            "memory": str(guest.memory_mib),
            **({"typed": guest.typed.name} if guest.typed else {}),
            **options,
        }.items():
            self.send(f"set {key} {value}")
        started = time.monotonic()
        self.send(f"run {guest.kernel.name}")
        # The rig itself keeps the guest's deadline; if it is late by more than this, it is lost.
        frames = self._collect("done", guest.deadline * 1.5 + 30, live)
        return frames, time.monotonic() - started


@dataclass(frozen=True)
class Image:
    """A built rig: files by role, and the versions of what is in them."""

    folder: Path
    versions: dict[str, str]

    @property
    def initramfs(self) -> Path:
        return self.folder / "rig.cpio"

    @property
    def linux(self) -> Path:
        return self.folder / "vmlinuz"


class LinuxRig(Rig):
    """A rig that is a Linux of distribution packages with an initial RAM file system of our own.

    Subclasses say what to take from where. The image is cached under a hash of everything that goes
    into it: packages (by the hash of their files), the machine's files, init scripts and this code.
    """

    modules: tuple[str, ...]
    """Kernel modules, in the order in which they are loaded."""
    module_parameters: Mapping[str, str] = {}
    module_paths: tuple[str, ...]
    """Which of the kernel package's module folders to unpack (tar patterns)."""
    roots: tuple[str, ...] = ()
    """Packages beside the kernel and busybox."""
    follow: tuple[str, ...] = ()
    """Dependencies are followed while their name starts with one of these."""
    shared = ""
    """Name of an image that several backends' rigs have in common; then `init` is set too."""
    init: Path | None = None
    """The part of the rig's first process that starts the hypervisor; else the folder's rig-init.sh."""

    image: Image

    def selection(self) -> packages.Selection:
        kernel_files = ("./boot/vmlinuz*", "*/modules.builtin", *self.module_paths)
        return packages.Selection(
            roots=(*self.roots, "linux-image-amd64", "busybox-static"),
            follow=(*self.follow, "linux-image-"),
            only=(("linux-image-[0-9]*", kernel_files),),
        )

    def inputs(self) -> list[Path]:
        """Files of this machine, beside packages, that go into the image."""
        return []

    @abc.abstractmethod
    def fill(self, archive: initramfs.Archive, trees: list[Path], image: Path) -> dict[str, str]:
        """Put the backend's own files into the archive, or beside it into the folder `image`; says the
        versions of what is not from the packages."""

    def prepare(self) -> None:
        try:
            self._prepare(fresh=False)
        except packages.DownloadError:
            self._prepare(fresh=True)

    def _prepare(self, fresh: bool) -> None:
        selection = self.selection()
        apt, chosen = packages.resolve(selection, self.report, fresh)
        image = self.shared or self.backend
        folder = cache_dir() / "rigs" / f"{image}-{self._key(chosen)}"

        def make(new: Path) -> None:
            self.report(f"building the {image} rig (once; kept in {folder})")
            trees = packages.unpack(apt, selection, chosen, self.report)
            versions = {package.name: package.version for package in chosen}
            versions |= self._build(new, trees)
            (new / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")

        with locked(cache_dir() / f"{image}.lock"):
            known = folder.is_dir()
            kept(folder, make, self.report)
            if not known:
                # Other checkouts that use this cache have images of their own, which may be running now.
                for old in folder.parent.glob(f"{image}-*"):
                    if time.time() - old.stat().st_mtime > UNUSED_SECONDS:
                        shutil.rmtree(old, ignore_errors=True)
            os.utime(folder)
        self.image = Image(folder, json.loads((folder / "versions.json").read_text()))

    def _key(self, chosen: Sequence[packages.Package]) -> str:
        """A hash of everything that goes into the image."""
        sources = [
            *(ROOT / "ci" / name for name in ("rig.py", "packages.py", "initramfs.py", "rig-init.sh")),
            self.init or self.folder / "rig-init.sh",
            Path(inspect.getfile(self.fill)),
        ]
        if not self.shared:
            sources += sorted(self.folder.glob("*.cfg"))
        key = hashlib.sha256()
        for package in chosen:
            key.update(f"{package.name} {package.version} {package.sha256}\n".encode())
        for path in sources:
            key.update(path.name.encode() + b"\0" + path.read_bytes())
        for path in self.inputs():
            stat = path.stat()
            key.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        return key.hexdigest()[:16]

    def _build(self, folder: Path, trees: list[Path]) -> dict[str, str]:
        kernel = next(tree for tree in trees if re.match(r"linux-image-\d", tree.name))
        archive = initramfs.Archive()
        archive.program("/init", ROOT / "ci/rig-init.sh")
        archive.file("/rig/backend.sh", (self.init or self.folder / "rig-init.sh").read_bytes())
        for number, (name, data) in enumerate(initramfs.modules(kernel, self.modules)):
            archive.file(f"/rig/modules/{number}-{name}.ko", data)
            if name in self.module_parameters:
                archive.file(f"/rig/modules/{number}-{name}.ko.args", self.module_parameters[name].encode())
        archive.program("/bin/busybox", packages.find(trees, "bin/busybox"))
        archive.link("/bin/sh", "busybox")
        archive.device("/dev/console", 5, 1)
        for mount in ("/proc", "/sys"):
            archive.folder(mount)
        versions = self.fill(archive, trees, folder)
        (folder / "rig.cpio").write_bytes(archive.finish())
        shutil.copyfile(packages.find([kernel], "boot/vmlinuz*"), folder / "vmlinuz")
        return versions

    @contextlib.contextmanager
    def with_guests(self, kernels: Sequence[Path]) -> Iterator[Path]:
        """The image's archive followed by one that holds the kernels; gone afterwards."""
        archive = initramfs.Archive()
        for kernel in kernels:
            archive.program(f"/guests/{kernel.name}", kernel)
        with tempfile.TemporaryDirectory(prefix="vmi-rig-") as folder:
            path = Path(folder) / "rig.cpio"
            with open(path, "wb") as file, open(self.image.initramfs, "rb") as base:
                shutil.copyfileobj(base, file)
                file.write(archive.finish())
            yield path


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """An outcome for a results file."""
    return {
        "kernel": outcome.guest.kernel.name,
        "append": outcome.guest.append,
        "cpus": outcome.guest.cpus,
        "clean": outcome.clean,
        "end": outcome.end,
        "seconds": round(outcome.seconds, 2),
        "command": outcome.command,
        "log": str(outcome.log),
    }
