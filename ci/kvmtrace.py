# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits of a guest, one by one, as KVM's own trace points have them (Linux, Documentation/trace/events.rst
and arch/x86/kvm/trace.h).

| event | from it |
|---|---|
| kvm_exit | virtual CPU, reason, the guest's instruction, what the processor tells beside the reason |
| kvm_cpuid | leaf, of the CPUID that the same thread has just left the guest for |

Whoever asks for a trace compares its length with KVM's own counter of the guest's exits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .exits import Exit

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
