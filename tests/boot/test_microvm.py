# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""QEMU's microvm, a PC without PCI whose PIC, PIT, RTC, serial port and ACPI tables can each be left out: the
sample kernel runs there, entered by PVH or multiboot, or refuses and says why. Every pair of these choices
meets in some boot."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from ci import ktap, machines
from ci.build import kernels
from ci.console import text
from ci.rig import DEBUG_EXIT, QEMU_END
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


def test_every_pair_is_there() -> None:
    rows = [(arch, cpus, *(choice in out for choice in CHOICES)) for arch, cpus, out in MATRIX]
    for one, other in itertools.combinations(range(len(rows[0])), 2):
        assert len({(row[one], row[other]) for row in rows}) == 4, (one, other)


@pytest.mark.parametrize(
    ("arch", "cpus", "out"), MATRIX, ids=lambda value: "-".join(value) if isinstance(value, tuple) else None
)
def test_runs_or_says_why_not(arch: str, cpus: int, out: tuple[str, ...]) -> None:
    machine = ",".join(("microvm", *(f"{choice}=off" for choice in out)))
    done = subprocess.run(
        ["qemu-system-x86_64", "-machine", machine, "-accel", "tcg", "-m", "64", "-smp", str(cpus),
         "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", *QEMU_END,
         "-kernel", kernels("sample", arch)[places(arch)[0].backend], "-append", DEBUG_EXIT],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120, check=False, preexec_fn=tied(),
    )  # fmt: skip
    console = text(done.stdout)
    name = "microvm" + (f" without {', '.join(out)}" if out else "") + f", {cpus} CPU{'s' * (cpus > 1)}"
    verdict, words = machines.judge(console, done.returncode, silent="isa-serial" in out)
    machines.record(machines.Boot(name, "qemu64", "qboot", arch, verdict, words, machines.qemu()))
    if "isa-serial" in out:
        assert console == ""
    elif "pit" in out:
        assert NO_COUNTER in console
    else:
        report = ktap.parse(console)
        assert report.failures() == []
        skipped = {test.name for test in report.tests if test.status == "skip"}
        assert ("time.wall_clock" in skipped) == ("rtc" in out)
    assert done.returncode == (REFUSED if "pit" in out else PASSED), console
