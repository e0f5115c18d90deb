# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits per operation: the sample kernel's beside those of Linux (ci/beside_linux.py), guests of the same
KVM, by its own trace (ci/kvmtrace.py). Exits for what the host has to do count for none: its own interrupts,
and memory that it gives when a guest first uses it."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci import beside_linux
from ci.beside_linux import DEVICES, OPERATIONS, WORKLOAD_MARK, Row, number
from ci.build import kernels
from ci.exits import Exit, between, by_reason, rounds_of
from ci.rig import Disk, Guest, Net, Outcome
from ci.util import Progress, UserError
from ci.virtualization import clean, exits_of, of_workloads

BACKEND = "kvm"
LINUX_ARCH = "x86_64"
DEADLINE = 240.0
CONSOLE = "/dev/hvc0"
HYPERCALL = "hypercall"
"""KVM's word for VMMCALL."""
DEADLINE_SET = "msr"
"""And for a write of the timer's deadline."""
DRIVERS = ("virtio-pci", "virtio-console", "virtio-blk", "virtio-net")
"""Of that console, of a disk and of a network."""
WORKLOADS = (
    "clock_read", "system_call", "page_fault", "context_switch", "map_unmap_1024", "move_1024",
    "process_create_exit", "timer_tick", "console_64k", "console_pages", "ipi_round_trip",
    *(each.name for each in DEVICES),
)  # fmt: skip
GOALS = {
    "clock_read": 0, "end_of_interrupt": 0, "ipi": 1, "timer_tick": 2, "masked_tick": 2, "console_pages": 70
}  # fmt: skip
"""How many exits an operation may take at most."""
REASONS: Mapping[str, str] = {}
"""Why the library takes more exits than Linux, by operation, if it does."""
DEVICE_GOALS = {"disk_1": 2.5, "disk_32": 0.1, "send_1": 1, "send_64": 0.1, "echo_1": 2.5, "echo_64": 0.1}
"""The same for requests and packets: one leaves the guest to tell the device, and again to wait for it. The
half is for rounds in which the host has an interrupt of its own, after which KVM wants to be told of the
end of the guest's."""
ROUNDS = 100
"""Of operations of the sample kernel that are no workloads."""
CONSOLE_ROUNDS = 16
"""Of these operations make 64 KiB."""
MARKS = beside_linux.marks(Path(__file__).parent)
"""Of Linux's program: of a begin and of a round."""
DEVICE_ROUNDS = 32
"""Of operations on devices."""
TRIES = 3
"""Of workloads until the host has left a round of them alone."""


@dataclass
class Figures:
    """Exits of an operation, those of Linux in the round that had fewest."""

    totals: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, name: str, exits: Mapping[str, int], times: int) -> None:
        self.totals[name] = sum(exits.values()) / times
        self.reasons[name] = {reason: count / times for reason, count in exits.items() if count}

    def in_words(self) -> dict[str, str]:
        return {
            name: ", ".join(f"{reason} {number(count)}" for reason, count in sorted(made.items()))
            for name, made in self.reasons.items()
        }


def build(folder: Path, report: Progress) -> Path:
    return beside_linux.build(
        folder, Path(__file__).parent, beside_linux.modules(DRIVERS, beside_linux.VIRTIO_FILES, report)
    )


def linux_guest(linux: Path, image: Path, disk: Disk) -> Guest:
    return Guest(
        linux, "workloads-linux", beside_linux.command_line("ttyS0", (CONSOLE, *WORKLOADS)), cpus=2,
        memory_mib=256, deadline=DEADLINE, modules=((image, ""),), exits=True, disks=(disk,), nets=(Net(),),
    )  # fmt: skip


def library_guest(arch: str, bench: str) -> Guest:
    name = "-".join(["library", arch, *re.findall(r"\w+", bench)])
    kernel = kernels("sample", arch)[BACKEND]
    return Guest(kernel, name, f"bench={bench}", cpus=2, deadline=DEADLINE, exits=True)


def devices_guest(arch: str, disk: Disk) -> Guest:
    names = ",".join(each.name for each in DEVICES)
    guest = library_guest(arch, f"one op={names} rounds={DEVICE_ROUNDS}")
    return replace(guest, name=f"library-{arch}-devices", disks=(disk,), nets=(Net(),))


SENDER = 0
"""The CPU that measures, and asks the others."""


def of_cpu(exits: Iterable[Exit], cpu: int) -> list[Exit]:
    return [each for each in exits if each.cpu == cpu]


def of_interrupts(exits: Sequence[Exit]) -> list[list[Exit]]:
    """Each interrupt that a CPU asks for by a hypercall, to the next one. Where the host's own interrupt
    comes in between, KVM wants to be told of the end whatever the guest's memory says: those are the host's,
    and left out."""
    found: list[list[Exit]] = []
    for each in exits:
        if each.reason == HYPERCALL:
            found.append([each])
        elif found:
            found[-1].append(each)
    return [each for each in found if not any(exit_.hosts for exit_ in each)]


def of_tick(exits: Sequence[Exit]) -> Mapping[str, int]:
    """The median tick's, of those of many. Each begins as the deadline is set; in one or another the
    processor is in the host as the timer goes off, or interrupts are not masked yet or any more."""
    found: list[Counter[str]] = []
    for each in exits:
        if each.hosts:
            continue
        if each.reason == DEADLINE_SET:
            found.append(Counter())
        if found:
            found[-1][each.reason] += 1
    return sorted(found, key=Counter.total)[len(found) // 2] if found else {}


def of_library(run: Callable[[Guest], Outcome], arch: str) -> Figures:
    """Exits per round of all workloads, and of operations that are none. The workload's alarm is due while
    interrupts are masked; Linux's tick finds them on, and stands beside the operation in which they are."""
    found = Figures()

    def done(bench: str) -> Outcome:
        return clean(run(library_guest(arch, bench)))

    for _ in range(TRIES):
        workloads = of_workloads(done("workloads"))[1]
        if of_interrupts(workloads["ipi_round_trip"][1]):
            break
    else:
        raise UserError(f"{TRIES} times the host was interrupted in each round of ipi_round_trip")
    for name, (rounds, exits) in workloads.items():
        if name == "ipi_round_trip":
            sent = of_interrupts(exits)
            exits, rounds = [exit_ for each in sent for exit_ in each], len(sent)
            found.add("ipi", by_reason(of_cpu(exits, SENDER)), rounds)
        if name == "timer_tick":
            found.add("masked_tick", of_tick(exits), 1)
        else:
            found.add(name, by_reason(exits), rounds)
    outcome = done(f"one op=clock,tick,end_of_interrupt,console rounds={ROUNDS}")
    clock, ticks, interrupts, console = between(exits_of(outcome), WORKLOAD_MARK)
    found.add("clock_read", by_reason(clock), ROUNDS)
    found.add("timer_tick", of_tick(ticks), 1)
    ends = [exits[1:] for exits in of_interrupts(interrupts)]
    found.add("end_of_interrupt", by_reason(exit_ for each in ends for exit_ in each), len(ends))
    pieces = by_reason(console)
    found.add("console_pages", {reason: count * CONSOLE_ROUNDS for reason, count in pieces.items()}, ROUNDS)
    return found


def of_devices(outcome: Outcome) -> Figures:
    """Exits per request and packet, of the library's guest with a disk and a network."""
    found = Figures()
    measured = between(exits_of(clean(outcome)), WORKLOAD_MARK)
    for each, exits in zip(DEVICES, measured, strict=True):
        found.add(each.name, by_reason(exits), DEVICE_ROUNDS * each.times)
    return found


def of_linux(outcome: Outcome) -> tuple[Figures, dict[str, tuple[float, float] | None]]:
    """Exits of the round that had fewest, on devices of the mean round; and how many those and the median
    round have. UserError if a round is missing."""
    said = re.findall(r"^# workload (\w+) rounds=(\d+)", outcome.console, re.MULTILINE)
    every = rounds_of(exits_of(outcome), *MARKS)
    if [name for name, _ in said] != list(WORKLOADS) or [int(n) for _, n in said] != [len(e) for e in every]:
        raise UserError(f"Linux's rounds are {said}, and KVM saw {[len(each) for each in every]}")
    found = Figures()
    spread: dict[str, tuple[float, float] | None] = dict.fromkeys(("end_of_interrupt", "masked_tick"))

    def add(name: str, rounds: Sequence[Sequence[Exit]]) -> None:
        taken = [by_reason(exits) for exits in rounds]
        least = min(taken, key=lambda each: sum(each.values()))
        times = next(each.times for each in OPERATIONS if each.name == name)
        found.add(name, least, times)
        spread[name] = sum(least.values()), statistics.median(sum(each.values()) for each in taken)

    for (name, _), rounds in zip(said, every, strict=True):
        if times := next((each.times for each in DEVICES if each.name == name), 0):
            taken = [by_reason(exits) for exits in rounds]
            totals = [sum(each.values()) for each in taken]
            found.add(name, sum(taken, Counter()), len(rounds) * times)
            spread[name] = statistics.mean(totals), statistics.median(totals)
            continue
        if name == "ipi_round_trip":
            # On a busy host one or another round begins before the other CPU rests, which needs no IPI then.
            rounds = [exits for exits in rounds if by_reason(of_cpu(exits, SENDER))]
            if not rounds:
                raise UserError("Linux's other CPU was not idle in any round of ipi_round_trip")
            add("ipi", [of_cpu(exits, SENDER) for exits in rounds])
        add(name, rounds)
    return found, spread


def rows(library: Figures, linux: Mapping[str, tuple[float, float] | None]) -> list[Row]:
    return beside_linux.rows(library.totals, linux, REASONS)


def beside(rows: Sequence[Row], library: Figures, linux: Figures, arch: str, version: str) -> list[str]:
    """Lines of the table."""
    title = f"exits per operation, {arch} beside Linux {version} ({LINUX_ARCH}), guests of one KVM"
    ours = library.in_words()
    ours |= {each.name: ours[each.beside] for each in OPERATIONS if each.beside in ours}
    return beside_linux.beside(rows, title, GOALS, (ours, linux.in_words()))


def beside_devices(
    rows: Sequence[Row],
    library: Figures,
    linux: Figures,
    titles: tuple[str, str],
    column: tuple[str, Mapping[str, str]],
) -> list[str]:
    """The same of operations on devices; `titles` are the library's architecture and Linux's version."""
    arch, version = titles
    title = f"exits per request and packet, {arch} beside Linux {version} ({LINUX_ARCH}), guests of one KVM"
    words = library.in_words(), linux.in_words()
    return beside_linux.beside(rows, title, DEVICE_GOALS, words, "mean", column)
