# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The driver of virtio networks, and the interface above it, against a device that virtio_net.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

SOURCES = ("pci/pci.c", "virtio/virtio.c", "virtio_net/virtio_net.c")
SOURCE = Path(__file__).with_name("virtio_net.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("virtio_net")
    sources = (ROOT / "devices" / name for name in SOURCES)
    return played.results(SOURCE, folder, f"-I{ROOT / 'devices'}", *sources, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_network_that_lies(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
