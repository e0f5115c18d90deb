# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bochs, a PC that is written independently of QEMU, from Debian's packages as plain files.

It starts what its BIOS can: GRUB from a disc that carries the kernel. There is no isa-debug-exit; a kernel
ends by ACPI's power-off, which Bochs takes for a panic and says in its log. Debian's build has its debugger
on, which is told to go on (`-rc`), and no display that needs nothing: `term` wants a terminal of a size
that it likes, so it gets a pseudo-terminal whose other side nobody looks at.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
import tty
from dataclasses import dataclass, replace
from pathlib import Path

from ci import machines, packages
from ci.build import kernels
from ci.console import text
from ci.iso import OWN, epoch, image, own_menu
from ci.kernel import look
from ci.setup import provide
from ci.util import ARCHITECTURES, progress, tied

from ..guests import places

SHARED = ("./usr/lib/x86_64-linux-gnu/*.so*", "./lib/x86_64-linux-gnu/*.so*")
SELECTION = packages.Selection(
    roots=("bochs", "bochs-term", "bochsbios", "vgabios"),
    follow=("libltdl", "libsamplerate", "libreadline", "libncurses", "libtinfo"),
    only=(("lib*", SHARED),),
)
LIBRARIES = "usr/lib/x86_64-linux-gnu"
INSTALLED = {
    f"/{LIBRARIES}/libgtk-3.so.0": "libgtk-3-0",
    f"/{LIBRARIES}/libasound.so.2": "libasound2",
}
"""Debian's program is linked with these, whether a window is opened or not; browsers are, too, so that they
are most often there. With what they need themselves they are a hundred packages."""
PLUGINS = f"{LIBRARIES}/bochs/plugins"
ROWS, COLUMNS = 50, 132
"""Of the terminal; Bochs refuses a smaller one than the screen that it shows on it."""
SCREEN = re.compile(rb'Bochs connected to screen "([^"]+)"')
POWERED_OFF = "ACPI control: soft power off"
DEADLINE = 1200.0
FIRMWARE = "Bochs's BIOS, GRUB"

MACHINE = """\
plugin_ctrl: unmapped=true, biosdev=true, speaker=false, extfpuirq=true, parallel=false, serial=true
config_interface: textconfig
display_library: term
megs: 64
romimage: file={bios}
vgaromimage: file={vga_bios}
vga: extension=none
boot: cdrom
log: log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
cpu: model={model}, count={cpus}, ips=50000000, reset_on_triple_fault=0
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path="disc.iso", status=inserted
com1: enabled=1, mode=file, dev=console
"""
"""The bochsrc(5) manual explains it. A triple fault ends the machine, as a panic does. Without an
extension the VGA has no mode that `term` cannot show. Time is of instructions that were executed, not of this
machine's clock."""


@dataclass(frozen=True)
class Program:
    """Bochs, unpacked."""

    trees: tuple[Path, ...]
    version: str

    def file(self, pattern: str) -> Path:
        return packages.find(self.trees, pattern)

    def environment(self) -> dict[str, str]:
        def folders(inside: str) -> str:
            return ":".join(str(tree / inside) for tree in self.trees if (tree / inside).is_dir())

        return {
            **os.environ,
            "LD_LIBRARY_PATH": f"{folders(LIBRARIES)}:{folders('lib/x86_64-linux-gnu')}",
            "LTDL_LIBRARY_PATH": folders(PLUGINS),
            "TERM": "xterm",
        }


def program() -> Program:
    """Downloads what is not in the cache."""
    provide(INSTALLED)
    apt, found = packages.resolve(SELECTION, progress)
    version = next(each.version for each in found if each.name == "bochs")
    return Program(tuple(packages.unpack(apt, SELECTION, found, progress)), version)


def disc(kernel: Path, append: str, output: Path) -> None:
    """What GRUB starts the kernel from, at once."""
    found = look(kernel)
    menu = f"{own_menu([found], append)}set timeout=0\n"
    output.write_bytes(image(menu, epoch(), {f"{found.architecture}/{OWN}": kernel}))


@dataclass(frozen=True)
class Ended:
    """What became of a machine."""

    console: str
    log: str
    powered_off: bool


def run(kernel: Path, append: str, model: str, cpus: int, folder: Path, deadline: float = DEADLINE) -> Ended:
    """Boots a kernel there, to its end or the deadline."""
    bochs = program()
    folder.mkdir(parents=True, exist_ok=True)
    disc(kernel, append, folder / "disc.iso")
    bios, vga_bios = bochs.file("BIOS-bochs-latest"), bochs.file("vgabios/vgabios.bin")
    (folder / "machine").write_text(MACHINE.format(bios=bios, vga_bios=vga_bios, model=model, cpus=cpus))
    (folder / "commands").write_text("c\nquit\n")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", ROWS, COLUMNS, 0, 0))
    with subprocess.Popen(
        [bochs.file("bin/bochs-bin"), "-q", "-f", "machine", "-rc", "commands"], cwd=folder,
        env=bochs.environment(), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=tied(),
    ) as machine:  # fmt: skip
        os.close(theirs)
        try:
            _watch(ours, machine, time.monotonic() + deadline)
        finally:
            machine.kill()
            os.close(ours)
    console, log = folder / "console", folder / "log"
    said = log.read_text(errors="replace") if log.is_file() else ""
    return Ended(text(console.read_bytes()) if console.is_file() else "", said, POWERED_OFF in said)


def _watch(terminal: int, machine: subprocess.Popen[bytes], end: float) -> None:
    """Takes what is written on the terminal, and what is drawn on the other one that Bochs makes itself and
    names there, until the machine has ended: it waits for a terminal that is full."""
    os.set_blocking(terminal, False)
    said, screen = b"", -1
    try:
        while machine.poll() is None and time.monotonic() < end:
            said += _taken(terminal)
            if screen < 0 and (found := SCREEN.search(said)):
                screen = os.open(found[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                tty.setraw(screen)
            if screen >= 0:
                _taken(screen)
            time.sleep(0.1)
    finally:
        if screen >= 0:
            os.close(screen)


def _taken(terminal: int) -> bytes:
    """What there is to read."""
    taken = b""
    with contextlib.suppress(OSError):  # there is no more, or the other side is closed
        while piece := os.read(terminal, 65536):
            taken += piece
    return taken


@dataclass(frozen=True)
class Chosen:
    """What is booted."""

    model: str
    """Of Bochs's processors (bochs -help cpu)."""
    cpus: int
    append: str = ""
    without: str = ""
    """How the names of checks begin that are left out."""
    words: str = ""
    """Why, for the record."""


BOOTS = {
    "i386": Chosen("corei7_haswell_4770", 2),
    "x86_64": Chosen("corei7_icelake_u", 2, "vmi.report"),
}
STEPPED = (
    # It takes the single step after a SYSCALL by the flag that the instruction has cleared; processors go by
    # the flag as it is then (Xen's security advisory XSA-204).
    ("2.", "entries.stepped_process", "this Bochs steps once after SYSCALL, which processors do not"),
    ("", "entries.stepped_", "this Bochs stands still once a breakpoint has begun to step through an entry"),
)
"""What of stepping is left out on x86-64, by how the version begins, and why."""


def choice(arch: str) -> Chosen:
    """What is booted, by the Bochs that is there."""
    if arch == ARCHITECTURES[0]:
        return BOOTS[arch]
    _, without, words = next(row for row in STEPPED if program().version.startswith(row[0]))
    return replace(BOOTS[arch], without=without, words=words)


NARROW = ("p3_katmai", "atom_n270")
"""Those without long mode."""
MODELS = (
    *NARROW, "p4_prescott_celeron_336", "core2_penryn_t9600", "corei5_lynnfield_750",
    "corei7_sandy_bridge_2600k", "corei7_haswell_4770", "ryzen", "corei7_skylake_x", "corei7_icelake_u",
    "tigerlake",
)  # fmt: skip
"""Of processors in about the order of their years; tigerlake has CET."""


def boot(arch: str, chosen: Chosen, folder: Path, tier: str) -> tuple[machines.Boot, Ended]:
    """The sample kernel, linked with the library for hardware; recorded."""
    kernel, append, more = kernels("sample", arch)[places(arch)[0].backend], chosen.append, ""
    if chosen.without:
        append += f" checks=-{chosen.without}"
        more = f"; without {chosen.without}: {chosen.words}"
    ended = run(kernel, append, chosen.model, chosen.cpus, folder)
    refused = machines.CANNOT_RUN in ended.console
    end = "" if not ended.powered_off else "refused" if refused else "pass"
    verdict, words = machines.verdict(ended.console, end)
    name = f"Bochs, {chosen.cpus} CPU{'s' * (chosen.cpus > 1)}"
    where = f"Bochs {program().version.partition('+')[0]}"
    record = machines.Boot(name, chosen.model, FIRMWARE, arch, verdict, words + more, where, tier=tier)
    return machines.record(record), ended
