# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Accesses to registers of VMware's devices, as QEMU emulates them, beside Linux's."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from backends.vmware.bench.devices import PAIR
from ci import checked
from ci.rig import Disk
from ci.util import ARCHITECTURES
from tests.guests import Rigs, places


def test_no_more_accesses_than_linux(rigs: Rigs, tmp_path: Path) -> None:
    """On the other architecture `./vmi bench` compares them: a driver makes the same ones there."""
    arch = ARCHITECTURES[1]
    here = [place for place in places(arch) if place.backend == PAIR.backend]
    if not here:
        pytest.skip("left out, as asked")
    rigs.prepare(here[0])
    disk, trace = Disk(tmp_path / "disk"), tmp_path / "trace"
    guest = beside_linux.devices_guest(here[0].rig, arch, PAIR, disk, trace)
    checked.blank([disk])
    found = beside_linux.of_devices(rigs.once(here[0], guest, True), trace)
    print(found)
    assert beside_linux.worse(PAIR, found) == []
