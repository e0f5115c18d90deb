# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What firmware leaves of its own in the machine does not reach the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.build import kernels
from ci.util import ARCHITECTURES

from ..guests import Run, places
from .loaders import carry


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_pending_interrupts(arch: str, run: Run, tmp_path: Path) -> None:
    """Are not the kernel's, whoever asked for them."""
    hardware = places(arch)[0]
    image = carry("pending", kernels("sample", arch)[hardware.backend], tmp_path)
    # The loader is 32-bit code.
    outcome, report = run(hardware, "checks=interrupts", image, memory_mib=128, options={"cpu": "qemu64"})
    assert report.failures() == []
    assert report.result["pass"] > 0
    assert outcome.clean, outcome.end
