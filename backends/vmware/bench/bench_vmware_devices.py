# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Accesses to registers and instructions with VMware's devices beside Linux's (backends/native/bench)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from backends.vmware.bench.devices import PAIR
from ci.rig import discover
from ci.util import ARCHITECTURES, progress


@pytest.fixture(scope="module")
def linux(tmp_path_factory: pytest.TempPathFactory) -> tuple[beside_linux.Figures, str]:
    rig = discover(progress)[PAIR.backend]
    return beside_linux.measure_linux(rig, PAIR, tmp_path_factory.mktemp("linux"), progress)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_devices_beside_linux(linux: tuple[beside_linux.Figures, str], arch: str, tmp_path: Path) -> None:
    rig = discover(progress)[PAIR.backend]
    assert beside_linux.compare_devices(rig, PAIR, *linux, arch, tmp_path) == []
