# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Drivers for VMware's devices against devices that lie, which programs here play."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

FOLDER = Path(__file__).parents[1]
PCI = ("pci/pci.c", "pci/device.c")
SOURCES: dict[str, tuple[str, ...]] = {
    "pvscsi.c": PCI,
    "vmxnet3.c": (*PCI, "bounce/bounce.c"),
}
"""Drivers, of which each has its checks in a file of its name, and what of devices/ they are linked with."""
CHECKS = [f"{file}:{check}" for file in SOURCES for check in played.checks(FOLDER / "tests" / file)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    devices = ROOT / "devices"
    said = {}
    for file, parts in SOURCES.items():
        sources = [FOLDER / file, *(devices / part for part in parts)]
        folder = tmp_path_factory.mktemp("vmware")
        found = played.results(
            FOLDER / "tests" / file, folder, f"-I{devices}", *sources, arch=request.param
        )
        for check, result in found.items():
            said[f"{file}:{check}"] = result
    return said


@pytest.mark.parametrize("check", CHECKS)
def test_device_that_lies(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
