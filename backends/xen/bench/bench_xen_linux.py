# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls per operation beside Linux's (beside_linux.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.xen.bench import beside_linux
from ci.beside_linux import blank_disk, throughput
from ci.rig import Disk, LinuxRig, Outcome, Session, discover
from ci.util import ARCHITECTURES, RESULTS, progress


@dataclass
class Bench:
    """An open session, and what Linux is started with in it."""

    rig: LinuxRig
    session: Session
    image: Path
    marks: dict[str, int]
    disk: Disk

    @property
    def version(self) -> str:
        return self.rig.describe()["dom0"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("linux")
    rig = discover(progress)["xen"]
    rig.prepare()
    if not rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    assert isinstance(rig, LinuxRig)
    image, marks = beside_linux.build(folder, progress)
    disk = blank_disk(folder)
    with rig.session(RESULTS / "bench") as session:
        yield Bench(rig, session, image, marks, disk)


def test_beside_linux(bench: Bench) -> None:
    library = beside_linux.of_library(bench.session.run(beside_linux.library_guest()))
    outcome = bench.session.run(beside_linux.linux_guest(bench.rig, bench.image))
    linux = beside_linux.of_linux(outcome, bench.marks)
    print("\n".join(beside_linux.beside(beside_linux.rows(library, linux), bench.version)))


@pytest.fixture(scope="module")
def linux_devices(bench: Bench) -> Outcome:
    return bench.session.run(beside_linux.linux_devices_guest(bench.rig, bench.image, bench.disk))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_devices_beside_linux(bench: Bench, linux_devices: Outcome, arch: str) -> None:
    outcome = bench.session.run(beside_linux.devices_guest(arch, bench.disk))
    linux = beside_linux.of_linux(linux_devices, bench.marks)
    rows = beside_linux.rows(beside_linux.of_devices(outcome), linux)
    column = throughput(outcome.console, linux_devices.console)
    print("\n".join(beside_linux.beside_devices(rows, arch, bench.version, column)))
    assert not [row.operation.title for row in rows if row.worse and not row.reason]
