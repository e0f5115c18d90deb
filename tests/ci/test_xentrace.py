# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The witness: Xen's own trace."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from ci import xentrace
from ci.exits import ANY_MARK, Exit, between, by_reason
from ci.witness import UNSEEN, Hypercall, Mark, before_mark, between_marks, differences, hypercalls
from ci.xentrace import (
    CPU_CHANGE,
    CPUID,
    ENTRIES,
    FORCED_INVALID_OP,
    HVM,
    HYPERCALL_V2,
    LOST_RECORDS,
    NPF,
    PV,
    RUNSTATE_CHANGE,
    SUBCALL,
    SVM_EXIT,
    VMEXIT,
    VMMCALL,
    WIDE,
    mask,
    read,
    records,
)  # fmt: skip

RUNNABLE_TO_RUNNING, RUNNING_TO_BLOCKED = RUNSTATE_CHANGE | 0x100, RUNSTATE_CHANGE | 0x020


def record(event: int, *words: int, time: int | None = None) -> bytes:
    head = event | len(words) << 28 | (time is not None) << 31
    stamp = b"" if time is None else struct.pack("<Q", time)
    return struct.pack("<I", head) + stamp + struct.pack(f"<{len(words)}I", *words)


def processor(number: int) -> bytes:
    return record(CPU_CHANGE, number, 0)


def runs(domain: int, vcpu: int, time: int = 1) -> bytes:
    return record(RUNNABLE_TO_RUNNING, domain << 16 | vcpu, time=time)


def update(count: int) -> bytes:
    """mmu_update: of its arguments Xen notes the second."""
    return record(HYPERCALL_V2, 1 | 1 << 22, count)


def multicall(count: int, begun: int) -> bytes:
    return record(HYPERCALL_V2, 13 | 1 << 22, count) + record(SUBCALL | WIDE, 14) * begun


def of(domain: int, trace: bytes) -> list[Hypercall | Mark]:
    return read(trace).domains[domain]


def numbers(seen: list[Hypercall | Mark]) -> list[int]:
    return [each.number for each in hypercalls(seen)]


def test_masks() -> None:
    """As ci/xl-init.sh gives them to xentrace; the scheduler's changes of state are in both."""
    assert mask(HVM) == 0x000A3000
    assert mask(PV) == 0x00223000
    for event in (RUNSTATE_CHANGE, VMMCALL, CPUID):
        assert event & 0xFFFF0000 & mask(HVM) and event & 0xF000 & mask(HVM)
    for event in (RUNSTATE_CHANGE, HYPERCALL_V2, SUBCALL, FORCED_INVALID_OP):
        assert event & 0xFFFF0000 & mask(PV) and event & 0xF000 & mask(PV)


def test_records() -> None:
    data = processor(3) + record(VMMCALL, 29, time=7 << 32) + record(VMMCALL, 32)
    found = list(records(data))
    assert found[1:] == [(VMMCALL, 3, 7 << 32, (29,)), (VMMCALL, 3, 7 << 32, (32,))]
    # The last one is cut off in its words, its time stamp, its head.
    for cut in range(1, 8):
        assert list(records(data[:-cut])) == found[:-1]
    assert list(records(b"")) == []


def test_domains_are_told_apart() -> None:
    """By who runs on the processor: dom0, the guest on either VCPU, nobody known yet."""
    trace = (
        processor(0) + record(VMMCALL, 99) + runs(0, 0) + record(HYPERCALL_V2, 24) + runs(5, 0)
        + record(VMMCALL, 29) + record(RUNNING_TO_BLOCKED, 5 << 16, time=2) + runs(5, 1, 2)
        + record(VMMCALL, 32) + runs(6, 0, 3) + record(VMMCALL, 12)
    )  # fmt: skip
    found = read(trace)
    assert numbers(found.domains[0]) == [24]
    assert numbers(found.domains[5]) == [29, 32]
    assert numbers(found.domains[6]) == [12]
    assert [each.processor for each in hypercalls(found.domains[5])] == ["d5v0", "d5v1"]
    assert found.records == 11 and found.lost == 0


def test_processors_have_domains_of_their_own_and_one_order() -> None:
    trace = (
        processor(0) + runs(5, 0, 10) + record(VMMCALL, 1) + record(RUNNING_TO_BLOCKED, 9, time=30)
        + record(VMMCALL, 3) + processor(1) + runs(5, 1, 20) + record(VMMCALL, 2) + processor(0)
        + record(VMMCALL, 4, time=40)
    )  # fmt: skip
    assert numbers(of(5, trace)) == [1, 2, 3, 4]


def test_what_is_lost_is_told() -> None:
    lost = record(LOST_RECORDS, 12, 5 << 16, 0, 0) + record(LOST_RECORDS, 3, 0, 0, 0)
    trace = processor(0) + runs(5, 0) + lost
    assert read(trace).lost == 15


def test_arguments_that_xen_notes() -> None:
    trace = processor(0) + runs(5, 0) + record(HYPERCALL_V2 | WIDE, 20 | 1 << 20 | 2 << 24, 6, 0x11, 0x22)
    (made,) = hypercalls(of(5, trace))
    assert made == Hypercall(20, (6, UNSEEN, 0x2200000011, UNSEEN, UNSEEN, UNSEEN), processor="d5v0")


def test_repetitions_by_xen_are_left_out() -> None:
    begin = processor(0) + runs(5, 0)
    assert numbers(of(5, begin + update(64) + update(32 | 1 << 31) + update(7))) == [1, 1]
    # Broken off before its fifth entry, within it, within its last.
    assert numbers(of(5, begin + multicall(10, 4) + multicall(6, 6))) == [13]
    assert numbers(of(5, begin + multicall(10, 5) + multicall(6, 6))) == [13]
    assert numbers(of(5, begin + multicall(10, 10) + multicall(1, 1))) == [13]
    # Twice; another VCPU's meanwhile.
    assert numbers(of(5, begin + multicall(10, 4) + multicall(6, 2) + multicall(4, 4))) == [13]
    meanwhile = runs(5, 1) + multicall(3, 3) + runs(5, 0)
    assert numbers(of(5, begin + multicall(10, 4) + meanwhile + multicall(6, 6))) == [13, 13]
    # All the guest's own: whole ones.
    assert numbers(of(5, begin + multicall(10, 10) + multicall(6, 6))) == [13, 13]
    assert numbers(of(5, begin + multicall(2, 2) + update(1) + multicall(2, 2))) == [13, 1, 13]


def test_repetitions_that_nothing_tells() -> None:
    """set_trap_table directly behind itself may be one or two."""
    tables = record(HYPERCALL_V2, 0)
    seen = hypercalls(of(5, processor(0) + runs(5, 0) + tables + tables + update(1) + tables))
    assert [each.may_repeat for each in seen] == [False, True, False, False]
    assert differences(seen, {0: 3, 1: 1}) == differences(seen, {0: 2, 1: 1}) == {}
    assert differences(seen, {0: 4, 1: 1}) == {0: "counted 4, seen 3"}
    assert differences(seen, {0: 1, 1: 1}) == {0: "counted 1, seen 3"}
    assert differences(seen, {0: 3, 7: 2}) == {1: "counted 0, seen 1", 7: "counted 2, seen 0"}


def test_marks_by_cpuid() -> None:
    trace = (
        processor(0) + runs(5, 0) + record(CPUID, 0, 0, 13, 1, 2, 3) + record(CPUID, 77, 0, 0, 0, 0, 0)
        + record(VMMCALL, 29) + record(CPUID, 77, 0, 0, 0, 0, 0) + record(VMMCALL, 32)
        + record(CPUID, 78, 0, 0, 0, 0, 0) + record(VMMCALL, 29)
    )  # fmt: skip
    seen = of(5, trace)
    assert [each.number for each in before_mark(seen, 78)] == [29, 32]
    assert between_marks(seen, 77) == [1]
    assert before_mark(seen, 79) == []


def test_marks_by_set_debugreg() -> None:
    """What it sets is not noted: a mark is one that CPUID comes behind, and the last is that of all counts.
    Each counts as a hypercall but the last."""
    mark_of = record(HYPERCALL_V2, 8) + record(FORCED_INVALID_OP | WIDE, 0x1000, 0)
    other = record(HYPERCALL_V2, 29)
    trace = (
        processor(0) + runs(5, 0) + record(FORCED_INVALID_OP | WIDE, 0x1000, 0) + record(HYPERCALL_V2, 8)
        + other + mark_of + other + other + mark_of + other + mark_of + mark_of + mark_of + other
    )  # fmt: skip
    seen = of(5, trace)
    assert between_marks(seen, 77) == [2, 0]
    assert [each.number for each in before_mark(seen, 78)] == [8, 29, 8, 29, 29, 8, 29, 8, 8]


def test_exits_of_a_guest_that_the_processor_virtualizes() -> None:
    """With what Xen says of them behind; what is the host's own business is no guest's."""
    trace = (
        processor(0) + runs(5, 1) + record(VMEXIT | WIDE, 0x7B, 0x80001000, 0xFFFFFFFF)
        + record(VMEXIT, 0x400, 0x1000) + record(NPF, 0xFEE00300, 0, 1, 2, 3, 4)
        + record(VMEXIT, 0x400, 0x1000) + record(NPF, 0x3000, 0, 1, 2, 3, 4) + record(VMEXIT, 0x60, 0x1000)
        + record(VMEXIT, 0x72, 0x1002) + record(CPUID, 77, 0, 0, 0, 0, 0) + record(VMEXIT, 0x99, 0x1000)
        + record(SVM_EXIT | WIDE, 0x81, 0x1000, 0) + record(VMMCALL, 29)
    )  # fmt: skip
    found = read(trace).exits[5]
    assert found[:2] == [Exit(1, "io", 0xFFFFFFFF80001000), Exit(1, "npf", 0x1000, (0, 0xFEE00300))]
    assert by_reason(found) == {"io": 1, "npf": 1, "cpuid": 1, "exit 0x99": 1, "hypercall": 1}
    assert [each.leaf for each in found if each.reason == "cpuid"] == [77]
    assert [each.number for each in found if each.reason == "hypercall"] == [29]


def test_exits_of_a_guest_without_the_processors_help() -> None:
    """A mark's hypercall is part of the mark, and hypercalls that Xen goes on with are one."""
    mark_of = record(HYPERCALL_V2, 8) + record(FORCED_INVALID_OP | WIDE, 0x1000, 0)
    fault, write = list(ENTRIES)[1] | WIDE, list(ENTRIES)[7]
    trace = (
        processor(0) + runs(5, 0) + record(FORCED_INVALID_OP | WIDE, 0x1000, 0) + mark_of
        + record(HYPERCALL_V2, 29) + record(fault, 0, 0, 0, 0, 0) + record(write, 0, 0)
        + update(5) + update(1 << 31 | 3) + mark_of + mark_of
    )  # fmt: skip
    found = read(trace).exits[5]
    assert [each.leaf for each in found if each.reason == "cpuid"] == [None, *[ANY_MARK] * 3]
    (measured,) = between(found, 77)
    assert [each.number for each in measured] == [29, None, None, 1]
    assert by_reason(measured) == {"hypercall": 2, ENTRIES[fault & ~WIDE]: 1, ENTRIES[write]: 1}


ENTRY_NAMES = [
    f"TRC_PV_{name}"
    for name in ("TRAP", "PAGE_FAULT", "EMULATE_PRIVOP", "EMULATE_4GB",
                 "MATH_STATE_RESTORE", "PAGING_FIXUP", "GDT_LDT_MAPPING_FAULT", "PTWR_EMULATION",
                 "PTWR_EMULATION_PAE")
]  # fmt: skip
NAMES = {
    "TRC_SCHED": xentrace.SCHEDULER,
    "TRC_PV": xentrace.PV,
    "TRC_HVM": xentrace.HVM,
    "TRC_LOST_RECORDS": xentrace.LOST_RECORDS,
    "TRC_TRACE_CPU_CHANGE": xentrace.CPU_CHANGE,
    "TRC_SCHED_RUNSTATE_CHANGE": xentrace.RUNSTATE_CHANGE,
    "TRC_PV_HYPERCALL_V2": xentrace.HYPERCALL_V2,
    "TRC_PV_HYPERCALL_SUBCALL": xentrace.SUBCALL,
    "TRC_PV_FORCED_INVALID_OP": xentrace.FORCED_INVALID_OP,
    **dict(zip(ENTRY_NAMES, ENTRIES, strict=True)),
    "TRC_HVM_VMMCALL": xentrace.VMMCALL,
    "TRC_HVM_CPUID": xentrace.CPUID,
    "TRC_HVM_NPF": xentrace.NPF,
    "TRC_64_FLAG": xentrace.WIDE,
    "(uint32_t)~TRC_PV_HYPERCALL_V2_ARG_MASK": xentrace.NUMBER,
    "__HYPERVISOR_set_trap_table": xentrace.SET_TRAP_TABLE,
    "__HYPERVISOR_mmu_update": xentrace.MMU_UPDATE,
    "__HYPERVISOR_set_debugreg": xentrace.SET_DEBUGREG,
    "__HYPERVISOR_multicall": xentrace.MULTICALL,
    "__HYPERVISOR_mmuext_op": xentrace.MMUEXT_OP,
}


EXIT = f"""
#ifdef TRC_HVM_SVM_EXIT
_Static_assert(TRC_HVM_SVM_EXIT == {xentrace.SVM_EXIT:#x}u, "from 4.20 on");
#else
_Static_assert(TRC_HVM_VMEXIT == {xentrace.VMEXIT:#x}u, "before");
#endif
"""


def test_numbers_are_those_of_the_headers(tmp_path: Path) -> None:
    source = tmp_path / "numbers.c"
    lines = [f'_Static_assert({name} == {value:#x}u, "{name}");' for name, value in NAMES.items()]
    lines.append(EXIT)
    lines.insert(0, "#include <stdint.h>\n#include <xen/xen.h>\n#include <xen/trace.h>")
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(["gcc", "-fsyntax-only", str(source)], check=True)
