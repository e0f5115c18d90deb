# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the sample kernel is given to check devices with, and what it has left on its disk."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .ktap import Report
from .rig import Disk, Guest, Rig

BLOCK = 512
BLOCKS = 2501
"""Of its disk: more than 128 requests of a page each, the last of which is a part of one."""
BLANK = b"\x5a"
STEP = 0x9E3779B1
"""sample_kernel/checks_disks.c, pattern()."""
CHECK = "disks.whole"
"""That writes it."""


def with_devices(guest: Guest, rig: Rig, file: Path) -> Guest:
    """The guest with those devices that the rig's guests can be given; `blank` makes the disk's file."""
    disks = () if rig.disks else (Disk(file),)
    return replace(guest, disks=disks, rng=not rig.rng)


def blank(disks: Sequence[Disk], size: int = BLOCKS * BLOCK) -> None:
    """Makes the files anew, without anything of the pattern."""
    for disk in disks:
        disk.file.parent.mkdir(parents=True, exist_ok=True)
        disk.file.write_bytes(BLANK * size)


def other_blocks(data: bytes, size: int = BLOCK) -> list[int]:
    """Blocks of a disk that do not hold what the sample kernel writes there."""
    words = size // 4
    return [
        block
        for block in range(len(data) // size)
        if struct.unpack_from(f"<{words}I", data, block * size)
        != tuple((block * STEP + word) & 0xFFFFFFFF for word in range(words))
    ]


def findings(guest: Guest, report: Report) -> list[str]:
    """Why the disks are not as the kernel says that they are; empty if they are. A kernel that was not asked
    to check them says nothing."""
    asked = [test for test in report.tests if test.name == CHECK and test.reason != "not asked for"]
    if not guest.disks or not asked or asked[0].status == "fail":
        return []
    if asked[0].status == "skip":
        return [f"the kernel has a disk and does not check it: {asked[0].reason}"]
    found = []
    for disk in guest.disks[:1]:
        data = disk.file.read_bytes()
        if other := other_blocks(data):
            found.append(
                f"{disk.file}: {len(other)} of {len(data) // BLOCK} blocks do not hold what the kernel wrote "
                f"there, block {other[0]} first"
            )
    return found
