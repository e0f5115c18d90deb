# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits of a guest, one by one, by KVM's own trace points in the nested rig's Linux (kvm_exit and kvm_cpuid;
Linux, Documentation/trace/events.rst and arch/x86/kvm/trace.h).

A guest marks an instant by CPUID, of a leaf that says which. The trace must be whole: as many exits as KVM's
counter of that guest has.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.control import SHARE, Control
from ci.rig import Guest, Outcome, Session, SteadySession
from ci.util import UserError

TRACING = "/sys/kernel/debug/tracing"
BUFFER_KIB = 65536
START = f"""
cd {TRACING}
echo 0 >tracing_on
echo {BUFFER_KIB} >buffer_size_kb
echo nop >current_tracer
echo >trace
echo 1 >events/kvm/kvm_exit/enable
echo 1 >events/kvm/kvm_cpuid/enable
echo 1 >tracing_on
"""
STOP = f"""
cd {TRACING}
echo 0 >tracing_on
echo 0 >events/kvm/kvm_exit/enable
echo 0 >events/kvm/kvm_cpuid/enable
cat trace >{SHARE}/%s
echo >trace
echo 1 >buffer_size_kb
"""
EVENT = re.compile(r" kvm_exit: (?:vcpu (\d+) )?reason (?:EXIT_)?(\S+)| kvm_cpuid: func ([0-9a-f]+) ")
HOSTS = ("interrupt", "nmi")
"""Exits for what the host has to do: its own interrupts."""
MARKING = ("cpuid", "write_dr0")
"""Exits by which a guest marks an instant."""

Taken = Counter[tuple[int, str]]
"""How many exits, by virtual CPU and reason."""


@dataclass(frozen=True)
class Exit:
    """One of a virtual CPU."""

    cpu: int
    reason: str


@dataclass(frozen=True)
class Mark:
    leaf: int


def read(trace: str) -> list[Exit | Mark]:
    """What a trace holds, in order. The CPUID that is a mark stands before it, as the exit that it is."""
    found: list[Exit | Mark] = []
    for line in trace.splitlines():
        if event := EVENT.search(line):
            cpu, reason, leaf = event.groups()
            found.append(Mark(int(leaf, 16)) if leaf else Exit(int(cpu or 0), reason.lower()))
    return found


def control_of(session: Session) -> Control:
    """Of the rig that a session is in; UserError if there is none to ask."""
    inner = session.session if isinstance(session, SteadySession) else session
    control = getattr(inner, "control", None)
    if not isinstance(control, Control):
        raise UserError("this machine's own KVM is used, whose trace is not looked at")
    return control


def run(session: Session, guest: Guest) -> tuple[Outcome, list[Exit | Mark]]:
    """Runs a guest with its exits noted; UserError if some were lost."""
    control = control_of(session)
    control.script(START)
    outcome = session.run(guest)
    folder = control.folder()
    control.script(STOP % f"{folder.name}/trace", 180)
    seen = read((folder / "trace").read_text(errors="replace"))
    counted = [line.split()[1] for line in outcome.evidence.get("counter", []) if line.startswith("exits ")]
    noted = sum(isinstance(each, Exit) for each in seen)
    if counted != [str(noted)]:
        raise UserError(f"{guest.name}: KVM has counted {counted} exits, and its trace has {noted}")
    return outcome, seen


def taken(seen: Sequence[Exit | Mark]) -> Taken:
    """Exits by CPU and reason, those aside for the host's own interrupts and for marks."""
    return Counter(
        (each.cpu, each.reason)
        for each in seen
        if isinstance(each, Exit) and each.reason not in (*HOSTS, *MARKING)
    )


def between(seen: Sequence[Exit | Mark], leaf: int) -> Iterator[Taken]:
    """What lies between the first mark of a leaf and the second, the third and the fourth, and so on."""
    places = [place for place, each in enumerate(seen) if each == Mark(leaf)]
    for start, end in zip(places[::2], places[1::2], strict=True):
        yield taken(seen[start + 1 : end])


def rounds(seen: Sequence[Exit | Mark], begin: int, end_of_round: int) -> list[list[Taken]]:
    """What each round of each workload has; a workload is a mark `begin`, then one before its first round and
    after each."""
    found: list[list[Taken]] = []
    started: int | None = None
    for place, each in enumerate(seen):
        if each == Mark(begin):
            found.append([])
            started = None
        elif each == Mark(end_of_round):
            if started is not None and found:
                found[-1].append(taken(seen[started + 1 : place]))
            started = place
    return found


def leaf(name: str) -> int:
    """Of a mark, as mark.h has it."""
    text = Path(__file__).with_name("mark.h").read_text()
    found = re.search(rf"^#define MARK_LEAF_{name} (0x\w+)$", text, re.MULTILINE)
    assert found
    return int(found[1], 16)
