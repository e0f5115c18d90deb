# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the library takes with a disk and a network of a PC (backends/native/bench/beside_linux.py), in the
rig of the backend that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.native.bench import beside_linux
from ci import checked
from ci.rig import Disk

from .guests import Rigs, places


def measured(rigs: Rigs, folder: Path, pair: beside_linux.Pair, arch: str) -> beside_linux.Figures:
    here = [place for place in places(arch) if place.backend == pair.backend]
    if not here:
        pytest.skip("left out, as asked")
    rigs.prepare(here[0])
    disk, trace = Disk(folder / "disk"), folder / "trace"
    guest = beside_linux.devices_guest(here[0].rig, arch, pair, disk, trace)
    if not guest.disks:  # it is one of QEMU's arguments
        checked.blank([disk])
    found = beside_linux.of_devices(rigs.once(here[0], guest, True), trace)
    print(found)
    return found
