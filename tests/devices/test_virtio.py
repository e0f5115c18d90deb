# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Drivers for virtio, and the interface above them, against devices that lie: virtio_*.c play them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

DEVICES = {
    "virtio_blk": Path(__file__).with_name("virtio_blk.c"),
    "virtio_net": Path(__file__).with_name("virtio_net.c"),
    "virtio_rng": Path(__file__).with_name("virtio_rng.c"),
}
CHECKS = [(device, check) for device, source in DEVICES.items() for check in played.checks(source)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    def run(device: str, source: Path) -> dict[str, str]:
        drivers = ("pci/device.c", "pci/pci.c", "virtio/virtio.c", f"{device}/{device}.c")
        sources = (ROOT / "devices" / name for name in drivers)
        return played.results(
            source, tmp_path_factory.mktemp(device), f"-I{ROOT / 'devices'}", *sources, arch=request.param
        )

    return {device: run(device, source) for device, source in DEVICES.items()}


@pytest.mark.parametrize(("device", "check"), CHECKS)
def test_device_that_lies(results: dict[str, dict[str, str]], device: str, check: str) -> None:
    assert results[device][check] == ""
