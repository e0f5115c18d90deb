# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls, and all else for which a guest leaves for Xen, as Xen's own trace buffers have them: a witness
for guests that enter Xen by SYSCALL or VMMCALL, which no emulator logs.

`xentrace` in dom0 writes what Xen notes of the chosen classes (xen/trace.h). A record is a word (event in
bits 0 to 27, how many words follow in 28 to 30, in bit 31 whether a time stamp comes before these), its time
stamp and its words; the records of a processor come in order, behind one that says which processor it is.

| event | words | from it |
|---|---|---|
| scheduler, RUNSTATE_CHANGE | domain << 16 or'ed with VCPU; new state: the event's bits 4, 5 | who runs |
| PV, HYPERCALL_V2 | number, and which arguments follow | a PV guest's hypercall |
| PV, HYPERCALL_SUBCALL | the same | that an entry of a multicall is carried out |
| PV, FORCED_INVALID_OP | address behind it | CPUID by the emulation prefix |
| PV, other entries | | an exception, or an instruction that Xen carries out |
| HVM, VMEXIT or SVM_EXIT | exit code, address | that the processor has left the guest, and why |
| HVM, VMMCALL | number | a hypercall of a guest with hardware virtualization |
| HVM, CPUID | leaf, … | the marks that a guest makes by CPUID |
| HVM, NPF | guest physical address (two words), … | where a nested page fault was |

What comes before the scheduler's first record of a processor is dom0's or Xen's own: tracing begins before
the guest's domain runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from .exits import ANY_MARK, Exit
from .witness import UNSEEN, Hypercall, Mark

SCHEDULER = 0x0002F000
PV = 0x0020F000
HVM = 0x0008F000
SUBCLASSES = 0x3000
"""Of the scheduler the changes of state; of PV entries and parts of multicalls; of HVM exits and handlers.
They are chosen for all classes alike."""

LOST_RECORDS = 0x0001F001
CPU_CHANGE = 0x0001F003
RUNSTATE_CHANGE = 0x00021001
RUNSTATE_STATES = 0x330
"""Where an event has its old and new state; running is 0 (xen/vcpu.h)."""
HYPERCALL_V2 = 0x0020100D
SUBCALL = 0x0020200E
FORCED_INVALID_OP = 0x00201005
VMMCALL = 0x00082012
CPUID = 0x0008200E
VMEXIT = 0x00081002
SVM_EXIT = 0x00081003
"""The same from Xen 4.20 on, of SVM, whose exit codes those of VMX are no more mixed with."""
NPF = 0x00082021
WIDE = 0x100
"""Or'ed into an event whose addresses are 64-bit (TRC_64_FLAG)."""

ENTRIES = {
    0x00201003: "exception",
    0x00201004: "page fault",
    0x00201006: "privileged instruction",
    0x00201007: "segment limit",
    0x00201008: "fpu",
    0x00201009: "page table walk",
    0x0020100A: "descriptor table",
    0x0020100B: "page table write",
    0x0020100C: "page table write",
}
"""Why a PV guest enters Xen (TRC_PV_*), beside hypercalls and CPUID. Interrupts are not noted."""
HYPERCALL, CPUID_EXIT = "hypercall", "cpuid"

REASONS = {
    **{number: f"read_cr{number}" for number in (0, 3, 4)},
    **{0x10 + number: f"write_cr{number}" for number in (0, 3, 4, 8)},
    **{0x20 + number: f"read_dr{number}" for number in range(8)},
    **{0x30 + number: f"write_dr{number}" for number in range(8)},
    **{0x40 + number: f"exception {number}" for number in range(32)},
    0x60: "interrupt", 0x61: "nmi", 0x64: "vintr", 0x6E: "rdtsc", 0x72: CPUID_EXIT, 0x74: "iret", 0x78: "hlt",
    0x79: "invlpg", 0x7B: "io", 0x7C: "msr", 0x7F: "shutdown", 0x81: HYPERCALL, 0x87: "rdtscp",
    0x89: "wbinvd", 0x8D: "xsetbv", 0x400: "npf",
}  # fmt: skip
"""Exit codes of SVM (AMD APM vol. 2, appendix C) in KVM's words; the others are told by their number."""

# xen/xen.h, __HYPERVISOR_*
SET_TRAP_TABLE = 0
MMU_UPDATE = 1
SET_DEBUGREG = 8
MULTICALL = 13
MMUEXT_OP = 26
MMU_UPDATE_PREEMPTED = 1 << 31

NUMBER = 0xFFFFF
"""Of a PV hypercall's first word. Two bits for each argument lie above: how many words it has."""


def mask(*classes: int) -> int:
    """xentrace's -e for these classes and the scheduler."""
    value = SCHEDULER
    for each in classes:
        value |= each
    return value & ~0xF000 | SUBCLASSES


class Record(NamedTuple):
    """One record of a processor."""

    event: int
    processor: int
    time: int
    """The time stamp; the last one before it where the record has none."""
    words: tuple[int, ...]


def records(data: bytes) -> Iterator[Record]:
    """The records of a trace, processor by processor as xentrace has written them. A last one that is cut off
    is left out."""
    at, processor = 0, 0
    times: dict[int, int] = {}
    while at + 4 <= len(data):
        (head,) = struct.unpack_from("<I", data, at)
        stamped, count = head >> 31, head >> 28 & 7
        end = at + 4 + 8 * stamped + 4 * count
        if end > len(data):
            return
        if stamped:
            (times[processor],) = struct.unpack_from("<Q", data, at + 4)
        words = struct.unpack_from(f"<{count}I", data, end - 4 * count)
        at = end
        event = head & 0x0FFFFFFF
        if event == CPU_CHANGE:
            processor = words[0]
        yield Record(event, processor, times.get(processor, 0), words)


def _arguments(words: tuple[int, ...]) -> tuple[int, ...]:
    """A hypercall's arguments as far as Xen notes them."""
    found = []
    at = 1
    for number in range(6):
        size = words[0] >> 20 + 2 * number & 3
        value = sum(word << 32 * half for half, word in enumerate(words[at : at + size]))
        found.append(value if size else UNSEEN)
        at += size
    return tuple(found)


@dataclass
class _Vcpu:
    """What a VCPU is in the middle of."""

    seen: list[tuple[int, Hypercall | Mark]] = field(default_factory=list)
    last: Hypercall | None = None
    """The hypercall before, if nothing but parts of it came since."""
    parts: int = 0
    """Of a multicall, so many entries have been begun."""
    left: list[tuple[int, Exit]] = field(default_factory=list)
    """What it has left the guest for."""

    def exit(self, time: int, made: Exit) -> None:
        self.left.append((time, made))

    def tell(self, **more: Any) -> None:
        """What Xen says more of the last exit."""
        if self.left:
            time, made = self.left[-1]
            self.left[-1] = time, replace(made, **more)

    def hypercall(self, time: int, made: Hypercall, cpu: int) -> None:
        """Unless Xen goes on with one that it has broken off. With set_trap_table nothing tells; with
        mmu_update and mmuext_op it says so;
        a multicall is begun again with the entries that are left. No library makes a multicall of one
        entry, so one of one entry is the last entry of the one before, begun once already."""
        before, begun = self.last, self.parts
        self.last, self.parts = made, 0
        if made.number in (MMU_UPDATE, MMUEXT_OP) and made.arguments[1] & MMU_UPDATE_PREEMPTED:
            return
        if made.number == MULTICALL and before and before.number == MULTICALL:
            whole, left = before.arguments[1], made.arguments[1]
            if begun < whole or (begun == whole and left == 1):
                return
        if made.number == SET_TRAP_TABLE and before and before.number == SET_TRAP_TABLE:
            made = replace(made, may_repeat=True)
        self.seen.append((time, made))
        self.exit(time, Exit(cpu, HYPERCALL, number=made.number))


@dataclass
class Trace:
    """What a trace tells."""

    domains: dict[int, list[Hypercall | Mark]]
    """Each domain's hypercalls and marks in their order, its VCPUs' together."""
    lost: int
    """How many records Xen had no room for."""
    records: int
    exits: dict[int, list[Exit]]
    """Each domain's in their order, its VCPUs' together."""


def _wide(words: tuple[int, ...]) -> int:
    """An address of one word or of two."""
    return sum(word << 32 * half for half, word in enumerate(words[:2]))


def _in_order(found: dict[int, list[tuple[int, Any]]]) -> dict[int, list[Any]]:
    return {
        domain: [each for _, each in sorted(seen, key=lambda pair: pair[0])] for domain, seen in found.items()
    }


def read(data: bytes) -> Trace:
    vcpus: dict[tuple[int, int], _Vcpu] = {}
    running: dict[int, tuple[int, int]] = {}
    lost = count = 0
    for event, processor, time, words in records(data):
        count += 1
        if event == LOST_RECORDS:
            lost += words[0]
        if event & ~RUNSTATE_STATES == RUNSTATE_CHANGE and not event & 0x30:
            running[processor] = (words[0] >> 16, words[0] & 0xFFFF)
        if processor not in running:
            continue
        number = running[processor]
        vcpu = vcpus.setdefault(number, _Vcpu())
        name = f"d{number[0]}v{number[1]}"
        if event & ~WIDE in (VMEXIT, SVM_EXIT):
            reason = REASONS.get(words[0], f"exit {words[0]:#x}")
            vcpu.exit(time, Exit(number[1], reason, _wide(words[1:])))
        elif event == NPF:
            vcpu.tell(info=(0, _wide(words)))
        elif event == VMMCALL:
            # One that Xen goes on with could not be told; the libraries make none that is long.
            vcpu.seen.append((time, Hypercall(words[0], (UNSEEN,) * 6, processor=name)))
            vcpu.tell(number=words[0])
        elif event == CPUID:
            vcpu.seen.append((time, Mark(words[0])))
            vcpu.tell(leaf=words[0])
        elif event & ~WIDE == HYPERCALL_V2:
            made = Hypercall(words[0] & NUMBER, _arguments(words), processor=name)
            vcpu.hypercall(time, made, number[1])
        elif event & ~WIDE == SUBCALL:
            vcpu.parts += 1
        elif event & ~WIDE == FORCED_INVALID_OP and vcpu.last and vcpu.last.number == SET_DEBUGREG:
            # SetDR(0, mark) and the CPUID behind it, which are one exit; what was set is not noted.
            vcpu.seen[-1] = (time, Mark(None, vcpu.last))
            vcpu.left[-1] = (time, Exit(number[1], CPUID_EXIT, leaf=ANY_MARK))
            vcpu.last = None
        elif event & ~WIDE == FORCED_INVALID_OP:
            # CPUID alone: whoever makes marks so tells them by their places.
            vcpu.seen.append((time, Mark(_wide(words))))
            vcpu.exit(time, Exit(number[1], CPUID_EXIT))
        elif event & ~WIDE in ENTRIES:
            vcpu.exit(time, Exit(number[1], ENTRIES[event & ~WIDE]))
    domains: dict[int, list[tuple[int, Any]]] = {}
    exits: dict[int, list[tuple[int, Any]]] = {}
    for (domain, _), vcpu in sorted(vcpus.items()):
        domains.setdefault(domain, []).extend(vcpu.seen)
        exits.setdefault(domain, []).extend(vcpu.left)
    return Trace(_in_order(domains), lost, count, _in_order(exits))
