# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What KVM's features save: operations of the sample kernel, the native way and KVM's way; and exits per
operation beside Linux's (beside_linux.py), in the same rig.

Of the former, exits are KVM's own counters, of all virtual CPUs together, less those for the host's
interrupts.
Instructions are those of the calling CPU from the call to its return, the hypervisor's (and the
nested rig's Linux) included: the outer machine runs with `-icount shift=0`, so that the time-stamp
counter counts instructions; the cheapest round counts. In the native way only the one feature that
the operation is about is switched off (option vmi.off=).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from backends.kvm.bench import beside_linux
from ci.bench import table
from ci.beside_linux import blank_disk, distribution_linux, throughput
from ci.build import kernels
from ci.rig import Disk, Guest, Outcome, Session, discover
from ci.util import ARCHITECTURES, RESULTS, progress

BACKEND = "kvm"
ROUNDS = 100
DEADLINE = 180.0
LOGS = RESULTS / "bench"


@dataclass(frozen=True)
class Operation:
    what: str
    name: str
    """In the sample kernel (option op=)."""
    feature: str
    """Of KVM, as options name it; also what the native way goes without."""
    cpus: int = 2
    rounds: int = ROUNDS


OPERATIONS = (
    Operation("clock read", "clock", "clocksource,clocksource2", rounds=5000),
    Operation("wall clock read", "wall_clock", "clocksource,clocksource2", rounds=1000),
    Operation("interrupt to oneself and its end", "end_of_interrupt", "pv_eoi"),
    Operation("IPI to 1 halted CPU", "interrupt_others", "pv_send_ipi", 2),
    Operation("IPI to 3 halted CPUs", "interrupt_others", "pv_send_ipi", 4),
    Operation("kick of a halted CPU", "kick", "pv_unhalt"),
    Operation("TLB flush on a busy CPU", "flush_remote", "pv_tlb_flush"),
)
NOTHING = Operation("nothing", "nothing", "")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    rig = discover(progress)[BACKEND]
    rig.prepare()
    if not hasattr(rig, "accelerator") or "nested" not in str(rig.describe()):
        pytest.skip("this machine's own KVM shows neither counters nor instructions")
    rig.accelerator = ("-accel", "tcg", "-icount", "shift=0")
    LOGS.mkdir(parents=True, exist_ok=True)
    with rig.session(LOGS) as opened:
        yield opened


@dataclass
class Cost:
    exits: float
    hypercalls: float
    instructions: int


def once(session: Session, operation: Operation, rounds: int, off: str) -> Outcome:
    append = f"bench=one op={operation.name} rounds={rounds}" + (f" vmi.off={off}" if off else "")
    outcome = session.run(
        Guest(kernels("sample")[BACKEND], "bench", append, cpus=operation.cpus, deadline=DEADLINE)
    )
    assert outcome.clean, f"{outcome.end}\n{outcome.console}"
    return outcome


def counters(outcome: Outcome) -> dict[str, int]:
    lines = [line.split() for line in outcome.evidence["counter"]]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}


def cost(session: Session, operation: Operation, off: str, idle: dict[tuple[int, str], Outcome]) -> Cost:
    """`idle` keeps guests that did nothing, to be compared with."""
    key = (operation.cpus, off)
    if key not in idle:
        idle[key] = once(session, replace(NOTHING, cpus=operation.cpus), 0, off)
    busy = once(session, operation, operation.rounds, off)
    before, after = counters(idle[key]), counters(busy)
    found = re.search(r"least=(\d+)", busy.console)
    assert found, busy.console

    def per_round(*names: str) -> float:
        first, *others = names
        spent = after[first] - before[first] - sum(after[name] - before[name] for name in others)
        return spent / operation.rounds

    return Cost(per_round("exits", "irq_exits"), per_round("hypercalls"), int(found[1]))


def test_operations(session: Session) -> None:
    idle: dict[tuple[int, str], Outcome] = {}
    bare = cost(session, NOTHING, "", idle).instructions
    heads = (
        "operation",
        "native: exits",
        "instructions",
        "KVM: exits",
        "hypercalls",
        "instructions",
        "feature",
    )
    rows = [heads]
    for operation in OPERATIONS:
        native = cost(session, operation, operation.feature, idle)
        kvm = cost(session, operation, "", idle)
        rows.append(
            (
                operation.what,
                f"{native.exits:.1f}",
                str(native.instructions - bare),
                f"{kvm.exits:.1f}",
                f"{kvm.hypercalls:.1f}",
                str(kvm.instructions - bare),
                operation.feature.split(",")[-1],
            )
        )
    print("\n".join(table("per operation: exits of all virtual CPUs, instructions of the caller", rows)))


@dataclass
class Linux:
    """What is counted of the distribution's."""

    figures: beside_linux.Figures
    spread: dict[str, tuple[float, float] | None]
    version: str
    console: str


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return blank_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def linux(session: Session, disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Linux:
    image = beside_linux.build(tmp_path_factory.mktemp("linux"), progress)
    kernel, version = distribution_linux(progress)
    outcome = session.run(beside_linux.linux_guest(kernel, image, disk))
    return Linux(*beside_linux.of_linux(outcome), version, outcome.console)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_beside_linux(session: Session, linux: Linux, arch: str) -> None:
    library = beside_linux.of_library(session.run, arch)
    rows = beside_linux.rows(library, linux.spread)
    print("\n".join(beside_linux.beside(rows, library, linux.figures, arch, linux.version)))
    assert not [row.operation.title for row in rows if row.worse and not row.reason]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_devices_beside_linux(session: Session, linux: Linux, disk: Disk, arch: str) -> None:
    outcome = session.run(beside_linux.devices_guest(arch, disk))
    library = beside_linux.of_devices(outcome)
    rows = beside_linux.rows(library, linux.spread)
    column = throughput(outcome.console, linux.console)
    titles = arch, linux.version
    print("\n".join(beside_linux.beside_devices(rows, library, linux.figures, titles, column)))
    assert not [row.operation.title for row in rows if row.worse and not row.reason]
