# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A PC whose HPET, PIT, PIC, PS/2 controller and ACPI tables are left out: the sample kernel's alarms go off
there, or it refuses and says why. Every pair of these choices meets in some boot; what has no PCI either is
in test_microvm.py."""

from __future__ import annotations

import itertools

import pytest

from ci import machines
from ci.util import ARCHITECTURES

from ..guests import Run, places
from .test_microvm import NO_COUNTER

CHOICES = ("hpet", "pit", "pic", "i8042", "acpi")
MACHINES = ("pc", "q35")

MATRIX = [
    (ARCHITECTURES[a], MACHINES[b],
     tuple(choice for choice, out in zip(CHOICES, (c, a ^ b, a ^ c, b ^ c, a ^ b ^ c), strict=True) if out))
    for a, b, c in itertools.product((0, 1), repeat=3)
]  # fmt: skip
"""Architecture, machine, and what is left out: an orthogonal array of strength two."""


def test_every_pair_is_there() -> None:
    rows = [(arch, machine, *(choice in out for choice in CHOICES)) for arch, machine, out in MATRIX]
    for one, other in itertools.combinations(range(len(rows[0])), 2):
        assert len({(row[one], row[other]) for row in rows}) == 4, (one, other)


@pytest.mark.parametrize(
    ("arch", "machine", "out"),
    MATRIX,
    ids=lambda value: "_".join(("without", *value)) if isinstance(value, tuple) else f"on_{value}",
)
def test_runs_or_says_why_not(arch: str, machine: str, out: tuple[str, ...], run: Run) -> None:
    options = {"machine": ",".join((machine, "vmport=off", *(f"{choice}=off" for choice in out)))}
    outcome, report = run(places(arch)[0], "checks=alarm", options=options)
    name = f"{machine}, without {', '.join(out)}" if out else machine
    cpu = "qemu32" if arch == ARCHITECTURES[0] else "qemu64"
    machines.note(name, cpu, "SeaBIOS", arch, machines.judged(outcome))
    # Of q35's chipset SeaBIOS makes tables of its own, and they tell of the ACPI timer.
    if {"pit", "acpi"} <= set(out) and machine == "pc":
        assert NO_COUNTER in outcome.console
        assert "0x13" in outcome.end
    else:
        assert (report.failures(), outcome.clean) == ([], True), outcome.end
        assert report.result["pass"] >= 5
