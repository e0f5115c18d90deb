# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits of a guest, one by one, as KVM's own trace points have them (Linux, Documentation/trace/events.rst
and arch/x86/kvm/trace.h).

| event | from it |
|---|---|
| kvm_exit | virtual CPU, reason, the guest's instruction, what the processor tells beside the reason |
| kvm_cpuid | leaf, of the CPUID that the same thread has just left the guest for |

A guest marks an instant by CPUID of a leaf that says which (docs/architecture.md, "Guest output"): CPUID
always leaves the guest. Whoever asks for a trace compares its length with KVM's own counter of the guest's
exits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

FOLDER = "/sys/kernel/debug/tracing"
BUFFER_KIB = 65536
"""Room for some 700,000 exits; a trace that is longer loses its first ones."""
START = f"""set -e
cd {FOLDER}
echo 0 >tracing_on
echo nop >current_tracer
echo {BUFFER_KIB} >buffer_size_kb
echo >trace
echo 1 >events/kvm/kvm_exit/enable
echo 1 >events/kvm/kvm_cpuid/enable
echo 1 >tracing_on
"""
"""Shell commands after which KVM's host notes exits."""

HOSTS = ("interrupt", "nmi")
"""Reasons that are the host's own interrupts: no operation of a guest causes them."""
NO_MEMORY = "npf"
"""A nested page fault (AMD APM vol. 2, 15.25.6): for a device's page, or for memory that the host has yet to
give, which says nothing about the guest either."""
DEVICES = 0xC0000000
"""Below it a PC of QEMU with no more memory than that has memory alone, and above it devices."""

_LINE = re.compile(r"-(\d+) +\[\d+\].*? kvm_(exit|cpuid): (.*)")
_HEX = "(0x[0-9a-f]+)"
_EXIT = re.compile(rf"vcpu (\d+) reason (?:EXIT_)?(.+?) rip {_HEX} info1 {_HEX} info2 {_HEX}")
_CPUID = re.compile(r"func ([0-9a-f]+) ")
_ENTRIES = re.compile(r"^# entries-in-buffer/entries-written: (\d+)/(\d+)", re.MULTILINE)


def stop(file: str) -> str:
    """Shell commands that end what START began, and leave the trace in a file."""
    return f"""set -e
cd {FOLDER}
echo 0 >tracing_on
echo 0 >events/kvm/kvm_exit/enable
echo 0 >events/kvm/kvm_cpuid/enable
cat trace >{file}
echo >trace
echo 1 >buffer_size_kb
"""


@dataclass(frozen=True, slots=True)
class Exit:
    """A virtual CPU has left the guest."""

    cpu: int
    reason: str
    """KVM's word in lower case: `vmmcall`, `msr`, `hlt`."""
    address: int = 0
    """Of the instruction."""
    info: tuple[int, int] = (0, 0)
    """EXITINFO1 and EXITINFO2 (AMD APM vol. 2, appendix C)."""
    leaf: int | None = None
    """Of a CPUID."""

    @property
    def hosts(self) -> bool:
        """Whether it is for something that the host has to do, and not for what the guest does."""
        return self.reason in HOSTS or (self.reason == NO_MEMORY and self.info[1] < DEVICES)


@dataclass(frozen=True)
class Trace:
    exits: list[Exit]
    """In their order, those of all virtual CPUs together."""
    lost: int
    """How many events the buffer had no room for."""


def read(text: str) -> Trace:
    """A trace as the file `trace` has it; ValueError if it is none."""
    entries = _ENTRIES.search(text)
    if not entries:
        raise ValueError("a trace begins with the number of its entries")
    exits: list[Exit] = []
    last: dict[str, int] = {}
    for line in text.splitlines():
        if not (event := _LINE.search(line)):
            continue
        thread, kind, said = event.groups()
        if kind == "exit":
            if not (found := _EXIT.match(said)):
                raise ValueError(f"expected vcpu, reason, rip, info1, info2 of an exit, found {said}")
            cpu, reason, *words = found.groups()
            address, info1, info2 = (int(word, 16) for word in words)
            last[thread] = len(exits)
            exits.append(Exit(int(cpu), reason.lower(), address, (info1, info2)))
        elif kind == "cpuid" and (leaf := _CPUID.match(said)) and thread in last:
            exits[last[thread]] = replace(exits[last[thread]], leaf=int(leaf[1], 16))
    return Trace(exits, int(entries[2]) - int(entries[1]))


def by_reason(exits: Iterable[Exit]) -> Counter[str]:
    """How many a guest has caused, by reason."""
    return Counter(each.reason for each in exits if not each.hosts)


def _before_mark(exits: Sequence[Exit], mark: Exit) -> list[Exit]:
    """Without the write to DR0 that belongs to a mark, if that leaves the guest; it does so again if the host
    interrupts it."""
    found = list(exits)
    for place in range(len(found) - 1, -1, -1):
        if found[place].cpu == mark.cpu and not found[place].hosts:
            if found[place].reason != "write_dr0":
                break
            del found[place]
    return found


def between(exits: Sequence[Exit], leaf: int) -> Iterator[list[Exit]]:
    """What lies between a guest's first mark of that leaf and its second, the third and the fourth, and so
    on; ValueError if one has no second."""
    places = [place for place, each in enumerate(exits) if each.leaf == leaf]
    for start, end in zip(places[::2], places[1::2], strict=True):
        yield _before_mark(exits[start + 1 : end], exits[end])


def rounds(exits: Sequence[Exit], begin: int, round_: int) -> list[list[list[Exit]]]:
    """For each workload, a mark of leaf `begin`, what lies between one mark of leaf `round_` and the next."""
    found: list[list[list[Exit]]] = []
    started: int | None = None
    for place, each in enumerate(exits):
        if each.leaf == begin:
            found.append([])
            started = None
        elif each.leaf == round_ and found:
            if started is not None:
                found[-1].append(list(exits[started + 1 : place]))
            started = place
    return found
