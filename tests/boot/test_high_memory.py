# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Memory above 4 GiB on x86-64: beside more than 3 GiB below, and nearly alone, where every address that
is cut to 32 bits leads to no memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.build import kernels

from ..guests import Run, places
from .loaders import carry

HARDWARE = places("x86_64")[0]
MIB = 6 * 1024


def memory_kib(console: str) -> int:
    found = re.search(r"^# boot .* memory_kib=(\d+)", console, re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize("kernel", ["sample", "conformance"])
def test_six_gib(kernel: str, run: Run) -> None:
    outcome, report = run(HARDWARE, kernel=kernel, memory_mib=MIB)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert memory_kib(outcome.console) > (MIB - 64) * 1024


@pytest.mark.parametrize("kernel", ["sample", "conformance"])
def test_memory_only_above_four_gib(kernel: str, run: Run, tmp_path: Path) -> None:
    """But for the first 8 MiB, in which the kernel lies."""
    image = carry("above", kernels(kernel, "x86_64")[HARDWARE.backend], tmp_path)
    # The loader is 32-bit code.
    outcome, report = run(HARDWARE, kernel=image, memory_mib=MIB, options={"cpu": "qemu64"})
    assert report.failures() == []
    assert outcome.clean, outcome.end
    # What QEMU's PC has above 4 GiB of that much.
    assert (MIB - 3584 - 64) * 1024 < memory_kib(outcome.console) < (MIB - 3072 + 64) * 1024
