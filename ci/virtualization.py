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

from . import checked
from .backends import backends
from .beside_linux import DISK_BYTES, WORKLOAD_MARK
from .boot import choose, once
from .build import build, kernels
from .exits import Exit, before_first, between, by_reason, of_kernel
from .figure import WIDTH, log_path, named, wrapped
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
SINGLE = (
    Operation("set_cr3", "page tables loaded (CR3)"),
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


@dataclass(frozen=True)
class Pair:
    """The two ways of a hypervisor, on an architecture."""

    hypervisor: str
    arch: str
    ways: tuple[Way, Way]

    @property
    def name(self) -> str:
        return named(self.ways[1].configuration.name, self.arch)


def base(backend: str) -> str:
    """The library that a backend's builds on in the end; its own where it builds on none."""
    parents = backends()
    while parents[backend]:
        backend = parents[backend]
    return backend


def pairs(rigs: Mapping[str, Rig], names: Sequence[str], architectures: Sequence[str]) -> list[Pair]:
    """Those of which one way is among the named configurations or backends; all for no name."""
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
            here = [rig for rig in those if rig.backend in backends(arch=arch) and rig.sees_exits(arch)]
            libraries = [(rig, rig.backend) for rig in here]
            if len(here) == 1 and here[0].unmodified:
                libraries.insert(0, (here[0], base(here[0].backend)))
            ways = [
                Way(rig, rig.configurations[0], library, kind)
                for (rig, library), kind in zip(libraries, (TRUE, PARA), strict=False)
            ]
            ways = [way for way in ways if not way.configuration.given(arch)[1]]
            if len(ways) == 2 and chosen & {way.configuration.name for way in ways}:
                found.append(Pair(hypervisor, arch, (ways[0], ways[1])))
    return found


@dataclass
class Counts:
    """Exits of one way, by operation and reason; of one round."""

    on: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, dict[str, float]] = field(default_factory=dict)

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


def _exits(outcome: Outcome) -> Sequence[Exit]:
    """UserError if the run failed, or they are not all there."""
    if not outcome.clean or outcome.exits is None:
        said = "; ".join(outcome.evidence.get("trace", ["nothing was noted"]))
        raise UserError(
            f"{outcome.guest.name}: expected a run that passes, with all its exits noted; "
            f"found {outcome.end}, trace: {said}; log: {log_path(outcome.log)}"
        )
    return outcome.exits


def _rounds(outcome: Outcome) -> dict[str, int]:
    """What the kernel says it has done, in its order."""
    return {
        name: int(rounds)
        for name, rounds in re.findall(r"^# bench (\w+) rounds=(\d+) ", outcome.console, re.MULTILINE)
    }


def single(outcome: Outcome, operations: Sequence[Operation], counts: Counts) -> None:
    """`bench=one`: each operation stands between two marks."""
    exits = _exits(outcome)
    measured = list(between(exits, WORKLOAD_MARK))
    said = _rounds(outcome)
    if list(said) != [each.name for each in operations] or len(measured) != len(said):
        raise UserError(f"{outcome.guest.name}: it did {', '.join(said) or 'nothing'}, and "
                        f"{len(measured)} were marked; log: {log_path(outcome.log)}")  # fmt: skip
    around = by_reason(measured[0]) if operations[0] is NOTHING else {}
    for operation, taken in zip(operations, measured, strict=True):
        if operation is not NOTHING:
            counts.add(operation, taken, said[operation.name], around)


def asked_for(operations: Sequence[Operation]) -> str:
    """The kernel's options for `single`."""
    return f"bench=one op={','.join(each.name for each in operations)} rounds={ROUNDS}"


def workloads(outcome: Outcome, counts: Counts) -> None:
    """`bench=workloads`: the first two are measured in a process, and what a process takes to start and end
    is marked by itself before each."""
    measured = list(between(_exits(outcome), WORKLOAD_MARK))
    said = _rounds(outcome)
    if len(measured) != len(said) + 2:
        raise UserError(f"{outcome.guest.name}: it did {', '.join(said) or 'nothing'}, and "
                        f"{len(measured)} were marked; log: {log_path(outcome.log)}")  # fmt: skip
    process, measured = by_reason(measured[0]), [measured[1], *measured[3:]]
    for number, ((name, rounds), taken) in enumerate(zip(said.items(), measured, strict=True)):
        operation = next((each for each in WORKLOADS if each.name == name), None)
        if operation is None:
            continue
        counts.add(operation, taken, rounds, process if number < 2 else None)


def count(way: Way, arch: str, session: Session) -> Counts:
    """Boots the kernel of a way three times, with a disk and a network in one of them."""
    kernel = kernels("sample", arch)[way.library]
    title = f"{way.configuration.name}, library {way.library}, {arch}"
    counts = Counts(way.rig.describe())

    def run(what: str, append: str, **more: Any) -> Outcome:
        name = "-".join([way.configuration.name, way.library, arch, what])
        guest = Guest(kernel, name, append, cpus=CPUS, deadline=DEADLINE, exits=True,
                      options=way.configuration.given(arch)[0], **more)  # fmt: skip
        with shown(Step(title, what)):
            return session.run(guest)

    outcome = run("operations", asked_for((NOTHING, *SINGLE)))
    single(outcome, (NOTHING, *SINGLE), counts)
    counts.add(BOOT, of_kernel(before_first(_exits(outcome), WORKLOAD_MARK)), 1)
    disk = Disk(LOGS / f"{way.configuration.name}-{way.library}-{arch}.disk")
    checked.blank([disk], DISK_BYTES)
    single(run("devices", asked_for(DEVICES), disks=(disk,), nets=(Net(),)), DEVICES, counts)
    disk.file.unlink()
    workloads(run("workloads", "bench=workloads"), counts)
    return counts


Counted = tuple[Pair, Sequence[Counts]]


def _of_rig(rig: Rig, wanted: Sequence[tuple[Way, str]], report: Progress) -> list[Counts]:
    """The counts of all ways that are a rig's."""
    rig.report = report
    with shown(Step(rig.backend, "making its rig ready")):
        rig.prepare()
    with rig.steady_session(LOGS) as session:
        return [count(way, arch, session) for way, arch in wanted]


def number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def in_words(reasons: Mapping[str, float]) -> str:
    """Reasons, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{reason} {number(count)}" for reason, count in ordered if count) or "none"


def title(pair: Pair) -> str:
    return f"exits per operation under {pair.hypervisor}, {pair.arch}"


def head(way: Way) -> str:
    """Of a way's column."""
    return f"{way.kind}: configuration {way.configuration.name}, kernel linked with {way.library}"


def as_text(counted: Sequence[Counted]) -> str:
    """Tables for a terminal."""
    lines = []
    for pair, both in counted:
        lines.append(title(pair))
        lines += [f"  {mark} {head(way)}" for mark, way in zip("AB", pair.ways, strict=True)]
        widest = max(len(each.title) for each in EVERY)
        lines.append(f"  {'':<{widest}}  {'A':>9} {'B':>9}")
        for operation in EVERY:
            first, second = (counts.total(operation.name) for counts in both)
            lines.append(f"  {operation.title:<{widest}}  {number(first):>9} {number(second):>9}")
            for mark, counts in zip("AB", both, strict=True):
                said = f"      {mark}: {in_words(counts.reasons[operation.name])}"
                lines += wrapped(said, " " * 9, WIDTH)
        lines.append("")
    return "\n".join(lines)


def as_json(counted: Sequence[Counted]) -> str:
    rows = [
        {
            "hypervisor": pair.hypervisor,
            "architecture": pair.arch,
            "ways": [
                {
                    "kind": way.kind,
                    "configuration": way.configuration.name,
                    "title": way.configuration.title,
                    "library": way.library,
                    "on": counts.on,
                    "exits": counts.reasons,
                }
                for way, counts in zip(pair.ways, both, strict=True)
            ],
        }
        for pair, both in counted
    ]
    operations = {each.name: each.title for each in EVERY}
    document = {"schema": SCHEMA, "cpus": CPUS, "operations": operations, "pairs": rows}
    return json.dumps(document, indent=1) + "\n"


def exits(names: Sequence[str], json_file: Path | None = None, architecture: str = "") -> int:
    """The word."""
    report = once(progress)
    rigs = discover(report)
    found = pairs(rigs, names, [architecture] if architecture else ARCHITECTURES)
    if not found:
        known = ", ".join(dict.fromkeys(way.configuration.name for pair in pairs(rigs, [], ARCHITECTURES)
                                        for way in pair.ways))  # fmt: skip
        raise UserError(f"nothing counts the exits of {', '.join(names)}; there are: {known}", 2)
    for arch in dict.fromkeys(pair.arch for pair in found):
        libraries = sorted({way.library for pair in found if pair.arch == arch for way in pair.ways})
        build(*(f"sample_kernel/sample-{library}.elf" for library in libraries), arch=arch)
    wanted: dict[str, list[tuple[Way, str]]] = {}
    for pair in found:
        for way in pair.ways:
            wanted.setdefault(way.rig.backend, []).append((way, pair.arch))
    done = side_by_side(
        [functools.partial(_of_rig, rigs[backend], those) for backend, those in wanted.items()], report
    )
    counts = {
        (backend, way.library, arch): of
        for (backend, those), each in zip(wanted.items(), done, strict=True)
        for (way, arch), of in zip(those, each, strict=True)
    }
    counted = [
        (pair, [counts[way.rig.backend, way.library, pair.arch] for way in pair.ways]) for pair in found
    ]
    print(as_text(counted), end="")
    document = as_json(counted)
    if json_file:
        try:
            write_if_changed(json_file, document)
        except OSError as error:
            raise UserError(f"cannot write {json_file}: {error.strerror}") from None
    if not names and not architecture:
        write_if_changed(DOCUMENT, document)
    return 0
