# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls per operation beside Linux's (bench/beside_linux.py): how they are counted, and that the library
makes no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.xen.bench import beside_linux
from backends.xen.bench.beside_linux import WORKLOADS, beside, of_linux, rows
from ci.rig import Disk, Guest, LinuxRig, Outcome
from ci.util import ARCHITECTURES, UserError, progress
from ci.witness import Hypercall, Mark
from tests.guests import Rigs, places

PV = [place for place in places(beside_linux.ARCH) if place.backend == "xen"]
PLACES = {"begin": 0x401000, "round": 0x401010}


def call() -> Hypercall:
    return Hypercall(23, ())


def of_guest(seen: list[Hypercall | Mark], console: str) -> Outcome:
    guest = Guest(Path("vmlinuz"), "linux")
    outcome = Outcome(guest, console, True, "", "", 0.0, "", Path("log"), {})
    outcome.witness = seen
    return outcome


def test_rounds_of_linux() -> None:
    """What Linux makes before the first round of a workload and after its last one counts for none; what
    another one marks says nothing."""
    seen: list[Hypercall | Mark]
    begin, mark, other = Mark(PLACES["begin"]), Mark(PLACES["round"]), Mark(0xFFFFFFFF81000000)
    seen = [call(), begin, call(), mark, call(), mark, mark, call(), other, call(), mark, call(),
            begin, mark, call(), call(), call(), mark, call()]  # fmt: skip
    console = "# workload one rounds=3\n# workload two rounds=1\n"
    assert of_linux(of_guest(seen, console), PLACES) == {"one": [1, 0, 2], "two": [3]}


@pytest.mark.parametrize("lost", [1, 5, 11])
def test_lost_mark_is_no_count(lost: int) -> None:
    seen: list[Hypercall | Mark]
    begin, mark = Mark(PLACES["begin"]), Mark(PLACES["round"])
    seen = [call(), begin, call(), mark, call(), mark, mark, call(), mark, call(), call(), begin, mark]
    del seen[lost]
    console = "# workload one rounds=3\n# workload two rounds=0\n"
    with pytest.raises(UserError, match="the witness saw"):
        of_linux(of_guest(seen, console), PLACES)


def test_table() -> None:
    """A round's own system calls are taken off, and it is told which row is worse than Linux's least."""
    linux = {name: [9, 8] for name in WORKLOADS} | {"system_call": [2, 1, 3]}
    library = {name: 3.0 for name in WORKLOADS} | {"system_call": 1.0}
    made = {row.operation.name: row for row in rows(library, linux)}
    assert (made["system_call"].linux, made["system_call"].usual) == (1, 2)
    assert (made["context_switch"].linux, made["context_switch"].usual) == (3, 3.25)
    assert [row.worse for row in made.values()] == [False] * len(WORKLOADS)
    worse = rows({**library, "context_switch": 3.5}, linux)
    assert [row.operation.name for row in worse if row.worse] == ["context_switch"]
    lines = beside(worse, "Linux")
    assert len(lines) == len(WORKLOADS) + 2
    (marked,) = (line for line in lines if "WORSE" in line)
    assert marked.startswith(made["context_switch"].operation.title)


@pytest.mark.skipif(not PV, reason="left out, as asked")
def test_no_operation_takes_more_than_linux_does(rigs: Rigs, tmp_path: Path) -> None:
    place = PV[0]
    rigs.prepare(place)
    if not place.rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    assert isinstance(place.rig, LinuxRig)
    image, marks = beside_linux.build(tmp_path, progress)
    library = beside_linux.of_library(rigs.once(place, beside_linux.library_guest(), False))
    linux = of_linux(rigs.once(place, beside_linux.linux_guest(place.rig, image), False), marks)
    found = rows(library, linux)
    print("\n".join(beside(found, "Linux")))
    assert not [row for row in found if row.worse]
    assert library["map_unmap_1024"] <= 8


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_requests_and_packets_keep_to_their_goals(rigs: Rigs, tmp_path: Path, arch: str) -> None:
    here = [place for place in places(arch) if place.backend == "xen"]
    if not here:
        pytest.skip("left out, as asked")
    rigs.prepare(here[0])
    if not here[0].rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    outcome = rigs.once(here[0], beside_linux.devices_guest(arch, Disk(tmp_path / "disk")), False)
    found = beside_linux.of_devices(outcome)
    print(found)
    for name, goal in beside_linux.DEVICE_GOALS.items():
        assert found[name] <= goal, name
