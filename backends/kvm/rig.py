# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Linux's KVM: the host's where it works, else the real one nested in an emulated machine.

Nested, QEMU with TCG emulates an AMD processor with SVM; a distribution's Linux with kvm-amd runs on
it, and the guest under that KVM. Nothing of it is installed: see ci/packages.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci import initramfs
from ci.rig import (
    DEBUG_EXIT,
    QEMU_END,
    Configuration,
    ControlSession,
    Guest,
    LinuxRig,
    Live,
    Machine,
    Outcome,
    Session,
    boot,
    qemu_end,
    run_machine,
)  # fmt: skip
from ci.util import UserError, cache_dir

QEMU = "qemu-system-i386"
OUTER_QEMU = "qemu-system-x86_64"
# MONITOR is off because an idle loop with it makes the emulated machine spin.
OUTER_CPU = "EPYC,-monitor"
FIRMWARE = {
    "qemu": ("multiboot_dma.bin", "multiboot.bin", "linuxboot_dma.bin", "pvh.bin", "kvmvapic.bin"),
    "seabios": ("bios-256k.bin", "bios.bin"),
}
PROBE_SECONDS = 5


class HostSession(Session):
    """On the host's own KVM."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        machine = Machine(
            qemu=QEMU,
            machine=guest.options.get("machine", "pc"),
            cpu=guest.options.get("cpu", "host"),
            memory=f"{guest.memory_mib}M",
            kernel=guest.kernel,
            append=f"{DEBUG_EXIT} {guest.append}".rstrip(),
            extra=("-accel", "kvm", "-smp", str(guest.cpus), "-nodefaults", "-no-user-config", *QEMU_END),
        )
        return run_machine(machine, guest, self.logs, live)


class NestedSession(ControlSession):
    """In the nested rig. Evidence: `counter` (KVM's own exit counters of this guest)."""

    def run(self, guest: Guest, live: Live | None = None) -> Outcome:
        options = {**guest.options, "append": f"{DEBUG_EXIT} {guest.append}".rstrip()}
        frames, seconds = self.run_kernel(guest, options, live)
        hung = "killed" in frames
        clean, end, advice = qemu_end(None if hung else int(frames["exit"][0]))
        command = shlex.join(
            ["qemu-system-i386", "-accel", "kvm", "-machine", options.get("machine", "pc"),
             "-cpu", options.get("cpu", "host"), "-smp", str(guest.cpus), "-m", str(guest.memory_mib),
             "-display", "none", "-serial", "stdio", *QEMU_END, "-kernel", str(guest.kernel),
             "-append", options["append"]]
        )  # fmt: skip
        return Outcome(
            guest, "\n".join(frames.get("console", [])), clean, end, advice, seconds,
            f"in the nested rig: {command}", self.strategy.log, frames,
        )  # fmt: skip


class BackendRig(LinuxRig):
    """Options of a guest: `cpu` and `machine` (QEMU's -cpu and -machine)."""

    configurations = (Configuration("kvm", "KVM"),)
    modules = ("irqbypass", "ccp", "kvm", "kvm-amd")
    module_parameters = {"kvm-amd": "sev=0"}
    module_paths = ("*/arch/x86/kvm/*", "*/virt/lib/*", "*/drivers/crypto/ccp/*")

    accelerator: tuple[str, ...] = ("-accel", "tcg,thread=multi")
    """How the nested rig's machine is emulated."""

    refusal = ""
    """Why the host's KVM is not used; empty if it is."""

    def prepare(self) -> None:
        self.refusal = self._probe()
        if self.refusal:
            self.report(f"nested KVM rig, because {self.refusal}")
            super().prepare()
        else:
            self.report("this machine's KVM works and is used")

    def _probe(self) -> str:
        """Why this machine's KVM cannot be used; asked once per boot of the machine."""
        if not os.path.exists("/dev/kvm"):
            return "this machine has no /dev/kvm"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            return "/dev/kvm is not accessible (is the user in group kvm?)"
        source = self.folder / "probe.S"
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        key = hashlib.sha256(source.read_bytes() + boot_id.encode()).hexdigest()[:16]
        known = cache_dir() / "probes" / f"{self.backend}-{key}"
        if known.is_file():
            return known.read_text()
        known.parent.mkdir(parents=True, exist_ok=True)
        guest = known.with_suffix(".elf")
        try:
            subprocess.run(
                ["gcc", "-m32", "-nostdlib", "-static", "-no-pie", "-Wl,-Ttext=0x101000,--build-id=none",
                 "-Wl,--section-start=.multiboot=0x100000", "-o", guest, source],
                check=True, capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(f"cannot build {source.name}: {error}") from None
        command = [QEMU, "-accel", "kvm", "-cpu", "host", "-M", "pc", "-m", "32", "-nodefaults",
                   "-no-user-config", "-display", "none", *QEMU_END, "-kernel", str(guest)]  # fmt: skip
        # subprocess kills with SIGKILL at the time-out, which ends even a guest that never leaves KVM_RUN.
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            refusal = f"a hypercall under this machine's /dev/kvm did not return within {PROBE_SECONDS} s"
        except FileNotFoundError:
            raise UserError(f"{QEMU}: not found; ./vmi setup installs it") from None
        else:
            message = (done.stderr.strip().splitlines() or [""])[-1]
            refusal = "" if done.returncode == 0x10 << 1 | 1 else (
                f"a tiny guest failed under this machine's /dev/kvm (QEMU exited {done.returncode}) {message}"
            ).rstrip()  # fmt: skip
        guest.unlink()
        known.write_text(refusal)
        return refusal

    def _qemu_files(self) -> tuple[Path, list[tuple[str, Path]]]:
        """QEMU's binary (Debian 12 has a wrapper script in its place) and its firmware."""
        for place in (f"/usr/libexec/{QEMU}", f"/usr/bin/{QEMU}"):
            if os.path.isfile(place) and Path(place).read_bytes()[:4] == b"\x7fELF":
                binary = Path(place)
                break
        else:
            raise UserError(f"{QEMU}: not found; ./vmi setup installs it")
        files = [
            (f"/usr/share/{folder}/{name}", Path(f"/usr/share/{folder}/{name}"))
            for folder, names in FIRMWARE.items()
            for name in names
        ]
        return binary, [(place, path) for place, path in files if path.is_file()]

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
        linux = next(name for name in self.image.versions if re.match(r"linux-image-\d", name))
        return {
            "kvm": f"Linux {self.image.versions[linux]} (nested, kvm-amd)",
            "qemu": self.image.versions["qemu"],
            "why nested": self.refusal,
        }

    def facts(self, outcome: Outcome) -> dict[str, str]:
        """What the library says about KVM (its lines `# kvm …`), and KVM's own count of hypercalls."""
        lines = re.findall(r"^# kvm (.*?)\r?$", outcome.console, re.MULTILINE)
        said = dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))
        facts = {
            name: said[name] for name in ("vendor", "transfer", "features", "offered", "used") if name in said
        }
        counted = [
            line.split()[1] for line in outcome.evidence.get("counter", []) if line.startswith("hypercalls ")
        ]
        return facts | ({"hypercalls that KVM counted": counted[0]} if counted else {})

    @contextlib.contextmanager
    def session(self, kernels: Sequence[Path], logs: Path) -> Iterator[Session]:
        if not self.refusal:
            yield HostSession(logs)
            return
        with self.with_guests(kernels) as initrd:
            machine = Machine(
                qemu=OUTER_QEMU,
                machine="pc",
                cpu=OUTER_CPU,
                memory="1024M",
                kernel=self.image.linux,
                append="console=ttyS0 quiet mitigations=off tsc=reliable no_timer_check",
                extra=(*self.accelerator, "-nodefaults", "-no-user-config", "-no-reboot",
                       "-serial", f"file:{(logs / 'kvm-rig.kernel.log').absolute()}",
                       "-initrd", str(initrd)),
            )  # fmt: skip
            self.report("booting the KVM rig")
            logs.mkdir(parents=True, exist_ok=True)
            with boot(machine, "kvm-rig", logs, 3600) as strategy:
                session = NestedSession(strategy, self.backend)
                said = session.start(180)
                if any("no /dev/kvm" in line for line in said.get("start", [])):
                    raise UserError(f"the nested rig has no /dev/kvm; log: {strategy.log}")
                yield session
                session.send("end")
