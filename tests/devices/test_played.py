# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Drivers, and the interface above them, against devices that lie, which programs here play."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played
from tests.mutation.devices import PLAYED

HERE = Path(__file__).parent
DEVICES = {source.stem: source for source in map(ROOT.joinpath, PLAYED) if source.parent == HERE}
CHECKS = [(device, check) for device, source in DEVICES.items() for check in played.checks(source)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    def run(device: str, source: Path) -> dict[str, str]:
        drivers = PLAYED[str(source.relative_to(ROOT))]
        sources = (ROOT / "devices" / name for name in drivers)
        return played.results(
            source, tmp_path_factory.mktemp(device), f"-I{ROOT / 'devices'}", *sources, arch=request.param
        )

    return {device: run(device, source) for device, source in DEVICES.items()}


def test_every_program_is_here() -> None:
    """Of each file of C in this folder the drivers are listed."""
    assert set(DEVICES) == {source.stem for source in HERE.glob("*.c")}


@pytest.mark.parametrize(("device", "check"), CHECKS)
def test_device_that_lies(results: dict[str, dict[str, str]], device: str, check: str) -> None:
    assert results[device][check] == ""
