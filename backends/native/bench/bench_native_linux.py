# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Instructions per operation beside Linux's (beside_linux.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from ci.beside_linux import build, distribution_linux, rows
from ci.rig import discover
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


@pytest.fixture(scope="module", params=beside_linux.PAIRS, ids=lambda pair: pair.word)
def pair(request: pytest.FixtureRequest) -> beside_linux.Pair:
    found: beside_linux.Pair = request.param
    return found


@pytest.fixture(scope="module")
def linux(
    pair: beside_linux.Pair, tmp_path_factory: pytest.TempPathFactory
) -> tuple[beside_linux.Figures, str]:
    rig = discover(progress)[pair.backend]
    return beside_linux.measure_linux(rig, pair, tmp_path_factory.mktemp("linux"), progress)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_devices_beside_linux(
    pair: beside_linux.Pair, linux: tuple[beside_linux.Figures, str], arch: str, tmp_path: Path
) -> None:
    rig = discover(progress)[pair.backend]
    assert beside_linux.compare_devices(rig, pair, *linux, arch, tmp_path) == []
