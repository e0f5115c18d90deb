# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Accesses to devices' registers by QEMU's trace (ci/accesses.py), and what is made of them beside Linux's,
and that the library keeps to its goals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from ci.accesses import Access, between, by_region, read, rounds
from ci.beside_linux import DEVICES
from ci.rig import Guest, Outcome
from ci.util import ARCHITECTURES, UserError
from tests.device_costs import measured
from tests.guests import Rigs

NOTIFY = "virtio-pci-notify-virtio-blk"
NAMES = [each.name for each in DEVICES]


def line(region: str, value: int, way: str = "write") -> str:
    return (
        f"memory_region_ops_{way} cpu 0 mr 0x55d0 addr 0xfe003000 value {value:#x} size 2 name '{region}'\n"
    )


def mark(value: int = 0) -> str:
    return line("ioport80", value)


def test_trace_is_read(tmp_path: Path) -> None:
    """With what else QEMU says in between."""
    file = tmp_path / "trace"
    file.write_text("qemu: a word\n" + line(NOTIFY, 1) + line("msix-table", 0xFEE0, "read") + mark(0x51))
    found = read(file)
    assert found == [
        Access(True, NOTIFY, 1), Access(False, "msix-table", 0xFEE0), Access(True, "ioport80", 0x51),
    ]  # fmt: skip
    assert by_region(found) == {f"write {NOTIFY}": 1, "read msix-table": 1}
    assert [each.mark for each in found] == [None, None, 0x51]


def test_last_marks_are_the_kernels(tmp_path: Path) -> None:
    """Firmware writes to that port, too."""
    file = tmp_path / "trace"
    file.write_text(mark() + line(NOTIFY, 1) + mark() + line(NOTIFY, 2) * 3 + mark() + line(NOTIFY, 3))
    assert [len(each) for each in between(read(file), 1)] == [3]
    with pytest.raises(ValueError, match="expected 4 marks, found 3"):
        between(read(file), 2)


def test_rounds_of_linux() -> None:
    begin, mark_, write = Access(True, "ioport80", 1), Access(True, "ioport80", 2), Access(True, NOTIFY, 0)
    seen = [mark_, begin, write, mark_, write, write, mark_, mark_, begin, mark_, write, mark_, write]
    assert [[len(each) for each in made] for made in rounds(seen, 1, 2)] == [[2, 0], [1]]


def outcome(console: str) -> Outcome:
    return Outcome(Guest(Path("kernel"), "guest"), console, True, "", "", 0.0, "", Path("log"), {})


def library(tmp_path: Path) -> beside_linux.Figures:
    """64 times as many accesses of `send` as rounds, and one for each round of all else."""
    rounds_, trace = beside_linux.DEVICE_ROUNDS, tmp_path / "library"
    trace.write_text("".join(mark() + line(NOTIFY, 0) * rounds_ + mark() for _ in NAMES))
    said = (
        f"# bench {name} rounds={rounds_} cpus=1 least=0 all=6400 rested=3200 hypercalls=0\n"
        for name in NAMES
    )
    return beside_linux.of_devices(outcome("".join(said)), trace)


def linux(tmp_path: Path, lost: str = "") -> beside_linux.Figures:
    """Two rounds of each, with one access and with two."""
    begin, round_ = map(mark, beside_linux.MARKS)
    trace = tmp_path / "linux"
    every = begin + round_ + line(NOTIFY, 0) + round_ + line(NOTIFY, 0) * 2 + round_
    trace.write_text((every * len(NAMES)).replace(lost, "", 1))
    said = (
        f"# workload {name} rounds=2\n"
        + (f"# gave {name} ticks=200\n" if "send" in name else f"# rested {name} nanoseconds=100\n")
        + f"# took {name} least=100 median=200 all=300\n"
        for name in NAMES
    )
    return beside_linux.of_linux_devices(outcome("".join(said)), trace)


def test_figures(tmp_path: Path) -> None:
    found = library(tmp_path)
    assert found.instructions["disk_1"] == 100 and found.instructions["disk_32"] == 100 / 32
    assert found.accesses["disk_1"][0] == 1 and found.accesses["echo_64"][0] == 1 / 64
    assert found.words["disk_1"] == f"write {NOTIFY} 1"
    beside = linux(tmp_path)
    assert beside.instructions["disk_1"] == 100 and beside.instructions["send_64"] == 100 / 64
    assert beside.accesses["disk_1"] == (1.5, 1.5)


def test_table(tmp_path: Path) -> None:
    """Worse is worse in either."""
    ours, theirs = library(tmp_path), linux(tmp_path)
    theirs.instructions["disk_1"] = 99
    instructions, made = rows = beside_linux.device_rows(ours, theirs, {})
    assert [row.operation.name for row in instructions if row.worse] == ["disk_1"]
    assert not [row for row in made if row.worse]
    lines = beside_linux.beside_devices(rows, ours, theirs, beside_linux.VIRTIO, "i386", "6.1")
    assert len(lines) == len(NAMES) + 2
    assert f"write {NOTIFY} 1.5" in lines[2] and "100, Linux's 99" in lines[2]


def test_list_of_linuxs_costs_is_held_against_what_is_measured(tmp_path: Path) -> None:
    """But for what is another number each time."""
    theirs = linux(tmp_path)
    costs = beside_linux.linux_costs(beside_linux.VIRTIO)
    theirs.accesses = {name: (each, each) for name, each in costs.items()}
    theirs.accesses["send_64"] = (1, 1)
    assert beside_linux.drifted(beside_linux.VIRTIO, theirs) == []
    theirs.accesses["send_1"] = (costs["send_1"] / 2, 0)
    assert beside_linux.drifted(beside_linux.VIRTIO, theirs) == [
        "linux_costs.yaml: virtio, send_1: 1 accesses, and 0.5 now"
    ]


def test_more_than_linux_is_worse(tmp_path: Path) -> None:
    """But for a little, where there is a reason."""
    ours, costs = library(tmp_path), beside_linux.linux_costs(beside_linux.VIRTIO)
    ours.accesses = {name: (each, each) for name, each in costs.items()}
    assert beside_linux.worse(beside_linux.VIRTIO, ours) == []
    ours.accesses["disk_32"] = (costs["disk_32"] + 1, 0)
    assert beside_linux.worse(beside_linux.VIRTIO, ours) == ["disk_32: 1.031 accesses, Linux 0.03125"]
    reasoned = replace(beside_linux.VIRTIO, reasons={"disk_32": "it is slow"})
    assert beside_linux.worse(reasoned, ours) == ["disk_32: 1.031 accesses, Linux 0.03125"]
    ours.accesses["disk_32"] = (1.2 * costs["disk_32"], 0)
    assert beside_linux.worse(reasoned, ours) == []


def test_lost_mark_is_no_count(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="QEMU saw"):
        linux(tmp_path, mark(beside_linux.MARKS[1]))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_requests_and_packets_keep_to_their_goals(rigs: Rigs, tmp_path: Path, arch: str) -> None:
    """Goals that are no more than Linux takes (docs/benchmarks.md)."""
    found = measured(rigs, tmp_path, beside_linux.VIRTIO, arch)
    for name, goal in beside_linux.DEVICE_GOALS.items():
        assert found.accesses[name][0] <= goal, name
        assert found.instructions[name] <= beside_linux.INSTRUCTION_GOALS[name], name
    assert beside_linux.worse(beside_linux.VIRTIO, found) == []


@pytest.mark.parametrize("pair", beside_linux.PAIRS[1:], ids=lambda pair: pair.word)
def test_no_more_accesses_than_linux(rigs: Rigs, tmp_path: Path, pair: beside_linux.Pair) -> None:
    """With the devices of a plain PC. On the other architecture `./vmi bench` compares them: a driver makes
    the same ones there."""
    assert beside_linux.worse(pair, measured(rigs, tmp_path, pair, ARCHITECTURES[1])) == []
