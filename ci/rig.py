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
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import initramfs, packages
from .backends import backends
from .cache import kept
from .console import lines as console_lines
from .control import SHARE, TERMINAL_PORT, Answer, Control, RigFailed, channel
from .control import options as option_lines
from .firmware import Firmware
from .kernel import LINUX, MULTIBOOT, PVH, Kernel, look
from .moving import carry_out
from .util import ARCHITECTURES, ROOT, Progress, UserError, cache_dir, locked, write_if_changed

if TYPE_CHECKING:
    from .exits import Exit
    from .guest import GuestStrategy
    from .ktap import Report
    from .witness import Hypercall, Mark

Live = Callable[[str], object]
"""Gets a guest's console line by line; the guest is stopped once it returns something true."""

PROMPT_SECONDS = 1.0
"""After so long a line that has not ended is one at which the guest waits."""

LIMITED_KERNEL = "unpaged"
"""What a limited configuration can still boot."""

UNUSED_SECONDS = 3 * 86400
"""An image that nobody has wanted for this long goes when a new one is made."""

COUNTING = ("-accel", "tcg", "-icount", "shift=0")
"""How QEMU is told to let a machine's time-stamp counter count instructions."""


REQUEST = "# request "
"""How a guest's line begins that names what it is to be asked for."""


@dataclass(frozen=True)
class Disk:
    """A file that a guest sees as a disk, byte for byte."""

    file: Path
    read_only: bool = False
    device: str = ""
    """What plays it, one of `Rig.disk_devices`; empty for the rig's own choice."""


@dataclass(frozen=True)
class Forward:
    """A port of a guest that is one of this machine's loopback interface, too."""

    protocol: str
    """`udp` or `tcp`."""
    port: int
    """Of the guest."""
    host: int
    """Of 127.0.0.1."""


@dataclass(frozen=True)
class Net:
    """A network that a guest sees: QEMU's user network, in which the guest is 10.0.2.15 and this machine
    10.0.2.2."""

    forwards: Sequence[Forward] = ()
    netdev: str = ""
    """QEMU's backend in its place, without `id`; only on this machine."""
    device: str = ""
    """The device of QEMU that plays it, one of `Rig.net_devices`; empty for the rig's own choice."""


@dataclass(frozen=True)
class Life:
    """What one guest goes through while it works (`./vmi life`).

    The sample kernel's option `life` has these words, and its lines `# request WORD` ask for them one after
    another. A guest with `Guest.requests` gets each from its session, and a byte typed on its console once it
    is over. The session's evidence `life` has a line `WORD BEGAN ENDED` for each, in seconds since 1970 by
    the clock of the machine that has the hypervisor, and last a line `end NOW NOW`.
    """

    events: Sequence[str]
    """WORD or WORD:ARGUMENT; `{seconds}` in an argument is how long the guest is to stand still."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the guest, beside those of its configuration."""


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
    """What is typed on the guest's console after its line `# input ready`."""
    terminal: Terminal | None = None
    """What is joined to the guest's console from its first line on."""
    modules: Sequence[tuple[Path, str]] = ()
    """Files that are loaded with the kernel, each with its arguments; of a Linux kernel the first is its
    initial RAM disk."""
    prompt: Live | None = None
    """Gets the console's last line where it has not ended and nothing more has come for PROMPT_SECONDS, or
    some seconds: a prompt. The guest is stopped once it returns something true."""
    option_rom: Path | None = None
    """A ROM that the machine's firmware finds; only where `Rig.option_roms`."""
    disks: Sequence[Disk] = ()
    """In the order in which the guest finds them; only where `Rig.disks`. What the guest has written is in
    the files afterwards."""
    nets: Sequence[Net] = ()
    """In the order in which the guest finds them; only where `Rig.nets`."""
    requests: bool = False
    """Whether the rig asks the guest for what its lines `# request WORD` name, in the way in which its
    hypervisor does, if it can (`Rig.requests`: poweroff, reboot, key and its character; `Rig.lives`; memory
    and how many MiB, `Rig.balloons`)."""
    rng: bool = False
    """Whether it has a device that is a source of entropy; only where `Rig.rng`."""
    gdb: Path | None = None
    """The socket at which a debugger takes over the machine, which stands still until then (the GDB manual,
    "Remote Protocol"); only where `Rig.gdb`."""
    core: Path | None = None
    """Where its memory and CPUs are written to when it is stopped, has had its time, or ends by itself, as
    its hypervisor does: memory by guest-physical addresses (ci.core.read); only where `Rig.no_core` has no
    reason."""
    memory_alone: bool = False
    """Whether `core` may be of its memory without its CPUs; only where `Rig.no_memory` has no reason."""
    memory_file: Path | None = None
    """A file that is the guest's memory while it runs, from guest-physical address 0 on (MEMORY_HELD); only
    where `Rig.no_memory_file` is empty."""
    witness: bool = False
    """Whether the rig is to keep an independent record of the guest's hypercalls, if it can."""
    firmware: str = ""
    """How the machine's own firmware starts it, one of `Rig.firmware`, in place of a loader of the rig's."""
    exits: bool = False
    """Whether the rig is to keep a record of all that makes the guest leave for its hypervisor, if it can."""


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
    """A command that does the same, for a person; in a rig that is an emulated machine, with what it needs
    before it."""
    log: Path
    """The session's console log."""
    evidence: dict[str, list[str]] = field(default_factory=dict)
    """What the rig saw from outside, by kind of evidence."""
    witness: Sequence[Hypercall | Mark] | None = None
    """The guest's hypercalls in order, as seen from outside the guest; if asked for."""
    exits: Sequence[Exit] | None = None
    """The guest's exits in order, if asked for; None if the rig cannot see them, or some were lost."""

    def said_of_it(self, most: int) -> list[str]:
        """The last lines of each kind of evidence, as `KIND: LINE`; without QEMU's warnings, and without
        counters, which are no words."""
        return [
            f"{kind}: {line}"
            for kind, said in self.evidence.items()
            if kind != "counter"
            for line in (complaints(said) if kind == "qemu" else said)[-most:]
        ]


@dataclass(frozen=True)
class Configuration:
    """One row of the figure: a backend's library in one way of booting it."""

    name: str
    title: str
    options: Mapping[str, str] = field(default_factory=dict)
    limited: str = ""
    """Why whole kernels cannot run in this way here; empty if they can. Tests of whole kernels leave a
    limited configuration out."""

    wide_options: Mapping[str, str] | None = None
    """Options of 64-bit kernels, which are not limited then; None if theirs are the same. Ask `given`."""

    bound_append: str = ""
    """What a kernel that binds itself is told here so that it takes this backend's library; empty where it
    does so by itself."""

    on: Mapping[str, str] = field(default_factory=dict)
    """What it runs on, where that is not what the rig says (Rig.describe)."""

    flavour: str = ""
    """Of the backend's library (ci/flavour.py), if the kernel is linked with one."""

    def given(self, architecture: str) -> tuple[dict[str, str], str]:
        """The options of a kernel of this architecture, and why whole ones cannot run so here; empty if they
        can."""
        if architecture != ARCHITECTURES[0] and self.wide_options is not None:
            return dict(self.wide_options), ""
        return dict(self.options), self.limited


class Terminal(abc.ABC):
    """The other end of a guest's console."""

    @abc.abstractmethod
    def read(self) -> bytes:
        """Waits for what is typed next; nothing at its end."""

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Takes what the guest writes, byte for byte."""


class Session(abc.ABC):
    """An open rig."""

    @abc.abstractmethod
    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        """Run one guest to its end or deadline; `live` gets its console line by line."""

    def resources(self) -> dict[str, str]:
        """What the hypervisor has free and what it keeps of guests, by name: after a guest as before.
        Empty where nothing is known of it, or others use it too."""
        return {}


class SteadySession(Session):
    """A session that is opened anew, and its guest run again, once, if the rig itself falls silent or errs:
    emulated processors have been seen to lose an interrupt of the rig's own kernel. A guest that hangs is
    another matter: the rig ends it and lives on."""

    def __init__(self, rig: Rig, logs: Path) -> None:
        self.rig = rig
        self.logs = logs
        self.opened = 0
        """How often."""
        self.stack = contextlib.ExitStack()
        self.session = self._open()

    def _open(self) -> Session:
        """Each time with logs of its own: those of what fell silent say why it did."""
        self.stack.close()
        self.opened += 1
        logs = self.logs if self.opened == 1 else self.logs / f"opened-{self.opened}"
        return self.stack.enter_context(self.rig.session(logs))

    @property
    def broken(self) -> str:
        return str(getattr(self.session, "broken", ""))

    def renew(self) -> None:
        """Opens it anew if a guest before has broken it."""
        if self.broken:
            self.session = self._open()

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        self.renew()
        try:
            return self.session.run(guest, live)
        except RigFailed as silence:
            self.rig.report(f"{str(silence).splitlines()[0]}: it is started anew, for {guest.name} once more")
            self.session = self._open()
            return self.session.run(guest, live)

    def resources(self) -> dict[str, str]:
        return self.session.resources()

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
    own_lines = re.compile("(?!)")
    """How lines begin that the hypervisor itself writes on a guest's console; by default it writes none."""
    takes: tuple[str, ...] = (MULTIBOOT, PVH, LINUX)
    """By what its loader starts a kernel (ci/kernel.py); by default what QEMU's does."""
    firmware: Mapping[str, Firmware] = {}
    """What firmware can start guests (`Guest.firmware`)."""
    option_roms = False
    """Whether guests can be given one (`Guest.option_rom`)."""
    disks = ""
    """Why guests cannot be given disks (`Guest.disks`); empty if they can."""
    disk_devices: Sequence[str] = ()
    """What else than the rig's own choice can play a guest's disk (`Disk.device`)."""
    nets = ""
    """Why guests cannot be given networks (`Guest.nets`); empty if they can."""
    net_devices: tuple[str, ...] = ()
    """Devices of QEMU that can play a guest's network (`Net.device`), the usual one first; empty where there
    is no choice."""
    rng = ""
    """Why guests cannot be given a device that is a source of entropy (`Guest.rng`); empty if they can."""
    balloons: tuple[str, ...] = ()
    """Architectures whose guests have a memory balloon, where they are asked for something (`requests`)."""
    vcpus: tuple[str, ...] = ()
    """Architectures whose guests' CPUs are taken away and given back, where they ask for it by `vcpus N`."""
    requests: tuple[str, ...] = ("poweroff",)
    """What guests can be asked for (`Guest.requests`): a PC has a power button, and no other way."""

    @property
    def rows(self) -> tuple[Configuration, ...]:
        """Further rows of `./vmi boot`, for a flavour of the library or another machine. `./vmi run` and its
        like know them, too, but for flavours; tests of whole kernels do not."""
        return ()

    def requested(self, architecture: str) -> tuple[str, ...]:
        """Those that kernels of an architecture can be asked for."""
        return self.requests

    slow: tuple[str, ...] = ()
    """Of `requests`, what takes so long here that it is left to `./vmi life` and `./vmi test --long`."""
    lives: Sequence[Life] = ()
    """What guests can be put through while they work; each is for a guest of its own."""
    no_memory_file = "only that of plain QEMU's guests can"
    """Why their memory cannot be looked at while they run (`Guest.memory_file`); empty if it can."""
    cores = "its rig writes none"
    """Why there are no core files of guests (`Guest.core`); empty if there are."""

    def no_core(self, architecture: str) -> str:
        """The same of kernels of an architecture."""
        return self.cores

    def no_memory(self, architecture: str) -> str:
        """Why there is none of the memory alone (`Guest.memory_alone`) of kernels of an architecture."""
        return self.no_core(architecture)

    gdb = ""
    """Why guests have no stub for a debugger (`Guest.gdb`); empty if they have one."""
    witnesses = False
    """Whether sessions can see a guest's hypercalls from outside (`Guest.witness`); `prepare` may find
    that here they cannot."""

    def witnessed(self, architecture: str) -> bool:
        """Whether that is so for kernels of an architecture."""
        return self.witnesses

    exits_of = ""
    """The hypervisor whose exits sessions can see (`Guest.exits`), which may have several rigs; empty if they
    can see none."""
    unmodified: Mapping[str, Mapping[str, str]] = {}
    """Ways in which kernels run under it that know nothing of it, those for the bare machine: options of a
    guest by what the way is called; empty if they do not run."""

    def sees_exits(self, architecture: str) -> bool:
        """Whether they can be seen of kernels of an architecture."""
        return bool(self.exits_of)

    hypercall_goals: Mapping[str, Mapping[str, int]] = {}
    """How many hypercalls a round of a workload of the sample kernel may take at most, by architecture and
    its name, where the backend sets itself a goal."""

    def __init__(self, backend: str, report: Progress) -> None:
        self.backend = backend
        self.report = report

    @contextlib.contextmanager
    def steady_session(self, logs: Path) -> Iterator[SteadySession]:
        """`session`, opened anew where the rig itself falls silent."""
        session = SteadySession(self, logs)
        try:
            yield session
        finally:
            session.close()

    @property
    def image_name(self) -> str:
        """Rigs with the same one make the same image ready."""
        return self.backend

    @property
    def folder(self) -> Path:
        return ROOT / "backends" / self.backend

    def prepare(self) -> None:
        """Make ready whatever a session needs; slow only the first time."""
        return

    def check(self, kernel: Kernel, name: str, loaded: bool = True) -> None:
        """UserError with status 2 for a kernel that cannot be started in the configuration `name`, by the
        rig's loader if it is `loaded`."""
        if loaded:
            kernel.check(name, self.takes)
        if LINUX not in kernel.ways and self.backend not in backends(arch=kernel.architecture):
            having = ", ".join(arch for arch in ARCHITECTURES if self.backend in backends(arch=arch))
            raise UserError(
                f"kernel {kernel.path}: expected one for {having}, which {name} is for; "
                f"the file is for {kernel.architecture}; compile it for {having}", 2,
            )  # fmt: skip
        flat = kernel.addresses or kernel.architecture == ARCHITECTURES[0] or LINUX in kernel.ways
        if loaded and MULTIBOOT in self.takes and MULTIBOOT in kernel.ways and not flat:
            raise UserError(
                f"kernel {kernel.path}: its multiboot header has no addresses (flag 16), without which QEMU "
                "takes no ELF file for 64 bits", 2,
            )  # fmt: skip

    def check_guest(self, guest: Guest, name: str) -> None:
        """UserError with status 2 for what guests of the configuration `name` cannot be given."""
        if guest.firmware:
            self._check_firmware(guest, name)
        if guest.option_rom and not self.option_roms:
            raise UserError(f"{name} has no option ROMs; a provider can be a --module", 2)
        if guest.disks and self.disks:
            raise UserError(f"{name} has no disks: {self.disks}", 2)
        devices = () if "disk" in guest.options else self.disk_devices
        for disk in guest.disks:
            if disk.device and disk.device not in devices:
                found = ", ".join(devices) or "no choice of one"
                raise UserError(f"{name} has no disk device {disk.device}; it has {found}", 2)
        if guest.nets and self.nets:
            raise UserError(f"{name} has no networks: {self.nets}", 2)
        devices = () if "net" in guest.options else self.net_devices
        for net in guest.nets:
            if net.device and net.device not in devices:
                found = ", ".join(devices) or "no choice of one"
                raise UserError(f"{name} has no network device {net.device}; it has {found}", 2)
        if guest.rng and self.rng:
            raise UserError(f"{name} has no source of entropy: {self.rng}", 2)
        if guest.core:
            arch = look(guest.kernel).architecture
            if why := self.no_memory(arch) if guest.memory_alone else self.no_core(arch):
                wanted = "memory to read" if guest.memory_alone else "core files"
                raise UserError(f"{name} has no {wanted}: {why}", 2)
        if guest.memory_file and self.no_memory_file:
            raise UserError(f"the memory of {name} cannot be read while it runs: {self.no_memory_file}", 2)
        if guest.gdb and self.gdb:
            raise UserError(f"{name} has no debugger: {self.gdb}", 2)

    def _check_firmware(self, guest: Guest, name: str) -> None:
        if guest.firmware not in self.firmware:
            found = ", ".join(self.firmware) or "none to choose"
            raise UserError(f"{name} has no firmware {guest.firmware}; it has {found}", 2)
        firmware = self.firmware[guest.firmware]
        kernel = look(guest.kernel)
        firmware.check(kernel, guest.append, guest.modules, guest.memory_mib)
        if firmware.uefi and guest.option_rom:
            raise UserError(f"{name} by UEFI has no option ROMs; a provider can be a --module", 2)
        if firmware.uefi and guest.gdb and kernel.architecture == ARCHITECTURES[0]:
            raise UserError(
                "gdb takes no kernel for 32 bits on the machine that this UEFI firmware is for; "
                "use --firmware bios, or none", 2,
            )  # fmt: skip

    @abc.abstractmethod
    def describe(self) -> dict[str, str]:
        """What guests run on, component by component, with versions; after `prepare`."""

    @abc.abstractmethod
    def session(self, logs: Path) -> contextlib.AbstractContextManager[Session]:
        """Open the rig; logs go to the folder `logs`."""

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
    kernel: Path | None
    """What QEMU's loader starts; None if the firmware finds one."""
    append: str
    extra: Sequence[str] = ()
    halted: bool = False
    """Whether it stands still until a debugger lets it go on."""


def command_of(machine: Machine) -> str:
    """A machine as a person starts it, its console on standard input and output."""
    loaded = ("-kernel", str(machine.kernel.absolute()), "-append", machine.append) if machine.kernel else ()
    return shlex.join(
        [machine.qemu, "-machine", machine.machine, "-cpu", machine.cpu, "-m", machine.memory,
         "-display", "none", "-serial", "stdio", *machine.extra, *loaded]
    )  # fmt: skip


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
        "images": {"kernel": str(machine.kernel)} if machine.kernel else {},
        "targets": {
            name: {
                "drivers": {
                    "GuestDriver": {
                        "qemu_bin": "qemu",
                        "machine": machine.machine,
                        "cpu": machine.cpu,
                        "display": "fb-headless",
                        "memory": machine.memory,
                        **({"kernel": "kernel", "boot_args": machine.append} if machine.kernel else {}),
                        "extra_args": shlex.join(machine.extra),
                    },
                    "GuestStrategy": {"limit": limit, "halted": machine.halted},
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


STATUS = {0x10: "pass", 0x11: "fail", 0x12: "panic", 0x13: "refused", 0x14: "broken rule"}
"""What a kernel writes to isa-debug-exit: VMI_STATUS_* of the specification."""

DEBUG_EXIT = "vmi.debug_exit=0xf4"
"""Library option that goes with QEMU_END below."""

QEMU_END = ("-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4")


def complaints(said: Sequence[str]) -> list[str]:
    """What QEMU says beyond warnings (TCG names every feature of a processor that it lacks)."""
    return [line for line in said if line.strip() and "warning:" not in line]


def qemu_end(
    code: int | None, shutdown: str = "", said: Sequence[str] = (), debugged: bool = False
) -> tuple[bool, str, str]:
    """What QEMU's exit status says about the guest: clean, the end in words, advice. `shutdown` is the reason
    that QEMU gives (QMP's SHUTDOWN event), `said` what it has written on its standard error; `debugged` says
    that the guest had a stub for a debugger, which can end it.

    isa-debug-exit makes the status `value << 1 | 1`; None stands for a guest that had to be stopped.
    """
    if code is None:
        return False, "hung: stopped at its deadline", "the last lines show how far it came"
    if code > 1 and code & 1:
        status = code >> 1
        return (
            status == 0x10,
            f"exit status {status:#x} ({STATUS.get(status, 'unknown')})",
            "" if status == 0x10 else "the console says which check failed or why it stopped"
            if status in STATUS else "no VMI_STATUS_… has that value",
        )
    if code == 0 and debugged and shutdown != "guest-reset":
        # From version 8.1 on QEMU gives the reason of a guest's own power-off then.
        other = f", or powered off without a status ({shutdown})" if shutdown else ""
        return False, f"ended by the debugger{other}", "to go on without it: detach"
    if code == 0:
        how = f" ({shutdown})" if shutdown else ""
        return (
            False,
            f"machine reset or powered off without a status{how}",
            ("a reset is most often a triple fault: a fault before the kernel's own traps are set up"),
        )
    last = complaints(said)[-1:]
    return False, ": ".join([f"QEMU exited with {code}", *last]), "QEMU itself failed"


CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
"""How QEMU ends by a fault of its own. Before 8.2 its emulated CPUs share a map of the machine that one of
them changes (`tcg_commit`), by opening a PCI device for example, while another is about to store to a device:
that store goes to a device that is not there (`memory_region_dispatch_write`)."""


STOPPED = (False, "stopped while it ran, as asked", "what was waited for came before its end")


def module_list(modules: Sequence[tuple[str, str]]) -> str:
    """QEMU's argument of -initrd: files, each with its words; a comma in a name is doubled."""
    return ",".join(f"{path} {words}".rstrip().replace(",", ",,") for path, words in modules)


def qemu_modules(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest's modules."""
    files = [(str(path.absolute()), words) for path, words in guest.modules]
    return ("-initrd", module_list(files)) if files else ()


DISK_DEVICE = "virtio-blk-pci"
DISK_DEVICES = {
    "": (DISK_DEVICE,),
    "nvme": ("nvme,serial=disk{0}",),
    "ahci": ("ahci,id=ahci{0}", "ide-hd,bus=ahci{0}.0"),
}
"""QEMU's devices for a disk, by `Disk.device`; the last one has the disk, and {0} is its number."""
PC_DISK_DEVICES = tuple(filter(None, DISK_DEVICES))
"""Those of a PC whose drivers are no hypervisor's own (devices/)."""


def disk_arguments(disks: Sequence[Disk], device: str = "") -> tuple[str, ...]:
    """QEMU's arguments for disks; `device`, with properties, is in place of theirs."""
    found: list[str] = []
    for number, disk in enumerate(disks):
        only = "on" if disk.read_only else "off"
        file = str(disk.file).replace(",", ",,")
        found += ["-drive", f"if=none,id=disk{number},format=raw,read-only={only},file={file}"]
        *others, last = (device,) if device else DISK_DEVICES[disk.device]
        for each in (*others, f"{last},drive=disk{number}"):
            found += ["-device", each.format(number)]
    return tuple(found)


def qemu_disks(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest's disks. Option of a guest: `disk` (QEMU's device with properties)."""
    disks = [replace(disk, file=disk.file.absolute()) for disk in guest.disks]
    return disk_arguments(disks, guest.options.get("disk", ""))


def user_network(net: Net) -> str:
    """QEMU's backend for a network, without `id`. Not `restrict`: that drops answers to UDP that is
    forwarded (libslirp 4.7, src/udp.c)."""
    forwards = (f",hostfwd={each.protocol}:127.0.0.1:{each.host}-:{each.port}" for each in net.forwards)
    return net.netdev or "user" + "".join(forwards)


ON_MMIO = "-device"
"""How names of QEMU's virtio devices end that are on no PCI."""
NET_DEVICE = "virtio-net-pci"
PC_NET_DEVICES = (NET_DEVICE, "e1000", "e1000e")
"""Those of a PC whose drivers are no hypervisor's own (devices/)."""


def net_arguments(guest: Guest, netdevs: Sequence[str]) -> tuple[str, ...]:
    """QEMU's arguments for a guest's networks, with these backends. Option of a guest: `net` (QEMU's device
    with properties, for networks that name none). A card wants its boot ROM, which nobody needs."""
    found: list[str] = []
    for number, (net, netdev) in enumerate(zip(guest.nets, netdevs, strict=True)):
        device = net.device or guest.options.get("net", NET_DEVICE)
        rom = "" if device.endswith(ON_MMIO) else ",romfile="
        found += ["-netdev", f"{netdev},id=net{number}", "-device", f"{device},netdev=net{number}{rom}"]
    return tuple(found)


def qemu_nets(guest: Guest) -> tuple[str, ...]:
    """`net_arguments` with backends of this machine."""
    return net_arguments(guest, [user_network(net) for net in guest.nets])


def qemu_rng(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest's source of entropy. Option of a guest: `rng` (QEMU's device with
    properties)."""
    return ("-device", guest.options.get("rng", "virtio-rng-pci")) if guest.rng else ()


def qemu_gdb(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for its stub for a debugger."""
    path = str(guest.gdb).replace(",", ",,")
    return (
        ("-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb")
        if guest.gdb
        else ()
    )


QEMU_LIVES = (
    Life(("stop:{seconds}", "migrate", "file")),
    # QEMU has a snapshot of a machine only together with its disks, which files of their bytes cannot keep.
    Life(("snapshot",), {"snapshots": "on"}),
)
"""What happens to machines that QEMU plays on this machine (ci/moving.py)."""


def qemu_snapshots(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest to whose snapshots one can return. Option of a guest: `snapshots`; what it
    writes on its disks does not get into their files then."""
    return ("-snapshot",) if guest.options.get("snapshots") else ()


def qemu_core(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest of which there is to be a core file: it stands still at its end."""
    return ("-no-shutdown",) if guest.core else ()


MEMORY_HELD = 2048
"""MiB that QEMU's machines have in one piece from address 0 on, if they have as many (hw/i386/pc_q35.c)."""


def qemu_memory_file(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest whose memory is a file."""
    if not guest.memory_file:
        return ()
    file = str(guest.memory_file).replace(",", ",,")
    held = f"memory-backend-file,id=memory,size={guest.memory_mib}M,mem-path={file},share=on"
    return ("-object", held, "-machine", "memory-backend=memory")


ENDED = ("shutdown", "guest-panicked", "internal-error", "io-error")
"""What QEMU's `query-status` says of machines that stand still for good."""


def option_rom(guest: Guest) -> tuple[str, ...]:
    """QEMU's arguments for a guest's option ROM."""
    return ("-option-rom", str(guest.option_rom.absolute())) if guest.option_rom else ()


def run_machine(machine: Machine, guest: Guest, logs: Path, live: Live | None) -> Outcome:
    """Run a guest directly in a QEMU of its own."""
    from labgrid.driver.exception import ExecutionError

    lines: list[str] = []
    log = logs / f"{guest.name}.console.log"
    code: int | None = None
    shutdown = ""
    stopped = joined = False
    waiting = ""
    evidence: dict[str, list[str]] = {}
    started = time.monotonic()
    try:
        with boot(machine, guest.name, logs, guest.deadline) as strategy:
            if guest.terminal:
                strategy.tap = guest.terminal.write
            while not stopped:
                try:
                    line = strategy.line(min(strategy.left(), PROMPT_SECONDS))
                except TimeoutError:
                    if not strategy.left():
                        break
                    if guest.core and strategy.qemu.monitor_command("query-status")["status"] in ENDED:
                        stopped = True
                        break
                    before, waiting = waiting, strategy.rest()
                    if not waiting or waiting != before:
                        continue
                    stopped = bool(guest.prompt and guest.prompt(waiting))
                else:
                    if line is None:
                        code = strategy.qemu.wait(10)
                        shutdown = strategy.qemu.shutdown_reason()
                        break
                    lines.append(line)
                    if guest.typed and line.startswith("# input ready"):
                        with contextlib.suppress(OSError):  # then it has ended, or waits to its deadline
                            strategy.qemu.feed(guest.typed.read_bytes(), strategy.left())
                    if guest.requests and line.startswith(REQUEST):
                        happened = carry_out(strategy, line.removeprefix(REQUEST))
                        evidence.setdefault("life", []).append(happened)
                    stopped = bool(live and live(line))
                if guest.terminal and not joined:
                    joined = True
                    threading.Thread(target=_type, args=(guest.terminal, strategy), daemon=True).start()
            for rest in console_lines(strategy.rest().encode()):
                lines.append(rest)
                if live and not stopped:
                    live(rest)
            if guest.core and code is None:
                time.sleep(PROMPT_SECONDS)  # in which it does what it has written of
                strategy.qemu.dump(guest.core)
            evidence["qemu"] = strategy.qemu.errors().splitlines()
            if "life" in evidence:
                evidence["life"].append(f"end {time.time():.3f} {time.time():.3f}")
        if code is not None and -code in CRASHES:
            raise RigFailed(f"{machine.qemu} ended by {signal.Signals(-code).name} (console: {log})")
        clean, end, advice = (
            STOPPED if stopped else qemu_end(code, shutdown, evidence["qemu"], guest.gdb is not None)
        )
    except ExecutionError as error:
        clean, end = False, str(error.msg)
        takes = ", ".join(Rig.takes)
        advice = "" if lines else f"QEMU would not run this kernel; it takes those with {takes}"
    return Outcome(
        guest, "\n".join(lines), clean, end, advice, time.monotonic() - started, command_of(machine), log,
        evidence,
    )  # fmt: skip


def _type(terminal: Terminal, strategy: GuestStrategy) -> None:
    """What is typed at a terminal, as long as the machine takes it."""
    with contextlib.suppress(OSError, ValueError):
        while data := terminal.read():
            strategy.qemu.feed(data, strategy.left())


CAME_MASKED = re.compile(r"^PANIC: vector 0x[0-9a-f]+ came while interrupts were masked")
"""What the sample kernel says of an interrupt that no processor delivers. QEMU's SVM (7.2, and later ones by
their source) leaves the vector that VMRUN injects noted as an exception to be raised; if its loop is left for
something else than an interrupt before the guest's next exit, the guest gets that vector once more, whatever
its flags say. QMP's `stop` and `cont`, 20 times a second, show it within some boots."""
CAME_TWICE = re.compile(r"^# life \S+ .*\btwice=[1-9]")
"""The same of an interrupt that came while they were let in."""


CORE_SECONDS = 300.0
"""In which a rig writes the dump of a guest."""


class ControlSession(Session):
    """In a rig that is a machine of its own."""

    def __init__(self, control: Control) -> None:
        self.control = control

    def check_svm(self, console: Sequence[str]) -> None:
        """Raises RigFailed if the emulated SVM has delivered an interrupt twice."""
        if line := next((line for line in console if CAME_MASKED.match(line) or CAME_TWICE.match(line)), ""):
            raise RigFailed(f"the {self.control.name} rig's SVM delivered an interrupt twice ({line})")

    @property
    def broken(self) -> str:
        return self.control.broken

    @property
    def log(self) -> Path:
        return self.control.strategy.log

    @contextlib.contextmanager
    def disks(self, guest: Guest) -> Iterator[list[Disk]]:
        """Copies of a guest's disks in the channel, which come back afterwards; their files are places in the
        rig."""
        folder = self.control.folder()
        places = []
        for number, disk in enumerate(guest.disks):
            shutil.copyfile(disk.file, folder / f"{number}")
            places.append(replace(disk, file=Path(f"{SHARE}/{folder.name}/{number}")))
        try:
            yield places
            for number, disk in enumerate(guest.disks):
                if not disk.read_only:
                    shutil.copyfile(folder / f"{number}", disk.file)
        finally:
            shutil.rmtree(folder)

    def run_kernel(
        self, guest: Guest, folder: Path, options: Mapping[str, str], live: Live | None
    ) -> tuple[Answer, list[str]]:
        """Run a guest in the rig, with what it needs in a folder of the channel; the rig's answer and the
        guest's console."""
        values = {
            "kernel": self.control.put(guest.kernel, folder),
            "deadline": f"{guest.deadline:.0f}",
            "append": guest.append,
            "cpus": str(guest.cpus),
            "memory": str(guest.memory_mib),
            **({"typed": self.control.put(guest.typed, folder)} if guest.typed else {}),
            **({"terminal": str(TERMINAL_PORT)} if guest.terminal else {}),
            **({"requests": "yes"} if guest.requests else {}),
            **({"core": f"{SHARE}/{folder.name}/core"} if guest.core else {}),
            **options,
        }
        (folder / "options").write_text(option_lines(values))
        # The rig itself keeps the guest's deadline; if it is late by more than this, it is lost.
        seconds = guest.deadline * 1.5 + 30 + (CORE_SECONDS if guest.core else 0)
        answer = self.control.run("run", folder, seconds, live, guest.terminal, guest.prompt)
        console = console_lines(answer.console)
        if guest.core and (folder / "core").is_file():
            shutil.move(folder / "core", guest.core)
        shutil.rmtree(folder)
        return answer, console


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


SCRIPTS = {"rig-init.sh": "/init", "rig-protocol.sh": "/rig/protocol.sh"}
"""Of every rig, and where it has them."""

CHANNEL_MODULES = ("virtio-pci", "9pnet-virtio", "9p", "virtio-net")
CHANNEL_PATHS = (
    "*/drivers/virtio/*", "*/drivers/net/virtio_net.ko*", "*/drivers/net/net_failover.ko*",
    "*/net/core/failover.ko*", "*/net/9p/*", "*/fs/9p/*", "*/fs/netfs/*", "*/fs/fscache/*",
)  # fmt: skip


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
    gdb = "its guests run in an emulated machine, and the stub of that knows nothing of them"
    shared = ""
    """Name of an image that several backends' rigs have in common; then `init` is set too."""
    init: Path | None = None
    """The part of the rig's first process that starts the hypervisor; else the folder's rig-init.sh."""

    image: Image

    def selection(self) -> packages.Selection:
        kernel_files = ("./boot/vmlinuz*", "*/modules.builtin", *CHANNEL_PATHS, *self.module_paths)
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

    @property
    def image_name(self) -> str:
        return self.shared or self.backend

    def prepare(self) -> None:
        try:
            self._prepare(fresh=False)
        except packages.DownloadError:
            self._prepare(fresh=True)

    def _prepare(self, fresh: bool) -> None:
        selection = self.selection()
        apt, chosen = packages.resolve(selection, self.report, fresh)
        image = self.image_name
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
            *(ROOT / "ci" / name for name in ("rig.py", "packages.py", "initramfs.py", *SCRIPTS)),
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
        kernel = packages.linux_tree(trees)
        archive = initramfs.Archive()
        for script, place in SCRIPTS.items():
            archive.program(place, ROOT / "ci" / script)
        archive.file("/rig/backend.sh", (self.init or self.folder / "rig-init.sh").read_bytes())
        for part, names in {"channel": CHANNEL_MODULES, "modules": self.modules}.items():
            for number, (name, data) in enumerate(initramfs.modules(kernel, names)):
                place = f"/rig/{part}/{number:02}-{name}.ko"
                archive.file(place, data)
                if name in self.module_parameters:
                    archive.file(f"{place}.args", self.module_parameters[name].encode())
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
    def control(
        self, machine: Machine, logs: Path, seconds: float
    ) -> Iterator[tuple[Control, dict[str, list[str]]]]:
        """Boot the rig's machine, with a channel added; its control, and what it said until it was ready."""
        from labgrid.driver.exception import ExecutionError

        self.report(f"booting the {self.backend} rig")
        logs.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="vmi-rig-") as share:
            machine = replace(machine, extra=(*machine.extra, *channel(Path(share))))
            with contextlib.ExitStack() as stack:
                try:
                    strategy = stack.enter_context(boot(machine, f"{self.backend}-rig", logs, 3600))
                except ExecutionError as error:
                    raise UserError(f"the {self.backend} rig's machine: {error.msg}") from None
                control = Control(strategy, self.backend, Path(share))
                said = control.start(seconds)
                yield control, said


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
