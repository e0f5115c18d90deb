# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Drivers, and the interface above them, against devices that lie: the programs of this folder play them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played
from tests.mutation.devices import PLAYED

DEVICES = {source.stem: source for source in map(Path, PLAYED) if source.parts[:2] == ("tests", "devices")}
CHECKS = [(device, check) for device, source in DEVICES.items() for check in played.checks(ROOT / source)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    def run(device: str, source: Path) -> dict[str, str]:
        sources = (ROOT / "devices" / name for name in PLAYED[str(source)])
        return played.results(
            ROOT / source, tmp_path_factory.mktemp(device), f"-I{ROOT / 'devices'}", *sources, arch=request.param
        )

    return {device: run(device, source) for device, source in DEVICES.items()}


@pytest.mark.parametrize(("device", "check"), CHECKS)
def test_device_that_lies(results: dict[str, dict[str, str]], device: str, check: str) -> None:
    assert results[device][check] == ""
