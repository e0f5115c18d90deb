# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What is found on a disk that a sample kernel has checked."""

from __future__ import annotations

import struct
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from ci import ktap
from ci.checked import BLOCK, CHECK, NETWORK_CHECK, STEP, blank, findings, other_blocks, with_devices
from ci.rig import Disk, Guest, Net, discover

BLOCKS = 5


def pattern(size: int = BLOCK) -> bytes:
    words = size // 4
    return b"".join(
        struct.pack(f"<{words}I", *((block * STEP + word) & 0xFFFFFFFF for word in range(words)))
        for block in range(BLOCKS)
    )


def report(status: str, reason: str = "", name: str = CHECK) -> ktap.Report:
    return ktap.Report(tests=[ktap.Test(1, name, status, reason)])


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    file = tmp_path / "disk"
    file.write_bytes(pattern())
    return Guest(tmp_path / "kernel", "guest", disks=[Disk(file)])


def test_what_was_written(guest: Guest) -> None:
    assert findings(guest, report("pass")) == []


@pytest.mark.parametrize("place", [0, BLOCK - 1, 3 * BLOCK + 17, BLOCKS * BLOCK - 1])
def test_one_byte_is_another(guest: Guest, place: int) -> None:
    data = bytearray(pattern())
    data[place] ^= 1
    guest.disks[0].file.write_bytes(data)
    assert other_blocks(bytes(data)) == [place // BLOCK]
    (found,) = findings(guest, report("pass"))
    assert f"1 of {BLOCKS} blocks do not hold" in found
    assert f"block {place // BLOCK} first" in found


def test_nothing_was_written(guest: Guest) -> None:
    blank(guest.disks, BLOCKS * BLOCK)
    assert other_blocks(guest.disks[0].file.read_bytes()) == list(range(BLOCKS))
    assert len(findings(guest, report("pass"))) == 1


def test_blocks_of_another_size() -> None:
    assert other_blocks(pattern(4096), 4096) == []
    assert other_blocks(pattern(4096)) != []


def test_disk_that_the_kernel_has_not_found(guest: Guest) -> None:
    """It says why; a disk is not passed over."""
    assert findings(guest, report("skip", "there is no disk")) == [
        "the kernel has a disk and does not check it: there is no disk"
    ]


def test_network_that_the_kernel_has_not_found(guest: Guest) -> None:
    skipped = report("skip", "there is no network", NETWORK_CHECK)
    assert findings(replace(guest, nets=[Net()]), skipped) == [
        "the kernel has a network and does not check it: there is no network"
    ]
    assert findings(guest, skipped) == []
    assert findings(replace(guest, nets=[Net()]), report("skip", "not asked for", NETWORK_CHECK)) == []


def test_nothing_is_said_where_nothing_was_asked(guest: Guest) -> None:
    blank(guest.disks, BLOCKS * BLOCK)
    assert findings(guest, report("skip", "not asked for")) == []
    assert findings(guest, report("pass", name="boot.information")) == []
    assert findings(guest, report("fail", "line 1")) == []  # which is a failure of its own
    assert findings(replace(guest, disks=()), report("skip", "there is no disk")) == []


def test_guests_of_a_rig_that_has_devices(guest: Guest, tmp_path: Path) -> None:
    rigs = [*discover(lambda _: None).values()]
    without = copy(rigs[0])
    without.disks = without.nets = without.rng = "for this test"
    for rig in (*rigs, without):
        given = with_devices(guest, rig, tmp_path / "other")
        assert bool(given.disks) == (not rig.disks)
        assert len(given.nets) == (not rig.nets)
        assert given.rng == (not rig.rng)
