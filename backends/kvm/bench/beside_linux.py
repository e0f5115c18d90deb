# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits per operation: the sample kernel's beside those of Linux (ci/beside_linux.py), guests of the same
KVM, by its own trace (exits.py). Exits for the host's interrupts count for none."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from backends.kvm.bench import exits
from backends.kvm.bench.exits import Exit, Mark, Taken
from ci import beside_linux
from ci.beside_linux import WORKLOAD_MARK, Row
from ci.build import kernels
from ci.rig import Guest, Outcome, Session
from ci.util import ARCHITECTURES, UserError

BACKEND = "kvm"
ARCH = ARCHITECTURES[1]
DEADLINE = 240.0
WORKLOADS = (
    "clock_read", "system_call", "page_fault", "context_switch", "map_unmap_1024", "move_1024",
    "process_create_exit", "timer_tick", "console_64k", "ipi_round_trip",
)  # fmt: skip
GOALS = {"clock_read": 0, "end_of_interrupt": 0, "ipi": 1, "timer_tick": 2, "console_64k": 70}
"""How many exits an operation may take at most."""
REASONS: Mapping[str, str] = {}
"""Why the library takes more exits than Linux, if it does."""
ROUNDS = {"clock": 1000, "end_of_interrupt": 100, "interrupt_others": 100}
"""Of operations of the sample kernel that are no workloads."""


def build(folder: Path) -> Path:
    return beside_linux.build(folder, Path(__file__).parent)


def linux_guest(linux: Path, image: Path) -> Guest:
    return Guest(
        linux, "workloads-linux", beside_linux.command_line("hvc0", WORKLOADS), cpus=2, memory_mib=256,
        deadline=DEADLINE, modules=((image, ""),),
    )  # fmt: skip


def library_guest(bench: str) -> Guest:
    name = "-".join(["library", *re.findall(r"\w+$", bench.split(" rounds=")[0])])
    return Guest(kernels("sample", ARCH)[BACKEND], name, f"bench={bench}", cpus=2, deadline=DEADLINE)


def of_workloads(outcome: Outcome, seen: Sequence[Exit | Mark]) -> Iterator[tuple[str, int, Taken]]:
    """Each workload of the sample kernel: name, rounds and exits of all rounds."""
    said = [
        (name, int(rounds))
        for name, rounds in re.findall(r"^# bench (\w+) rounds=(\d+) ", outcome.console, re.MULTILINE)
    ]
    every = list(exits.between(seen, WORKLOAD_MARK))
    # Of the first two the time is read in a process, whose start and end come before each.
    if len(every) != len(said) + 2:
        raise UserError(f"{outcome.guest.name}: its workloads are {said}, and {len(every)} were marked")
    once, calls, again, faults, *others = every
    for (name, rounds), taken in zip(said, [calls - once, faults - again, *others], strict=True):
        yield name, rounds, taken


def of_library(session: Session) -> dict[str, float]:
    """Exits per round."""
    found: dict[str, float] = {}

    def run(bench: str) -> tuple[Outcome, list[Exit | Mark]]:
        outcome, seen = exits.run(session, library_guest(bench))
        if not outcome.clean:
            raise UserError(f"{outcome.guest.name}: {outcome.end}; log: {outcome.log}")
        return outcome, seen

    for name, rounds, taken in of_workloads(*run("workloads")):
        found[name] = taken.total() / rounds
    ones: dict[str, Taken] = {}
    for operation, rounds in ROUNDS.items():
        _, seen = run(f"one op={operation} rounds={rounds}")
        (ones[operation],) = exits.between(seen, WORKLOAD_MARK)
    found["clock_read"] = ones["clock"].total() / ROUNDS["clock"]
    # An interrupt to oneself is asked for, which leaves the guest once; the rest is its end.
    found["end_of_interrupt"] = ones["end_of_interrupt"].total() / ROUNDS["end_of_interrupt"] - 1
    sender = sum(number for (cpu, _), number in ones["interrupt_others"].items() if cpu == 0)
    found["ipi"] = sender / ROUNDS["interrupt_others"]
    return found


def of_linux(outcome: Outcome, seen: Sequence[Exit | Mark]) -> dict[str, tuple[float, float] | None]:
    """Exits per round, least and median; UserError if a round is missing."""
    said = re.findall(r"^# workload (\w+) rounds=(\d+)", outcome.console, re.MULTILINE)
    every = exits.rounds(seen, exits.leaf("begin"), exits.leaf("round"))
    if [name for name, _ in said] != list(WORKLOADS) or [int(n) for _, n in said] != [len(e) for e in every]:
        raise UserError(f"Linux's rounds are {said}, and KVM saw {[len(each) for each in every]}")
    found: dict[str, tuple[float, float] | None] = {"end_of_interrupt": None}
    for (name, _), rounds in zip(said, every, strict=True):
        totals = [taken.total() for taken in rounds]
        found[name] = min(totals), statistics.median(totals)
        if name == "ipi_round_trip":
            sent = [sum(number for (cpu, _), number in taken.items() if cpu == 0) for taken in rounds]
            found["ipi"] = min(sent), statistics.median(sent)
    return found


def rows(library: Mapping[str, float], linux: Mapping[str, tuple[float, float] | None]) -> list[Row]:
    return beside_linux.rows(library, linux, REASONS)


def beside(rows: Sequence[Row], version: str) -> list[str]:
    """Lines of the table."""
    title = f"exits per operation beside Linux {version}, x86-64 guests of one KVM, by its own trace"
    return beside_linux.beside(rows, title, GOALS)
