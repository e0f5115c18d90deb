# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The common part of rigs whose guests are domains started by Xen's toolstack, xl: on the machine's own
Xen where `xl info` works, else on real Xen in an emulated machine.

QEMU with TCG emulates an AMD processor with SVM; a distribution's Xen boots on it with that
distribution's Linux as dom0, and `xl create` starts the guests. Nothing of it is installed: see
ci/packages.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from . import initramfs, packages, probe
from .console import lines
from .control import NET_PORT, Control, RigFailed
from .kernel import architecture
from .rig import (
    COUNTING,
    PROMPT_SECONDS,
    QEMU_END,
    STOPPED,
    ControlSession,
    Guest,
    LinuxRig,
    Live,
    Machine,
    Outcome,
    Session,
    Terminal,
    user_network,
)  # fmt: skip
from .usernet import user_networks
from .util import ARCHITECTURES, ROOT, UserError
from .xentrace import read

OUTER_QEMU = "qemu-system-x86_64"
PROBE_SECONDS = 20
# With SMAP or SMEP dom0 dies at once; with MONITOR Xen's idle loop takes #GP; without nested next-RIP
# support RDTSCP in xen-shim makes Xen 4.20 end the domain (SVM instruction length); with XSAVE xen-shim
# now and then finds another state size on a domain's second CPU than on its first (BUG in xstate.c).
OUTER_CPU = "EPYC,-smap,-smep,-monitor,-rdtscp,-xsave"
# Without scrubbing, the emulator's host gives memory only for what is used.
XEN_COMMAND_LINE = (
    "com1=115200,8n1 console=com1 loglvl=error guest_loglvl=warning noreboot "
    "dom0_mem=768M dom0_max_vcpus=1 spec-ctrl=no cpuidle=0 bootscrub=0"
)
TOOLS = ("xl", "xenconsole", "xenconsoled", "xenstored", "libxl-save-helper", "xen-init-dom0", "xenctx",
         "xentrace")  # fmt: skip
STORE_TOOLS = ("xenstore-read", "xenstore-write", "xenstore-rm")
BLOCK_SCRIPT = ROOT / "ci/xl-block.sh"
VIF_SCRIPT = ROOT / "ci/xl-vif.sh"
PROGRAM_SOURCES = {"xl-net": ROOT / "ci/xl-net.c", "xl-memory": ROOT / "ci/xl-memory.c"}
"""Of programs of the rig's own, by their names."""
BESIDES_MIB = 32
"""How far behind the memory that a domain has been given the program looks for more."""
DISK_LETTERS = "abcdefgh"
"""Of a domain's disks, in the order in which it finds them: Linux has eight loop devices."""
DIRECT_CONSOLE = 'pvshim_cmdline="pv-shim console=xen"'
"""For guests on whose console something is typed. With xl's own value, `console=xen,pv`, xen-shim stands
between the console and its guest and drops what comes while the guest's ring is full
(xen/drivers/char/consoled.c, consoled_guest_tx); without `pv` the guest has the console's ring itself, and
the shim's own messages are not seen. Other guests than those of xen-shim ignore it."""
NATIVE_TSC = 'tsc_mode="native"'
"""For guests whose exits are counted. A processor whose time-stamp counter is not invariant, as that of the
emulated machine, makes Xen carry out each RDTSC, also those by which a kernel measures."""
SHIM_LINE = re.compile(r"\(XEN\) ")
"""What xen-shim and Xen write before each line of their own."""
FELL = re.compile(r"\(XEN\) (.*(?:Triple fault|domain_crash called).*)")
"""What Xen itself writes of a domain that it ends (xen/arch/x86/hvm/hvm.c, hvm_triple_fault;
xen/include/xen/sched.h, domain_crash)."""
# xen/include/public/sched.h, SHUTDOWN_*
REASONS = {0: "poweroff", 1: "reboot", 2: "suspend", 3: "crash", 4: "watchdog", 5: "soft reset"}


def end_state(
    frames: Mapping[str, Sequence[str]], console: Sequence[str]
) -> tuple[bool, str, str]:
    """What xl, and on the console Xen's shim, said about a domain's end: clean, in words, advice."""
    said = frames.get("xl", [])
    if "stopped" in frames:
        return STOPPED
    for number, line in enumerate(console[:-1]):
        if not line.startswith("(XEN) Panic on CPU"):
            continue
        why = console[number + 1].removeprefix("(XEN) ")
        if any(before.startswith("(XEN) Freed ") for before in console[:number]):
            return False, f"xen-shim panicked under the kernel: {why}", "the console holds its registers"
        # The builder's own message, if it has one, stands before the panic's frame of asterisks.
        before = [text for text in console[:number] if text.strip("(XEN) *")]
        return False, f"the domain builder refused the kernel: {why} (after: {before[-1]})", (
            "see the kernel's ELF notes (readelf -n) and xen/include/public/elfnote.h"
        )
    everything = "\n".join(said)
    found = re.search(r"has shut down, reason code (\d+)", everything)
    if found:
        reason = int(found[1])
        end = f"domain shut down, reason {reason} ({REASONS.get(reason, 'unknown')})"
        fell = FELL.search("\n".join(frames.get("dmesg", [])))
        words = f"; Xen says: {fell[1].strip()}" if fell else ""
        silent = not any(line.strip() and not SHIM_LINE.match(line) for line in console)
        if reason == 1:
            return False, f"{end}{', without a word on its console' if silent else ''}{words}", (
                "a triple fault; most often the kernel is linked with another library than this "
                "configuration's"
            )
        # Xen calls it a power-off too when a domain halts with interrupts masked.
        if reason == 0 and silent:
            return False, f"{end}, without a word on its console", (
                "nothing shows that the kernel ran: a kernel that halts with interrupts masked ends so too"
            )
        return reason == 0, f"{end}{words}", (
            "" if reason == 0
            else "the kernel ended itself as failed, or crashed, which Xen does not tell apart: its last "
            "lines say why"
        )
    if "killed" in frames:
        return False, "hung: domain destroyed at its deadline", "the last lines show how far it came"
    errors = [line for line in said if "error" in line.lower() or "failed" in line.lower()]
    return False, f"domain was not started: {(errors or said or ['xl said nothing'])[0].strip()}", (
        "xl or the domain builder refused the kernel: see its ELF notes and the .cfg file"
    )


def has_shim(frames: Mapping[str, Sequence[str]]) -> bool:
    return any('"pvshim": "True"' in line for line in frames.get("type", []))


def in_svm(frames: Mapping[str, Sequence[str]]) -> bool:
    """Whether a domain gets its interrupts from the processor: as PVH, without a Xen of its own."""
    return not has_shim(frames) and any('"type": "pvh"' in line for line in frames.get("type", []))


def shim_is_silent(frames: Mapping[str, Sequence[str]], console: Sequence[str]) -> bool:
    """Whether xen-shim has not come as far as its first line, which it writes long before it builds its
    guest: in an emulated processor it has been seen in real mode, amid its own start. `console` has its
    lines, unless DIRECT_CONSOLE was asked for."""
    ended = "killed" in frames or "has shut down" in "\n".join(frames.get("xl", []))
    return ended and has_shim(frames) and not any(line.strip() for line in console)


RUNNABLE = re.compile(r"VCPU\d+: CPU\d+ \[has=F\].*\n.*pause_count=0 pause_flags=0\s*$", re.MULTILINE)
"""A virtual CPU of its guest that xen-shim would run and does not, in its own words (xl debug-keys q)."""


def shim_has_halted(frames: Mapping[str, Sequence[str]], console: Sequence[str]) -> bool:
    """Whether all of xen-shim's CPUs stand in the HLT behind STI while its guest is to be run: QEMU's SVM
    forgets the shadow of STI when the guest is left behind it, so that the interrupt that should have ended
    the HLT came before. Nothing that the guest does brings that about."""
    registers = list(frames.get("registers", []))
    cpus = sum(bool(re.match(r"vcpu\d+:$", line.strip())) for line in registers)
    halted = sum("fb f4 <" in line for line in registers)
    standing = "killed" in frames and has_shim(frames) and 0 < cpus == halted
    return standing and RUNNABLE.search("\n".join(console)) is not None


def domain_number(said: Sequence[str]) -> int | None:
    """By what xl says while a domain runs; its list has been seen without a domain that was there."""
    found = re.search(r"^Waiting for domain \S+ \(domid (\d+)\) to die", "\n".join(said), re.MULTILINE)
    return int(found[1]) if found else None


def ramdisk(guest: Guest) -> Path:
    """The one file that xl loads with a kernel."""
    (path, words), *more = guest.modules
    if more or words:
        raise UserError("xl loads one module with a kernel, and no arguments for it", 2)
    return path


def disk_setting(guest: Guest) -> str:
    """xl's setting for a guest's disks, files of this machine."""
    found = []
    for disk, letter in zip(guest.disks, DISK_LETTERS, strict=False):
        access = "r" if disk.read_only else "rw"
        found.append(f"format=raw,vdev=xvd{letter},access={access},target={disk.file.absolute()}")
    return f"disk={json.dumps(found)}"


def arguments(guest: Guest, kernel: str, name: str) -> list[str]:
    """xl's configuration beyond the .cfg file."""
    if '"' in guest.append or "\\" in guest.append:
        raise UserError("no quotes or backslashes in a command line for xl", 2)
    if len(guest.disks) > len(DISK_LETTERS):
        raise UserError(f"at most {len(DISK_LETTERS)} disks for a domain; found {len(guest.disks)}", 2)
    return [f'name="{name}"', f'kernel="{kernel}"', f'cmdline="{guest.append}"',
            f"vcpus={guest.cpus}", f"memory={guest.memory_mib}",
            *([f'ramdisk="{ramdisk(guest).absolute()}"'] if guest.modules else []),
            *([disk_setting(guest)] if guest.disks else []),
            *([DIRECT_CONSOLE] if guest.typed or guest.terminal else [])]  # fmt: skip


def request(wanted: str, name: str) -> list[list[str]]:
    """xl's words, of one command after the other, with which a domain is asked for what it has named."""
    word, *key = wanted.split()
    if word == "memory":
        return [["mem-set", name, *(f"{mib}m" for mib in key)]]
    if word == "vcpus":
        return [["vcpu-list", name], ["vcpu-set", "--ignore-host", name, *key]]
    return [[{"poweroff": "shutdown", "key": "sysrq"}.get(word, word), name, *key]]


def said_by_xl(*words: str) -> list[str]:
    """Lines that xl prints; none if it fails."""
    done = subprocess.run(["xl", *words], capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []


class XlSession(ControlSession):
    """In the rig, with a witness: Xen's own trace, which is kept only while a guest runs that asks for it.

    Evidence: `xl` (what it said), `type` (of the domain, as xl lists it), `dmesg` (Xen's log), `linux`
    (dom0's), `registers` (of a domain that was lost), `trace` (what xentrace said, and how much there was).
    """

    def __init__(self, rig: XlRig, control: Control) -> None:
        super().__init__(control)
        self.rig = rig

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        config = self.rig.config(guest)
        folder = self.control.folder()
        options = {**guest.options, "config": self.control.put(config, folder)}
        if guest.modules:
            options["ramdisk"] = self.control.put(ramdisk(guest), folder)
        settings = [DIRECT_CONSOLE] if guest.typed or guest.terminal else []
        if "iomem" in guest.options:
            settings.append(f"iomem={json.dumps(guest.options['iomem'].split())}")
        if guest.exits:
            settings.append(NATIVE_TSC)
        options["setting"] = ";".join(settings)
        if guest.memory_alone and self.rig.translated(architecture(guest.kernel)):
            options["memory_mib"] = str(guest.memory_mib + BESIDES_MIB)
        traced = self.rig.trace_events(guest) if guest.witness or guest.exits else 0
        if traced:
            options["trace"] = f"{traced:#x}"
        words = arguments(guest, str(guest.kernel.absolute()), "guest")
        options["nets"], options["net_port"] = str(len(guest.nets)), str(NET_PORT)
        backends = [user_network(net) for net in guest.nets]
        with self.disks(guest) as places, user_networks(self.control, backends, NET_PORT):
            options["disks"] = " ".join(f"{place.file},{'r' if place.read_only else 'w'}" for place in places)
            answer, console = self.run_kernel(guest, folder, options, live)
        if DIRECT_CONSOLE not in settings and shim_is_silent(answer.frames, console):
            raise RigFailed(f"xen-shim ended without a line in the {self.control.name} rig")
        if shim_has_halted(answer.frames, console):
            raise RigFailed(f"xen-shim has halted for good in the {self.control.name} rig")
        if in_svm(answer.frames):
            self.check_svm(console)
        clean, end, advice = end_state(answer.frames, console)
        command = shlex.join(["xl", "create", "-F", str(config), *words])
        outcome = Outcome(
            guest, "\n".join(console), clean, end, advice, answer.seconds,
            f"in dom0 of a Xen: {command}", self.log, answer.frames,
        )  # fmt: skip
        if traced:
            self._witness(outcome)
        return outcome

    def resources(self) -> dict[str, str]:
        """Pages that Xen has free, domains that are there, and what xenstore has for each of them."""
        said = self.control.script(". /rig/backend.sh && resources")
        return {name: words for name, _, words in (line.partition(" ") for line in said.splitlines())}

    def _witness(self, outcome: Outcome) -> None:
        """What Xen's trace says of the guest's domain. Nothing, if it is not whole."""
        file = self.control.share / "trace"
        data = file.read_bytes() if file.is_file() else b""
        file.unlink(missing_ok=True)
        trace = read(data)
        said = outcome.evidence.setdefault("trace", [])
        said.append(f"{trace.records} records, {len(data)} bytes, {trace.lost} records lost")
        domain = domain_number(outcome.evidence.get("xl", []))
        if domain is not None and not trace.lost:
            outcome.witness = trace.domains.get(domain) if outcome.guest.witness else None
            outcome.exits = trace.exits.get(domain) if outcome.guest.exits else None


class HostSession(Session):
    """On the machine's own Xen; must be run as root, as xl must."""

    def __init__(self, rig: XlRig, logs: Path) -> None:
        self.rig = rig
        self.logs = logs

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        config = self.rig.config(guest)
        name = f"vmi-{guest.name}"
        command = ["xl", "create", "-F", str(config), *arguments(guest, str(guest.kernel.absolute()), name)]
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{guest.name}.console.log"
        started = time.monotonic()
        frames: dict[str, list[str]] = {}
        shown = passed = asked = size = asked_for = 0
        grown = started
        with open(log, "wb") as out, open(self.logs / f"{guest.name}.xl.log", "w+") as said:
            creating = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
            # xl console waits for the domain's console and ends with the domain.
            console = typist = None
            while creating.poll() is None and time.monotonic() - started < guest.deadline:
                if console is None and said_by_xl("domid", name):
                    console = subprocess.Popen(
                        ["xl", "console", "-t", "pv", name], stdin=subprocess.PIPE, stdout=out, stderr=out
                    )
                    frames["type"] = [
                        line for line in said_by_xl("list", "-l", name) if re.search('"(type|pvshim)":', line)
                    ]
                written = log.read_bytes()
                if guest.typed and console and not typist and b"# input ready" in written:
                    typist = subprocess.Popen(["cat", str(guest.typed)], stdout=console.stdin)
                if guest.terminal and console and console.stdin and written:
                    if not passed:
                        threading.Thread(
                            target=_type, args=(guest.terminal, console.stdin), daemon=True
                        ).start()
                    guest.terminal.write(written[passed:])
                    passed = len(written)
                if len(written) != size:
                    size, grown = len(written), time.monotonic()
                elif asked != size and time.monotonic() - grown >= PROMPT_SECONDS:
                    asked = size
                    if guest.prompt and written[-1:] != b"\n" and guest.prompt(lines(written)[-1]):
                        frames["stopped"] = ["as asked"]
                # Whole lines as they come; the rest is shown at the end.
                for line in lines(written[: written.rfind(b"\n") + 1] if live else b"")[shown:]:
                    shown += 1
                    if live and live(line):
                        frames["stopped"] = ["as asked"]
                for wanted in re.findall(rb"^# request (.+?)\r?\n", written, re.MULTILINE)[asked_for:]:
                    asked_for += 1
                    for words in request(wanted.decode(), name) if guest.requests else []:
                        frames.setdefault("request", []).extend(said_by_xl(*words))
                if "stopped" in frames:
                    break
                time.sleep(0.05)
            if creating.poll() is None:
                if "stopped" not in frames:
                    frames["killed"] = [f"after {guest.deadline:g} s"]
                said_by_xl("destroy", name)
            creating.wait(30)
            if console:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    console.wait(5)
                console.kill()
                console.wait()
            if typist:
                typist.kill()
                typist.wait()
            said.seek(0)
            frames["xl"] = said.read().splitlines()
        frames["dmesg"] = said_by_xl("dmesg")[-40:]
        console_lines = lines(log.read_bytes())
        for line in console_lines[shown:] if live and "stopped" not in frames else []:
            assert live
            live(line)
        clean, end, advice = end_state(frames, console_lines)
        return Outcome(
            guest, "\n".join(console_lines), clean, end, advice, time.monotonic() - started,
            shlex.join(command), log, frames,
        )  # fmt: skip


def _type(terminal: Terminal, console: IO[bytes]) -> None:
    """What is typed at a terminal, as long as the domain is there."""
    with contextlib.suppress(OSError, ValueError):
        while data := terminal.read():
            console.write(data)
            console.flush()


class XlRig(LinuxRig):
    """Options of a guest: `config`, which of the folder's .cfg files it is started with; that of the first
    configuration if it has none. `iomem`, frames of the emulated machine's that its domain may map, as in
    xl's setting of this name, with blanks between ranges; it is for the rig alone, for on a machine's own Xen
    other devices are there."""

    requests: tuple[str, ...] = ("poweroff", "reboot", "key", "suspend")
    vcpus: tuple[str, ...] = ARCHITECTURES

    console_kib = 256

    rng = "a Xen domain is given none; FillEntropy asks the processor"

    shared = "xl"
    init = ROOT / "ci/xl-init.sh"
    roots = ("xen-system-amd64", "xenstore-utils")
    follow = ("lib", "zlib1g", "xen-")
    modules = ("xen-evtchn", "xen-privcmd", "xenfs", "xen-gntdev", "xen-gntalloc", "loop", "xen-blkback",
               "xen-netback")  # fmt: skip
    module_paths = ("*/drivers/xen/*", "*/drivers/block/loop.ko*", "*/drivers/block/xen-blkback/*",
                    "*/drivers/net/xen-netback/*")  # fmt: skip

    own_lines = SHIM_LINE
    exits_of = "Xen"

    session_type: type[XlSession] = XlSession

    accelerator: tuple[str, ...] = ("-accel", "tcg,thread=multi")
    """Of the outer QEMU."""

    memory_mib = 1536
    """Of the emulated machine: dom0's share is in XEN_COMMAND_LINE, the rest is for guests."""

    host: dict[str, str] | None = None
    """`xl info` of this machine's own Xen, if it runs one."""

    def count_instructions(self) -> bool:
        """Those of the whole rig, Xen's and dom0's included."""
        if self.host is None:
            self.accelerator = COUNTING
        return self.host is None

    def prepare(self) -> None:
        self.host = self._host_info()
        if self.host is not None:
            self.nets = "on a machine's own Xen guests' networks are for its owner to set up"
            self.requests = tuple(word for word in self.requests if word != "suspend")
            self.report(f"this machine runs Xen {self.host.get('xen_version', '')} and it is used")
        else:
            self.report("Xen rig in an emulated machine, because this machine runs no Xen (xl info fails)")
            super().prepare()

    def probe(self, source: Path, words: Callable[[probe.Done | None], str]) -> str:
        """What a tiny guest finds out about the emulator (ci/probe.py)."""
        qemu = shutil.which(OUTER_QEMU)
        if not qemu:
            raise UserError(f"{OUTER_QEMU}: not found; ./vmi setup installs it")
        stat = os.stat(qemu)
        machine = [OUTER_QEMU, "-accel", "tcg", "-M", "pc", "-m", "32", "-nodefaults", "-no-user-config",
                   "-display", "none", *QEMU_END]  # fmt: skip
        return probe.ask(source, machine, PROBE_SECONDS, f"{qemu} {stat.st_size} {stat.st_mtime_ns}", words)

    def no_memory(self, architecture: str) -> str:
        own = self._host_info() is not None
        return "on a machine's own Xen that is for its owner to write (xl dump-core)" if own else ""

    def no_core(self, architecture: str) -> str:
        return self.no_memory(architecture)

    def translated(self, architecture: str) -> bool:
        """Whether Xen translates the memory of domains with kernels of an architecture, so that the rig reads
        it by a program of its own (ci/xl-memory.c)."""
        return False

    def trace_events(self, guest: Guest) -> int:
        """What Xen is to note of a guest for a witness (ci/xentrace.py, `mask`); 0 if its hypercalls are seen
        otherwise, or not at all."""
        return 0

    def check_guest(self, guest: Guest, name: str) -> None:
        super().check_guest(guest, name)
        arguments(guest, str(guest.kernel), name)

    def config(self, guest: Guest) -> Path:
        """The .cfg file of a guest."""
        name = {**self.configurations[0].options, **guest.options}["config"]
        path = self.folder / f"{name}.cfg"
        if not path.is_file():
            raise UserError(f"no {path.name} in {self.folder}", 2)
        return path

    def _host_info(self) -> dict[str, str] | None:
        if not shutil.which("xl"):
            return None
        return xl_info(said_by_xl("info")) or None

    def inputs(self) -> list[Path]:
        return [BLOCK_SCRIPT, VIF_SCRIPT, *PROGRAM_SOURCES.values()]

    def fill(self, archive: initramfs.Archive, trees: list[Path], image: Path) -> dict[str, str]:
        utils = next(tree for tree in trees if re.match(r"xen-utils-\d", tree.name))
        programs = [packages.find([utils], f"xen-*/bin/{tool}") for tool in TOOLS]
        for path in (*programs, packages.find([utils], "xen-*/boot/xen-shim")):
            archive.program(str(path.relative_to(utils)), path)
        store = [packages.find(trees, f"usr/bin/{tool}") for tool in STORE_TOOLS]
        for path in store:
            archive.program(f"/bin/{path.name}", path)
        archive.program("/etc/xen/scripts/block", BLOCK_SCRIPT)
        archive.program("/etc/xen/scripts/vif-up", VIF_SCRIPT)
        for name, source in PROGRAM_SOURCES.items():
            program = image / name
            subprocess.run(
                ["gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True
            )
            archive.program(f"/bin/{name}", program)
        for place, path in initramfs.libraries([*programs, *store], trees).items():
            archive.program(place, path)
        # pthread_cancel() loads it by name, so no program says that it needs it.
        archive.program("/lib/x86_64-linux-gnu/libgcc_s.so.1", packages.find(trees, "libgcc_s.so.1"))
        for folder in ("/etc/xen", "/var/lib/xen", "/var/lib/xenstored", "/var/log/xen"):
            archive.folder(folder)
        archive.file("/etc/xen/xl.conf", b"")
        # QEMU loads Xen as a multiboot kernel, which must not be compressed.
        xen = packages.find(trees, "boot/xen-*amd64.gz")
        (image / "xen").write_bytes(initramfs.plain(xen))
        return {}

    def describe(self) -> dict[str, str]:
        if self.host is not None:
            return {"xen": self.host.get("xen_version", "?"), "dom0": self.host.get("release", "?")}
        versions = self.image.versions
        xen = next(name for name in versions if re.match(r"xen-hypervisor-\d", name))
        linux = packages.linux_package(versions)
        return {"xen": versions[xen], "dom0": f"Linux {versions[linux]}"}

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """The domain's type, in xl's words."""
        said = dict(re.findall(r'"(\w+)": "?(\w+)', "\n".join(outcome.evidence.get("type", []))))
        if "type" not in said:
            return {}
        shim = said.get("pvshim", "").lower() == "true"
        return {"domain type": said["type"] + (" with pvshim" if shim else "")}

    @contextlib.contextmanager
    def session(self, logs: Path) -> Iterator[Session]:
        if self.host is not None:
            yield HostSession(self, logs)
            return
        xen_log = logs / f"{self.backend}-rig.xen.log"
        linux = f"{self.image.linux} console=hvc0 quiet mitigations=off"
        machine = Machine(
            qemu=OUTER_QEMU,
            machine="pc",
            cpu=OUTER_CPU,
            memory=f"{self.memory_mib}M",
            kernel=self.image.folder / "xen",
            append=XEN_COMMAND_LINE,
            extra=(*self.accelerator, "-nodefaults", "-no-user-config", "-no-reboot",
                   "-serial", f"file:{xen_log.absolute()}", "-initrd", f"{linux},{self.image.initramfs}"),
        )  # fmt: skip
        with self.control(machine, logs, 240) as (control, said):
            if not xl_info(said.get("start", [])).get("xen_version"):
                raise UserError(f"Xen's toolstack has not come up in the rig; log: {control.strategy.log}")
            yield self.session_type(self, control)


def xl_info(lines: Sequence[str]) -> dict[str, str]:
    """`xl info`'s lines NAME : VALUE."""
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}
