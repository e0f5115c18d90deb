# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""KVM's trace of a guest's exits (ci/kvmtrace.py), as it is read."""

from __future__ import annotations

import pytest

from ci.exits import ANY_MARK, Exit, before_first, between, by_reason, of_kernel, rounds_of
from ci.kvmtrace import read

LEAF, BEGIN, ROUND = 0x57494D56, 0x57494D57, 0x57494D58


def line(said: str, cpu: int = 0) -> str:
    return f"       CPU {cpu}/KVM-31{cpu}     [000] d..1.    19.301627: {said}\n"


def left(reason: str, cpu: int = 0, info: tuple[int, int] = (0, 0)) -> str:
    return line(
        f"kvm_exit: vcpu {cpu} reason {reason} rip 0xffffffff80001234 info1 0x{info[0]:016x} "
        f"info2 0x{info[1]:016x} intr_info 0x00000000 error_code 0x00000000", cpu,
    )  # fmt: skip


def cpuid(leaf: int, cpu: int = 0) -> str:
    said = f"kvm_cpuid: func {leaf:x} idx 0 rax 0 rbx 0 rcx 0 rdx 0, cpuid entry not found"
    return left("cpuid", cpu) + line(said, cpu)


def mark(leaf: int = LEAF, cpu: int = 0) -> str:
    """As the sample kernel makes it."""
    return left("write_dr0", cpu) + cpuid(leaf, cpu)


def trace(*events: str, lost: int = 0) -> str:
    text = "".join(events)
    number = text.count("\n")
    return (
        f"# tracer: nop\n#\n# entries-in-buffer/entries-written: {number}/{number + lost}   #P:1\n#\n"
        "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION\n"
        f"#              | |         |   |||||     |         |\n{text}"
    )


def test_each_exit_has_its_reason_and_place() -> None:
    seen = read(trace(left("EXIT_MSR", 1, (1, 2)), cpuid(0x40000000), left("npf", 0, (4, 0xFEE000B0))))
    assert seen.lost == 0
    assert seen.exits == [
        Exit(1, "msr", 0xFFFFFFFF80001234, (1, 2)),
        Exit(0, "cpuid", 0xFFFFFFFF80001234, leaf=0x40000000),
        Exit(0, "npf", 0xFFFFFFFF80001234, (4, 0xFEE000B0)),
    ]


def test_leaf_is_of_the_same_thread() -> None:
    """Whatever another virtual CPU does between an exit and what KVM notes of it."""
    exit_, noted = cpuid(LEAF).splitlines(keepends=True)
    seen = read(trace(exit_, left("hlt", 1), noted)).exits
    assert [(each.reason, each.leaf) for each in seen] == [("cpuid", LEAF), ("hlt", None)]


def test_lost_events_are_told() -> None:
    assert read(trace(left("hlt"), lost=7)).lost == 7


def test_what_is_no_trace() -> None:
    with pytest.raises(ValueError, match="begins with"):
        read("cat: trace: No such file or directory\n")


def test_what_the_host_has_to_do_is_no_guests() -> None:
    """Its interrupts, and memory that it has yet to give. A device's page is the guest's, and so are CPUIDs
    that are no marks."""
    seen = read(
        trace(left("interrupt"), left("nmi"), left("npf", 0, (4, 0x123000)), left("npf", 0, (4, 0xFEE00300)),
              cpuid(1), left("vmmcall"), left("vmmcall"))
    ).exits  # fmt: skip
    assert by_reason(seen) == {"npf": 1, "cpuid": 1, "vmmcall": 2}


def test_between_marks() -> None:
    """What belongs to a mark is not counted, be it two exits or one, and only that."""
    seen = read(
        trace(left("io"), mark(), left("hlt"), left("write_dr0"), left("msr"), left("interrupt"),
              left("hlt", 1), mark(), left("io"), mark(), cpuid(2), cpuid(LEAF))
    ).exits  # fmt: skip
    first, second = (by_reason(each) for each in between(seen, LEAF))
    assert first == {"hlt": 2, "write_dr0": 1, "msr": 1}
    assert second == {"cpuid": 1}


def test_mark_of_one_cpu_amid_anothers_exits() -> None:
    write, *rest = mark().splitlines(keepends=True)
    seen = read(trace(mark(), write, left("hlt", 1), left("write_dr0", 1), *rest)).exits
    (found,) = between(seen, LEAF)
    assert [(each.cpu, each.reason) for each in found] == [(1, "hlt"), (1, "write_dr0")]


def test_mark_without_its_second_is_no_count() -> None:
    with pytest.raises(ValueError):
        list(between(read(trace(mark(), left("io"), mark(), mark())).exits, LEAF))


def test_rounds() -> None:
    """What comes before the first round of a workload and after its last one counts for none."""
    begin, end = cpuid(BEGIN), cpuid(ROUND)
    seen = read(
        trace(left("io"), end, begin, left("io"), end, left("msr"), end, end, left("msr"), left("hlt", 1),
              end, left("io"), begin, end, left("interrupt"), end, left("io"))
    ).exits  # fmt: skip
    one, other = rounds_of(seen, BEGIN, ROUND)
    assert [by_reason(each) for each in one] == [{"msr": 1}, {}, {"msr": 1, "hlt": 1}]
    assert [by_reason(each) for each in other] == [{}]


def test_marks_that_cannot_be_told_apart() -> None:
    """The last one is that of the guest's counts."""
    any_mark, exit_ = Exit(0, "cpuid", leaf=ANY_MARK), Exit(0, "hypercall")
    assert list(between([any_mark, exit_, any_mark, exit_, any_mark], LEAF)) == [[exit_]]
    assert before_first([exit_, exit_, any_mark], LEAF) == [exit_, exit_]
    with pytest.raises(ValueError, match="no mark"):
        before_first([exit_], LEAF)


def test_firmware_is_not_the_kernel() -> None:
    firmware, kernel = Exit(0, "io", 0xFD000), Exit(0, "io", 0xFFFFFFFF80001000)
    assert of_kernel([firmware, kernel, firmware]) == [kernel, firmware]
    assert of_kernel([Exit(0, "hypercall")]) == [Exit(0, "hypercall")]
