# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Accesses to registers of VMware's devices, as QEMU emulates them, beside Linux's."""

from __future__ import annotations

from pathlib import Path

from backends.native.bench import beside_linux
from backends.vmware.bench.devices import PAIR
from ci.util import ARCHITECTURES
from tests.device_costs import measured
from tests.guests import Rigs


def test_no_more_accesses_than_linux(rigs: Rigs, tmp_path: Path) -> None:
    """On the other architecture `./vmi bench` compares them: a driver makes the same ones there."""
    assert beside_linux.worse(PAIR, measured(rigs, tmp_path, PAIR, ARCHITECTURES[1])) == []
