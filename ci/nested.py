# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The common part of rigs whose guests run under Linux's KVM: the host's where it works, else the real
one nested in an emulated machine.

Nested, QEMU with TCG emulates an AMD processor with SVM; a distribution's Linux with kvm-amd runs on
it, and the guest under that KVM. Nothing of it is installed: see ci/packages.py. Which interface the
guest then sees is for QEMU's arguments to say (`NestedRig.cpu`, `machine`, `arguments`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from . import initramfs, kvmtrace, packages, probe
from .control import NET_PORT, SHARE, Control
from .rig import (
    COUNTING,
    DEBUG_EXIT,
    PC_DISK_DEVICES,
    PC_NET_DEVICES,
    QEMU_END,
    STOPPED,
    ControlSession,
    Guest,
    Life,
    LinuxRig,
    Live,
    Machine,
    Outcome,
    Session,
    disk_arguments,
    module_list,
    net_arguments,
    option_rom,
    qemu_core,
    qemu_disks,
    qemu_end,
    qemu_modules,
    qemu_nets,
    qemu_rng,
    run_machine,
    user_network,
)  # fmt: skip
from .usernet import user_networks
from .util import ROOT, UserError

if TYPE_CHECKING:
    from .ktap import Report

QEMU = "qemu-system-x86_64"
"""Of the rig's machine and of its guests, i386 ones included."""
# MONITOR is off because an idle loop with it makes the emulated machine spin; XSAVE because QEMU's SVM
# before 8.2 does not intercept XSETBV, so that KVM takes away at its next exit what a guest has enabled.
OUTER_CPU = "EPYC,-monitor,-xsave"
FIRMWARE = {
    "qemu": ("multiboot_dma.bin", "multiboot.bin", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin"),
    "seabios": ("bios-256k.bin", "bios.bin"),
}
PROBE_SECONDS = 5

WITHOUT_VAPIC = "-global kvm-apic.vapic=off"
"""An argument of QEMU in the rig. Else it reads and writes back the state of a guest that writes its task
priority, with a TSS for which the emulated SVM ends its machine at the next way into the kernel
(`fatal: invalid tss type`, QEMU 7.2)."""

SHADOW = "shadow"
RELOAD = """set -e
rmmod kvm_amd
for module in /rig/modules/*-kvm-amd.ko; do
    insmod "$module" $(cat "$module.args") {}
done
"""
"""Shell commands by which KVM's module is loaded anew, with one more parameter."""

UART, VIRTIO = "16550", "virtio"
CONSOLES = {
    UART: "-serial stdio",
    # The 16550 has what is said before the library runs, and by kernels without one. Without ioeventfd a
    # buffer is out when the guest goes on; the thread would have to wait for the one processor.
    VIRTIO: "-chardev file,id=uart,path=/run/console,append=on -serial chardev:uart "
    "-chardev stdio,id=virtio -device virtio-serial-pci,ioeventfd=off -device virtconsole,chardev=virtio",
}
"""QEMU's arguments in the rig for each console of a guest."""
CONSOLES_ELSEWHERE = {
    UART: CONSOLES[UART],
    VIRTIO: "-chardev stdio,id=console,mux=on -serial chardev:console "
    "-device virtio-serial-pci -device virtconsole,chardev=console",
}
"""The same for a person, who has no such file."""


class HostSession(Session):
    """On the host's own KVM."""

    def __init__(self, rig: NestedRig, logs: Path) -> None:
        self.rig = rig
        self.logs = logs

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        options = self.rig.options(guest)
        machine = Machine(
            qemu=QEMU,
            machine=options["machine"],
            cpu=options["cpu"],
            memory=f"{guest.memory_mib}M",
            kernel=guest.kernel,
            append=options["append"],
            extra=("-accel", "kvm", "-smp", str(guest.cpus), "-nodefaults", "-no-user-config", *QEMU_END,
                   *option_rom(guest), *qemu_modules(guest), *qemu_disks(guest),
                   *qemu_nets(guest), *qemu_rng(guest), *qemu_core(guest),
                   *options["arguments"].split()),
        )
        return run_machine(machine, guest, self.logs, live)


TRACE_SECONDS = 300
"""In which a busy rig writes a trace out."""


class NestedSession(ControlSession):
    """In the nested rig. Evidence: `counter` (KVM's own exit counters of this guest), and of guests whose
    exits are kept `trace` (how many KVM has noted, and counted)."""

    def __init__(self, rig: NestedRig, control: Control) -> None:
        super().__init__(control)
        self.rig = rig

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        if guest.options.get("paging") != SHADOW:
            return self._noted(guest, live)
        self.control.script(RELOAD.format("npt=0"))
        try:
            return self._noted(guest, live)
        finally:
            self.control.script(RELOAD.format(""))

    def _noted(self, guest: Guest, live: Live | None) -> Outcome:
        """With its exits, if they are asked for."""
        if not guest.exits:
            return self._run(guest, live)
        self.control.script(kvmtrace.START)
        outcome = self._run(guest, live)
        folder = self.control.folder()
        self.control.script(kvmtrace.stop(f"{SHARE}/{folder.name}/trace"), TRACE_SECONDS)
        trace = kvmtrace.read((folder / "trace").read_text(errors="replace"))
        shutil.rmtree(folder)
        counted = self.rig.counter(outcome, "exits")
        said = f"{len(trace.exits)} exits noted, {trace.lost} events lost, {counted or 'no'} exits counted"
        outcome.evidence["trace"] = [said]
        if not trace.lost and counted == str(len(trace.exits)):
            outcome.exits = trace.exits
        return outcome

    def _run(self, guest: Guest, live: Live | None) -> Outcome:
        options = self.rig.options(guest)
        words = (WITHOUT_VAPIC, *qemu_rng(guest), *qemu_core(guest))
        options["arguments"] += "".join(f" {word}" for word in words)
        folder = self.control.folder()
        if guest.option_rom:
            options["arguments"] += f" -option-rom {self.control.put(guest.option_rom, folder)}"
        if guest.modules:
            places = [(self.control.put(path, folder), words) for path, words in guest.modules]
            options["modules"] = module_list(places)
        console = options["console"]
        backends = [user_network(net) for net in guest.nets]
        with self.disks(guest) as disks, user_networks(self.control, backends, NET_PORT) as netdevs:
            words = (
                *disk_arguments(disks, guest.options.get("disk", "")),
                *net_arguments(guest, netdevs),
            )
            options["arguments"] += "".join(f" {word}" for word in words)
            answer, lines = self.run_kernel(guest, folder, {**options, "console": CONSOLES[console]}, live)
        self.check_svm(lines)
        frames = answer.frames
        if "stopped" in frames:
            clean, end, advice = STOPPED
        else:
            code = None if "killed" in frames else int(frames["exit"][0])
            clean, end, advice = qemu_end(code, said=frames.get("qemu", ()))
        command = shlex.join(
            [QEMU, "-accel", "kvm", "-machine", options["machine"],
             "-cpu", options["cpu"], "-smp", str(guest.cpus), "-m", str(guest.memory_mib),
             "-nodefaults", "-no-user-config", "-display", "none", *CONSOLES_ELSEWHERE[console].split(),
             *QEMU_END, *option_rom(guest), *self.rig.options(guest)["arguments"].split(),
             *qemu_modules(guest), *qemu_disks(guest), *qemu_nets(guest), *qemu_rng(guest),
             "-kernel", str(guest.kernel), "-append", options["append"]]
        )  # fmt: skip
        return Outcome(
            guest, "\n".join(lines), clean, end, advice, answer.seconds,
            f"where KVM works: {command}", self.log, frames,
        )  # fmt: skip


def qemu_program(name: str) -> Path:
    """QEMU's own binary; Debian 12 has a wrapper script in the place of some."""
    for place in (f"/usr/libexec/{name}", f"/usr/bin/{name}"):
        if os.path.isfile(place) and Path(place).read_bytes()[:4] == b"\x7fELF":
            return Path(place)
    raise UserError(f"{name}: not found; ./vmi setup installs it")


class NestedRig(LinuxRig):
    """Options of a guest: `cpu`, `machine` (QEMU's -cpu and -machine), `arguments` (further ones) and, for
    the nested rig alone, `console`: `16550` or `virtio`, and `paging`: `shadow` if KVM is to keep page tables
    for the guest itself, as for processors without nested paging."""

    console_kib = 256
    exits_of = "KVM"
    unmodified: Mapping[str, Mapping[str, str]] = {
        "shadow page tables": {"paging": SHADOW}, "nested paging": {}
    }  # fmt: skip
    option_roms = True
    disk_devices = PC_DISK_DEVICES
    net_devices = PC_NET_DEVICES
    # No more: a QEMU in the nested rig that takes up another one's machine ends by SIGSEGV; why is not known.
    lives = (Life(("stop:{seconds}",)),)
    cores = ""
    other_consoles = {UART: 1}  # each byte of a serial port leaves a guest of an emulated processor
    cpu = "host"
    machine = "pc"
    arguments = ""
    console = UART
    """What a guest gets that has no such options of its own."""

    shared = "nested"
    init = ROOT / "ci/nested-init.sh"
    modules = ("irqbypass", "ccp", "kvm", "kvm-amd")
    module_parameters = {"kvm-amd": "sev=0"}
    module_paths = ("*/arch/x86/kvm/*", "*/virt/lib/*", "*/drivers/crypto/ccp/*")

    accelerator: tuple[str, ...] = ("-accel", "tcg,thread=multi")
    """How the nested rig's machine is emulated."""

    refusal = ""
    """Why the host's KVM is not used; empty if it is."""

    def options(self, guest: Guest) -> dict[str, str]:
        """All options of a guest, the kernel's command line with the library's part included."""
        given = {"cpu": self.cpu, "machine": self.machine, "arguments": self.arguments,
                 "console": self.console, **guest.options}  # fmt: skip
        end = "" if guest.core else DEBUG_EXIT
        console = f"vmi.console={VIRTIO}" if given["console"] == VIRTIO else ""
        return {**given, "append": " ".join(filter(None, (end, console, guest.append)))}

    def prepare(self) -> None:
        self.refusal = self._probe()
        if self.refusal:
            self.report(f"nested KVM rig, because {self.refusal}")
            super().prepare()
            self.console = VIRTIO
        else:
            self.report("this machine's KVM works and is used")

    def count_instructions(self) -> bool:
        """Those of the whole nested rig, KVM's and its Linux's included."""
        if self.refusal:
            self.accelerator = COUNTING
        return bool(self.refusal)

    def _probe(self) -> str:
        """Why this machine's KVM cannot be used; asked once per boot of the machine."""
        if not os.path.exists("/dev/kvm"):
            return "this machine has no /dev/kvm"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return "/dev/kvm is not accessible (is the user in group kvm?)"
        command = [QEMU, "-accel", "kvm", "-cpu", "host", "-M", "pc", "-m", "32", "-nodefaults",
                   "-no-user-config", "-display", "none", *QEMU_END]  # fmt: skip
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return probe.ask(ROOT / "ci/nested-probe.S", command, PROBE_SECONDS, boot_id, self._refusal)

    @staticmethod
    def _refusal(done: probe.Done | None) -> str:
        if done is None:
            return f"a hypercall under this machine's /dev/kvm did not return within {PROBE_SECONDS} s"
        if done.returncode == 0x10 << 1 | 1:
            return ""
        message = (done.stderr.strip().splitlines() or ["without a message"])[-1]
        return (
            f"a tiny guest failed under this machine's /dev/kvm; QEMU exited with {done.returncode} "
            f'("{message}")'
        )

    def _qemu_files(self) -> tuple[Path, list[tuple[str, Path]]]:
        """QEMU's binary and its firmware."""
        files = [
            (f"/usr/share/{folder}/{name}", Path(f"/usr/share/{folder}/{name}"))
            for folder, names in FIRMWARE.items()
            for name in names
        ]
        return qemu_program(QEMU), [(place, path) for place, path in files if path.is_file()]

    def inputs(self) -> list[Path]:
        binary, firmware = self._qemu_files()
        return [binary, *(path for _, path in firmware)]

    def fill(self, archive: initramfs.Archive, trees: list[Path], image: Path) -> dict[str, str]:
        binary, firmware = self._qemu_files()
        archive.program("/bin/qemu", binary)
        for place, path in initramfs.libraries([binary], [Path("/")]).items():
            archive.program(place, path)
        for place, path in firmware:
            archive.file(place, path.read_bytes())
        shown = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
        return {"qemu": shown.split()[3]}

    def describe(self) -> dict[str, str]:
        if not self.refusal:
            return {"kvm": f"host Linux {platform.release()}"}
        linux = packages.linux_package(self.image.versions)
        return {
            "kvm": f"Linux {self.image.versions[linux]} (nested, kvm-amd)",
            "qemu": self.image.versions["qemu"],
            "why nested": self.refusal,
        }

    def counter(self, outcome: Outcome, name: str) -> str:
        """One of KVM's own counters of a guest; empty if the rig cannot see them."""
        found = (line.split() for line in outcome.evidence.get("counter", []))
        return next((words[1] for words in found if words[0] == name), "")

    def findings(self, outcome: Outcome, report: Report) -> list[str]:
        """A guest's own count of its hypercalls, held against KVM's."""
        made = sum(call.count for call in report.hypercalls)
        counted = self.counter(outcome, "hypercalls")
        if counted and int(counted) != made:
            return [f"the guest counted {made} hypercalls, KVM {counted}"]
        return []

    @contextlib.contextmanager
    def session(self, logs: Path) -> Iterator[Session]:
        if not self.refusal:
            yield HostSession(self, logs)
            return
        kernel_log = logs / f"{self.backend}-rig.kernel.log"
        machine = Machine(
            qemu=QEMU,
            machine="pc",
            cpu=OUTER_CPU,
            memory="1024M",
            kernel=self.image.linux,
            append="console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check",
            extra=(*self.accelerator, "-nodefaults", "-no-user-config", "-no-reboot",
                   "-serial", f"file:{kernel_log.absolute()}", "-initrd", str(self.image.initramfs)),
        )  # fmt: skip
        with self.control(machine, logs, 180) as (control, said):
            if any("no /dev/kvm" in line for line in said.get("start", [])):
                raise UserError(f"the nested rig has no /dev/kvm; log: {control.strategy.log}")
            yield NestedSession(self, control)
