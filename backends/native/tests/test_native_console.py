# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's console against virtio devices that native_console.c plays, sound and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ROOT
from tests.backends import played

SOURCE = Path(__file__).with_name("native_console.c")
DRIVEN_BY = ("virtio/virtio.c", "virtio/virtio_legacy.c", "virtio/virtio_mmio.c", "virtio/virtio_pci.c",
             "pci/pci.c", "pci/registers.c")  # fmt: skip
"""What of devices/ the console takes: nothing of the interface for devices, or this would not be linked."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    sources = (*(ROOT / "devices" / name for name in DRIVEN_BY), ROOT / "runtime/options.c")
    return played.results(SOURCE, tmp_path_factory.mktemp("console"), f"-I{ROOT / 'devices'}", *sources)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_console(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
