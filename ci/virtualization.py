# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi exits`: true virtualization beside paravirtualization. One kernel, the same objects, as a guest that
knows nothing of its hypervisor and as one that speaks to it, and how often each leaves for the hypervisor, by
the hypervisor's own trace (ci/exits.py).

Which ways there are the rigs say. Where kernels for the bare machine run (`Rig.unmodified`), the one way is
the kernel that is linked with the library of the bare machine, and the other the same kernel with the
hypervisor's own library. Where they do not, the ways of a hypervisor are its configurations: the one in which
the processor virtualizes comes first.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import checked, page_update
from .backends import backends
from .beside_linux import DISK_BYTES, WORKLOAD_MARK
from .boot import choose, once, opened, write_document
from .build import build, kernels
from .exits import Exit, before_first, between, by_reason, of_kernel
from .figure import WIDTH, named, wrapped
from .rig import Configuration, Disk, Guest, Net, Outcome, Rig, Session, discover
from .side_by_side import side_by_side
from .status import Step, shown
from .util import ARCHITECTURES, RESULTS, Progress, UserError, progress, write_if_changed

LOGS = RESULTS / "exits"
DOCUMENT = RESULTS / "exits.json"
SCHEMA = 1
CPUS = 2
DEADLINE = 240.0
ROUNDS = 32
"""Of single operations."""
TRUE, PARA = "true virtualization", "paravirtualization"
HYPERCALL = "hypercall"


@dataclass(frozen=True)
class Operation:
    """What is counted, and under which name the kernel's bench has it."""

    name: str
    title: str
    times: int = 1
    """How often a round has it."""


BOOT = Operation("boot", "boot of kernel and library, with all CPUs started")
NOTHING = Operation("nothing", "what is around each of the following")
UPDATE = Operation("update", "one update of a page table: pages get frames, and are read")
SINGLE = (
    Operation("set_cr3", "page tables loaded (CR3)"),
    Operation("set_entry", "page-table entry set, and its page read", 3),
    Operation("mask", "interrupts masked and unmasked"),
    Operation("clock", "clock read"),
    Operation("tick", "timer tick"),
    Operation("end_of_interrupt", "interrupt to oneself, and its end"),
    Operation("interrupt_others", "interrupt to another CPU (IPI)"),
    Operation("console", "console, 4 KiB"),
)
"""`bench=one`."""
DEVICES = (
    Operation("disk_1", "disk: read of 4 KiB, 1 at a time"),
    Operation("disk_32", "disk: read of 4 KiB, 32 at a time", 32),
    Operation("send_1", "network: packet sent, 1 at a time", 64),
    Operation("send_64", "network: packet sent, 64 at a time", 64),
)
"""The same, of a disk and a network."""
WORKLOADS = (
    Operation("system_call", "system call"),
    Operation("page_fault", "page fault, a page of zeroes"),
    Operation("context_switch", "switch to another address space"),
    Operation("map_unmap_1024", "1,024 pages mapped and unmapped"),
    Operation("process_create_exit", "process: creation and end"),
)
"""`bench=workloads`."""
EVERY = (BOOT, *SINGLE, *DEVICES, *WORKLOADS)


@dataclass(frozen=True)
class Way:
    """One way to run the kernel under a hypervisor."""

    rig: Rig
    configuration: Configuration
    library: str
    """The backend whose library the kernel is linked with."""
    kind: str
    """TRUE or PARA."""
    by: str = ""
    """What further tells it from others."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the guest, beside the configuration's."""

    @property
    def name(self) -> str:
        """Of runs."""
        words = [self.configuration.name, self.library, *self.by.split()]
        return "-".join(words)

    @property
    def head(self) -> str:
        """What it is, for people."""
        by = f" ({self.by})" if self.by else ""
        return f"{self.kind}{by}: configuration {self.configuration.name}, kernel linked with {self.library}"


@dataclass(frozen=True)
class Ways:
    """Those of a hypervisor, on an architecture; the last one is paravirtualization."""

    hypervisor: str
    arch: str
    ways: Sequence[Way]

    @property
    def name(self) -> str:
        return named(self.ways[-1].configuration.name, self.arch)


def base(backend: str) -> str:
    """The library that a backend's builds on in the end; its own where it builds on none."""
    parents = backends()
    while parents[backend]:
        backend = parents[backend]
    return backend


def ways_of(rigs: Mapping[str, Rig], names: Sequence[str], architectures: Sequence[str]) -> list[Ways]:
    """Those of hypervisors of which one way is among the named configurations or backends; all for no
    name."""
    chosen = {configuration.name for _, configuration in choose(dict(rigs), names)}
    of: dict[str, list[Rig]] = {}
    for rig in rigs.values():
        if rig.exits_of:
            of.setdefault(rig.exits_of, []).append(rig)
    found = []
    for hypervisor, those in of.items():
        # Where a library builds on another's, the processor virtualizes.
        those.sort(key=lambda rig: base(rig.backend) == rig.backend)
        for arch in architectures:
            here = [
                rig
                for rig in those
                if rig.backend in backends(arch=arch)
                and rig.sees_exits(arch)
                and not rig.configurations[0].given(arch)[1]
            ]
            if not here:
                continue
            *others, last = here
            ways = [Way(rig, rig.configurations[0], rig.backend, TRUE) for rig in others]
            ways += [
                Way(last, last.configurations[0], base(last.backend), TRUE, by, options)
                for by, options in last.unmodified.items()
            ]
            ways.append(Way(last, last.configurations[0], last.backend, PARA))
            if len(ways) > 1 and chosen & {way.configuration.name for way in ways}:
                found.append(Ways(hypervisor, arch, ways))
    return found


@dataclass
class Counts:
    """Exits of one way, by operation and reason; of one round."""

    on: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, dict[str, float]] = field(default_factory=dict)
    frames: list[tuple[int, int]] = field(default_factory=list)
    """Pages and frames of the update."""
    steps: list[page_update.Step] = field(default_factory=list)
    """The update, exit by exit."""

    def add(
        self,
        operation: Operation,
        exits: Sequence[Exit],
        rounds: int,
        less: Mapping[str, float] | None = None,
    ) -> None:
        """`less` is taken off: what all rounds have beside the operation, by reason."""
        net = {reason: count - (less or {}).get(reason, 0) for reason, count in by_reason(exits).items()}
        self.reasons[operation.name] = {
            reason: max(0.0, count) / (rounds * operation.times) for reason, count in sorted(net.items())
        }

    def total(self, name: str) -> float:
        return sum(self.reasons[name].values())

    def hypercalls(self, name: str) -> float:
        return self.reasons[name].get(HYPERCALL, 0)


def clean(outcome: Outcome) -> Outcome:
    """UserError if the guest did not end as one that passes."""
    if not outcome.clean:
        raise UserError(f"{outcome.guest.name}: {outcome.end}; log: {outcome.log}")
    return outcome


def exits_of(outcome: Outcome) -> Sequence[Exit]:
    """UserError if they are not all there."""
    if outcome.exits is None:
        said = "; ".join(outcome.evidence.get("trace", ["nothing was noted, as on a machine's own"]))
        raise UserError(f"{outcome.guest.name}: {outcome.end}; trace: {said}; log: {outcome.log}")
    return outcome.exits


def measured(outcome: Outcome, besides: int = 0) -> tuple[dict[str, int], list[list[Exit]]]:
    """What the sample kernel's bench says it has done, with rounds, and what it left the guest for between
    each two marks, of which there are some besides. UserError if these are not as many."""
    said = {
        name: int(rounds)
        for name, rounds in re.findall(r"^# bench (\w+) rounds=(\d+) ", outcome.console, re.MULTILINE)
    }
    marked = list(between(exits_of(outcome), WORKLOAD_MARK))
    if len(marked) != len(said) + besides:
        raise UserError(f"{outcome.guest.name}: it did {', '.join(said) or 'nothing'}, and {len(marked)} "
                        f"were marked; log: {outcome.log}")  # fmt: skip
    return said, marked


def of_workloads(outcome: Outcome) -> tuple[list[Exit], dict[str, tuple[int, list[Exit]]]]:
    """`bench=workloads`: what a process takes to start and end, and by workload the rounds and the exits of
    all rounds. The first two are measured in a process: its start and end are among theirs, and marked by
    themselves before each of those two."""
    said, marked = measured(outcome, besides=2)
    process = marked[0]
    del marked[2], marked[0]
    return process, {
        name: (rounds, taken) for (name, rounds), taken in zip(said.items(), marked, strict=True)
    }


def single(outcome: Outcome, operations: Sequence[Operation], counts: Counts) -> dict[str, Sequence[Exit]]:
    """`bench=one`: each operation stands between two marks. The exits of each, of all rounds."""
    said, marked = measured(clean(outcome))
    if list(said) != [each.name for each in operations]:
        raise UserError(f"{outcome.guest.name}: it did {', '.join(said) or 'nothing'}; log: {outcome.log}")
    around = by_reason(marked[0]) if operations[0] is NOTHING else {}
    for operation, taken in zip(operations, marked, strict=True):
        if operation not in (NOTHING, UPDATE):
            counts.add(operation, taken, said[operation.name], around)
    return dict(zip(said, marked, strict=True))


def asked_for(operations: Sequence[Operation]) -> str:
    """The kernel's options for `single`."""
    return f"bench=one op={','.join(each.name for each in operations)} rounds={ROUNDS}"


def workloads(outcome: Outcome, counts: Counts) -> None:
    """`bench=workloads`, the first two less what a process takes."""
    process, found = of_workloads(clean(outcome))
    for number, (name, (rounds, taken)) in enumerate(found.items()):
        if operation := next((each for each in WORKLOADS if each.name == name), None):
            counts.add(operation, taken, rounds, by_reason(process) if number < 2 else None)


def count(way: Way, arch: str, session: Session, on: dict[str, str]) -> Counts:
    """Boots the kernel of a way three times, with a disk and a network in one of them."""
    kernel = kernels("sample", arch)[way.library]
    counts = Counts(on)

    def run(what: str, append: str, **more: Any) -> Outcome:
        options = {**way.configuration.given(arch)[0], **way.options}
        name = f"{way.name}-{arch}-{what}"
        guest = Guest(kernel, name, append, cpus=CPUS, deadline=DEADLINE, exits=True, options=options, **more)
        with shown(Step(f"{way.name}, {arch}", what)):
            return session.run(guest)

    operations = (NOTHING, UPDATE, *SINGLE)
    outcome = run("operations", asked_for(operations))
    found = single(outcome, operations, counts)
    counts.frames = page_update.frames(outcome.console)
    names = page_update.hypercalls(way.library, arch)
    counts.steps = page_update.steps(found[UPDATE.name], page_update.Code(kernel), names)
    counts.add(BOOT, of_kernel(before_first(exits_of(outcome), WORKLOAD_MARK)), 1)
    disk = Disk(LOGS / f"{way.name}-{arch}.disk")
    checked.blank([disk], DISK_BYTES)
    single(run("devices", asked_for(DEVICES), disks=(disk,), nets=(Net(),)), DEVICES, counts)
    disk.file.unlink()
    workloads(run("workloads", "bench=workloads"), counts)
    return counts


Counted = tuple[Ways, Sequence[Counts]]


def _of_rig(rig: Rig, wanted: Sequence[tuple[Way, str]], report: Progress) -> list[Counts]:
    """The counts of all ways that are a rig's."""
    with opened(rig, LOGS, report) as (session, on):
        return [count(way, arch, session, on) for way, arch in wanted]


def number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def in_words(reasons: Mapping[str, float]) -> str:
    """Reasons, the most frequent first; empty if there are none."""
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{reason} {number(count)}" for reason, count in ordered if count)


LETTERS = "ABCDEFGH"
"""Of ways, in tables."""


def as_text(counted: Sequence[Counted]) -> str:
    """Tables for a terminal."""
    widest = max(len(each.title) for each in EVERY)
    lines = []
    for those, counts in counted:
        letters = LETTERS[: len(those.ways)]
        lines.append(f"exits per operation under {those.hypervisor}, {those.arch}")
        lines += [f"  {letter} {way.head}" for letter, way in zip(letters, those.ways, strict=True)]
        lines.append(f"  {'':<{widest}} {''.join(f'{letter:>10}' for letter in letters)}")
        for operation in EVERY:
            totals = "".join(f"{number(each.total(operation.name)):>10}" for each in counts)
            lines.append(f"  {operation.title:<{widest}} {totals}")
            for letter, each in zip(letters, counts, strict=True):
                if said := in_words(each.reasons[operation.name]):
                    lines += wrapped(f"      {letter}: {said}", " " * 9, WIDTH)
        lines.append(f"  {UPDATE.title}")
        for letter, each in zip(letters, counts, strict=True):
            told = [f"{step.reason} ({step.what})" if step.what else step.reason for step in each.steps]
            lines += wrapped(
                f"      {letter}: {', '.join(told) or 'nothing leaves the guest'}", " " * 9, WIDTH
            )
        lines.append("")
    return "\n".join(lines)


def as_json(counted: Sequence[Counted]) -> str:
    hypervisors = [
        {
            "hypervisor": those.hypervisor,
            "architecture": those.arch,
            "ways": [
                {
                    "kind": way.kind,
                    "by": way.by,
                    "configuration": way.configuration.name,
                    "library": way.library,
                    "on": each.on,
                    "exits": each.reasons,
                    "frames": each.frames,
                    "steps": [vars(step) for step in each.steps],
                }
                for way, each in zip(those.ways, counts, strict=True)
            ],
        }
        for those, counts in counted
    ]
    operations = {each.name: each.title for each in EVERY}
    document = {"schema": SCHEMA, "cpus": CPUS, "operations": operations, "hypervisors": hypervisors}
    return json.dumps(document, indent=1) + "\n"


def exits(names: Sequence[str], json_file: Path | None = None, architecture: str = "") -> int:
    """The word."""
    report = once(progress)
    rigs = discover(report)
    found = ways_of(rigs, names, [architecture] if architecture else ARCHITECTURES)
    if not found:
        every = ways_of(rigs, [], ARCHITECTURES)
        known = ", ".join(dict.fromkeys(way.configuration.name for those in every for way in those.ways))
        raise UserError(f"nothing counts the exits of {', '.join(names)}; there are: {known}", 2)
    for arch in dict.fromkeys(those.arch for those in found):
        libraries = sorted({way.library for those in found if those.arch == arch for way in those.ways})
        build(*(f"sample_kernel/sample-{library}.elf" for library in libraries), arch=arch)
    wanted: dict[str, list[tuple[Way, str]]] = {}
    for those in found:
        for way in those.ways:
            wanted.setdefault(way.rig.backend, []).append((way, those.arch))
    done = side_by_side([functools.partial(_of_rig, rigs[name], of) for name, of in wanted.items()], report)
    counts = {
        (way.name, arch): each
        for of, those_counts in zip(wanted.values(), done, strict=True)
        for (way, arch), each in zip(of, those_counts, strict=True)
    }
    counted = [(those, [counts[way.name, those.arch] for way in those.ways]) for those in found]
    print(as_text(counted), end="")
    document = as_json(counted)
    if json_file:
        write_document(json_file, document)
    if not names and not architecture:
        write_if_changed(DOCUMENT, document)
    return 0
