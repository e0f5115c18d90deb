# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Exits per operation beside Linux's (bench/beside_linux.py): how they are counted from a trace. In the rig
they are held to their goals by test_kvm_boot.py."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from backends.kvm.bench.beside_linux import (
    DEVICE_GOALS,
    DEVICE_ROUNDS,
    GOALS,
    HYPERCALL,
    MARKS,
    WORKLOADS,
    beside,
    beside_devices,
    of_devices,
    of_interrupts,
    of_library,
    of_linux,
    rows,
)
from ci.beside_linux import DEVICES, OPERATIONS, WORKLOAD_MARK, throughput
from ci.exits import Exit
from ci.rig import Guest, Outcome
from ci.util import ARCHITECTURES, UserError


def mark(number: int) -> Exit:
    return Exit(0, "cpuid", leaf=number)


def of_guest(exits: Sequence[Exit] | None, console: str) -> Outcome:
    outcome = Outcome(Guest(Path("kernel"), "guest"), console, True, "", "", 0.0, "", Path("log"), {})
    outcome.exits = exits
    return outcome


MSR, HLT, IO, HOST = Exit(0, "msr"), Exit(1, "hlt"), Exit(0, "io"), Exit(0, "interrupt")
SENT = Exit(0, HYPERCALL)
SAID = {"system_call": 2, "page_fault": 4, "timer_tick": 2, "ipi_round_trip": 2}
"""Workloads of the sample kernel in these tests, and their rounds."""


def library(guest: Guest) -> Outcome:
    """What it does: no exit for a system call, one for a page fault, mostly one for a tick, and so on."""
    around = mark(WORKLOAD_MARK)
    if "one op=" in guest.append:
        clock = [around, HOST, around]
        tick = [around, *[MSR, HOST] * 60, *[MSR, HLT] * 40, around]
        ends = [around, SENT, SENT, HOST, MSR, SENT, around]
        return of_guest([*clock, *tick, *ends, around, *[IO] * 100, around], "")
    process, calls = [around, around], [around, HOST, around]
    faults = [around, MSR, MSR, MSR, MSR, around]
    ticks, sent = [around, *[MSR, HOST, HLT] * 3, MSR, around], [around, SENT, HLT, SENT, HLT, around]
    console = "".join(f"# bench {name} rounds={rounds} ticks=1\n" for name, rounds in SAID.items())
    return of_guest([IO, *process, *calls, *process, *faults, *ticks, *sent, IO], console)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_exits_of_the_library(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.kvm.bench.beside_linux.kernels", lambda *_: {"kvm": Path("kernel")})
    found = of_library(library, arch)
    assert found.totals == {
        "system_call": 0, "page_fault": 1, "masked_tick": 2, "timer_tick": 1, "ipi_round_trip": 2, "ipi": 1,
        "clock_read": 0, "end_of_interrupt": 0, "console_pages": 16,
    }  # fmt: skip
    words = found.in_words()
    assert words["masked_tick"] == "hlt 1, msr 1" and words["timer_tick"] == "msr 1"
    assert words["ipi_round_trip"] == f"hlt 1, {HYPERCALL} 1"


def test_interrupt_amid_which_the_host_has_its_own_is_left_out() -> None:
    assert of_interrupts([IO, SENT, MSR, SENT, HOST, MSR, SENT]) == [[SENT, MSR], [SENT]]


def test_trace_with_gaps_is_no_result() -> None:
    with pytest.raises(UserError, match="trace: "):
        of_linux(of_guest(None, ""))


def linux(lost: int | None = None) -> Outcome:
    """Each workload has two rounds, of one exit and of two, those of an IPI each CPU's."""
    exits: list[Exit] = [IO]
    for _ in WORKLOADS:
        exits += [mark(MARKS[0]), IO, mark(MARKS[1]), MSR, HOST, mark(MARKS[1]), MSR, HLT,
                  mark(MARKS[1]), IO]  # fmt: skip
    if lost is not None:
        del exits[lost]
    return of_guest(exits, "".join(f"# workload {name} rounds=2\n" for name in WORKLOADS))


def test_exits_of_linux() -> None:
    found, spread = of_linux(linux())
    assert spread["clock_read"] == (1, 1.5)
    assert spread["ipi"] == (1, 1), "the sender's alone"
    assert spread["end_of_interrupt"] is None
    assert found.in_words()["clock_read"] == "msr 1"
    assert found.in_words()["context_switch"] == "msr 0.5", "a round is two"


def test_round_that_needed_no_ipi_is_none() -> None:
    """On a busy host the other CPU may not rest yet as a round begins."""
    outcome = linux()
    exits = list(outcome.exits or ())
    begins = [at for at, each in enumerate(exits) if each == mark(MARKS[0])]
    sent = begins[WORKLOADS.index("ipi_round_trip")] + 3
    assert exits[sent : sent + 2] == [MSR, HOST]
    exits[sent] = HLT
    outcome.exits = exits
    found, spread = of_linux(outcome)
    assert spread["ipi"] == (1, 1) and spread["ipi_round_trip"] == (2, 2)
    assert found.in_words()["ipi_round_trip"] == "hlt 1, msr 1"
    exits[sent + 3] = HLT
    with pytest.raises(UserError, match="not idle in any round"):
        of_linux(outcome)


@pytest.mark.parametrize("lost", [1, 3, 6, 9])
def test_lost_mark_is_no_count(lost: int) -> None:
    with pytest.raises(UserError, match="KVM saw"):
        of_linux(linux(lost))


def test_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Goals and reasons stand beside the figures."""
    monkeypatch.setattr("backends.kvm.bench.beside_linux.kernels", lambda *_: {"kvm": Path("kernel")})
    monkeypatch.setattr("backends.kvm.bench.beside_linux.REASONS", {"ipi_round_trip": "as played"})
    ours = of_library(library, ARCHITECTURES[1])
    least, spread = of_linux(linux())
    text = beside(rows(ours, spread), ours, least, ARCHITECTURES[1], "6.1")
    assert f"exits per operation, {ARCHITECTURES[1]} beside Linux 6.1 (" in text[0]
    title = {each.name: each.title for each in OPERATIONS}
    cells = {re.split(r" {2,}", line)[0]: re.split(r" {2,}", line)[1:] for line in text[1:]}
    assert len({len(each) for each in cells.values()}) == 1, "as many cells as heads"
    assert cells[title["timer_tick"]] == ["1", "msr 1", "1", "msr 1", "1.5", "goal 2; no worse"]
    assert cells[title["masked_tick"]] == ["2", "hlt 1, msr 1", "-", "-", "-", "goal 2"]
    assert cells[title["ipi_round_trip"]][-1] == "WORSE: as played"
    assert cells[title["clock_read"]][-1] == "goal 0; no worse"
    assert cells[title["end_of_interrupt"]][-1] == "goal 0"
    assert set(GOALS) <= set(ours.totals)


def devices() -> Outcome:
    """Each round tells the device once, and the first one waits."""
    around = mark(WORKLOAD_MARK)
    exits = [around, HLT, *[IO] * DEVICE_ROUNDS, HOST, around] * len(DEVICES)
    said = (f"# bench {each.name} rounds={DEVICE_ROUNDS} least=0 all=640 rested=0 \n" for each in DEVICES)
    return of_guest(exits, "".join(said))


def test_exits_of_devices() -> None:
    """Per request and per packet, of which a round has several; Linux's are those of all rounds."""
    found = of_devices(devices())
    assert found.totals["disk_1"] == 1 + 1 / DEVICE_ROUNDS
    assert found.totals["disk_32"] == found.totals["disk_1"] / 32
    assert found.totals.keys() == DEVICE_GOALS.keys() == {each.name for each in DEVICES}
    least, spread = of_linux(linux())
    assert spread["disk_1"] == (1.5, 1.5)
    assert least.in_words()["disk_1"] == "hlt 0.5, msr 1"


def test_table_of_devices() -> None:
    ours, (least, spread) = of_devices(devices()), of_linux(linux())
    took = "# took disk_1 least=10 median=40 all=50\n"
    column = throughput(devices().console, took)
    lines = beside_devices(rows(ours, spread), ours, least, ("i386", "6.1"), column)
    assert "Linux, mean" in lines[1] and column[0] in lines[1]
    (line,) = (line for line in lines if line.startswith(DEVICES[0].title))
    assert re.split(r" {2,}", line)[6:] == ["2", "goal 2.5; no worse"], (
        "Linux takes 40 ticks, and the library 20"
    )
