# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions per operation beside Linux's (beside_linux.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from ci.beside_linux import blank_disk, build, distribution_linux, rows
from ci.rig import Disk, discover
from ci.util import ARCHITECTURES, RESULTS, progress


def test_beside_linux(tmp_path: Path) -> None:
    rig = discover(progress)[beside_linux.BACKEND]
    linux, version = distribution_linux(progress)
    image = build(tmp_path, Path(__file__).parent)
    plugin = beside_linux.build_counter(tmp_path, rig.describe()["qemu"])
    out = tmp_path / "readings"
    with rig.session(RESULTS / "bench") as session:
        calls = session.run(beside_linux.library_guest(rig, "calls", 1))
        workloads = session.run(beside_linux.library_guest(rig, "workloads", 2))
        library = beside_linux.of_library(calls, workloads)
        found = beside_linux.of_linux(session.run(beside_linux.linux_guest(rig, linux, image)))
        program = tmp_path / "linux_workloads"
        two = session.run(beside_linux.counted_guest(linux, image, plugin, program, out))
        found["ipi_round_trip"] = beside_linux.of_two(two, [int(line) for line in out.read_text().split()])
    made = rows(library, found, beside_linux.REASONS)
    print("\n".join(beside_linux.beside(made, version)))
    assert not [row.operation.title for row in made if row.worse and not row.reason]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return blank_disk(tmp_path_factory.mktemp("disk"))


@pytest.fixture(scope="module")
def linux(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> tuple[beside_linux.Figures, str]:
    rig = discover(progress)[beside_linux.BACKEND]
    folder = tmp_path_factory.mktemp("linux")
    kernel, version = distribution_linux(progress)
    image, trace = beside_linux.build_with_drivers(folder, progress), folder / "trace"
    with rig.session(RESULTS / "bench") as session:
        outcome = session.run(beside_linux.linux_devices_guest(rig, kernel, image, disk, trace))
    return beside_linux.of_linux_devices(outcome, trace), version


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_devices_beside_linux(
    linux: tuple[beside_linux.Figures, str], disk: Disk, arch: str, tmp_path: Path
) -> None:
    rig = discover(progress)[beside_linux.BACKEND]
    found, version = linux
    with rig.session(RESULTS / "bench") as session:
        outcome = session.run(beside_linux.devices_guest(rig, arch, disk, tmp_path / "trace"))
    library = beside_linux.of_devices(outcome, tmp_path / "trace")
    made = beside_linux.device_rows(library, found)
    print("\n".join(beside_linux.beside_devices(made, library, found, arch, version)))
    assert not [row.operation.title for rows in made for row in rows if row.worse and not row.reason]
