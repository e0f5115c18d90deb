# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""QEMU's microvm, a PC without PCI whose PIC, PIT, RTC, serial port and ACPI tables can each be left out: the
sample kernel runs there, entered by PVH or multiboot, with devices by virtio-mmio, or refuses and says why.
Where neither serial port nor PIC is there, its console is by virtio-mmio.
Every pair of these choices meets in some boot."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from ci import checked, ktap, machines
from ci.build import kernels
from ci.console import text
from ci.rig import DEBUG_EXIT, QEMU_END, Disk
from ci.util import ARCHITECTURES, tied

from ..guests import places

PASSED, REFUSED = 0x10 << 1 | 1, 0x13 << 1 | 1
CHOICES = ("pic", "pit", "rtc", "isa-serial", "acpi")
I386, X86_64 = ARCHITECTURES
NO_COUNTER = "vmi: cannot run: there is neither a PIT nor an ACPI timer that the time-stamp counter could be "

MATRIX = (
    # architecture, CPUs, and what is left out
    (I386, 1, ()),
    (X86_64, 2, ("pic", "rtc")),
    (I386, 2, ("rtc", "isa-serial", "acpi")),
    (X86_64, 1, ("pic", "isa-serial", "acpi")),
    (I386, 1, ("pic", "pit", "rtc", "isa-serial")),
    (X86_64, 2, ("pit", "isa-serial")),
    (X86_64, 1, ("pit", "rtc", "acpi")),
    (I386, 2, ("pic", "pit", "acpi")),
)  # fmt: skip


BUS = 4
"""Of virtio-mmio, the first that has a device."""
MODERN = ("-global", "virtio-mmio.force-legacy=off")


def devices(disk: Path) -> list[str]:
    """QEMU's arguments for a disk, a network and a source of entropy."""
    found = ["-drive", f"if=none,id=disk,format=raw,file={disk}", "-netdev", "user,id=net"]
    for bus, device in enumerate(("blk-device,drive=disk", "net-device,netdev=net", "rng-device"), BUS):
        found += ["-device", f"virtio-{device},bus=virtio-mmio-bus.{bus}"]
    return found


def console_by_virtio(file: Path) -> list[str]:
    """QEMU's arguments for a console, on the bus behind those devices."""
    return [
        "-chardev", f"file,id=console,path={file}",
        "-device", f"virtio-serial-device,bus=virtio-mmio-bus.{BUS + 3}",
        "-device", "virtconsole,chardev=console",
    ]  # fmt: skip


def options(acpi: bool) -> str:
    """The words of the kernel's command line that tell where they are (QEMU 7.2, hw/i386/microvm.c)."""
    first = 24 if acpi else 5
    buses = range(BUS, BUS + 4)
    return " ".join(f"virtio_mmio.device=512@{0xFEB00000 + 512 * bus:#x}:{first + bus}" for bus in buses)


def test_every_pair_is_there() -> None:
    rows = [(arch, cpus, *(choice in out for choice in CHOICES)) for arch, cpus, out in MATRIX]
    for one, other in itertools.combinations(range(len(rows[0])), 2):
        assert len({(row[one], row[other]) for row in rows}) == 4, (one, other)


@pytest.mark.parametrize(
    ("arch", "cpus", "out"), MATRIX, ids=lambda value: "-".join(value) if isinstance(value, tuple) else None
)
def test_runs_or_says_why_not(tmp_path: Path, arch: str, cpus: int, out: tuple[str, ...]) -> None:
    disk = Disk(tmp_path / "disk")
    checked.blank([disk])
    machine = ",".join(("microvm", *(f"{choice}=off" for choice in out)))
    file = tmp_path / "console"
    by_virtio = {"pic", "isa-serial"} <= set(out)
    silent = "isa-serial" in out and not by_virtio
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-m", "64", "-smp", str(cpus),
         "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", *QEMU_END, *MODERN,
         *devices(disk.file), *(console_by_virtio(file) if by_virtio else ()),
         "-kernel", kernels("sample", arch)[places(arch)[0].backend],
         "-append", f"{DEBUG_EXIT} {options('acpi' not in out)}{' vmi.console=virtio' if by_virtio else ''}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120, check=False, preexec_fn=tied(),
    )  # fmt: skip
    console = text(file.read_bytes() if by_virtio else done.stdout)
    name = "microvm" + (f" without {', '.join(out)}" if out else "") + f", {cpus} CPU{'s' * (cpus > 1)}"
    judgement = machines.judge(console, done.returncode, silent=silent)
    machines.note(name, "qemu64", "qboot", arch, judgement)
    if silent:
        assert console == ""
    elif "pit" in out:
        assert NO_COUNTER in console
    else:
        report = ktap.parse(console)
        assert report.failures() == []
        skipped = {test.name for test in report.tests if test.status == "skip"}
        assert ("time.wall_clock" in skipped) == ("rtc" in out)
        assert not skipped & {"disks.by_event", "networks.by_event", "entropy.by_event"}
    assert bool(checked.other_blocks(disk.file.read_bytes())) == ("pit" in out)
    assert done.returncode == (REFUSED if "pit" in out else PASSED), console
