# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the sample kernel is given to check devices with, whether it has, and what it has left on its disk."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .ktap import Report
from .rig import Disk, Guest, Net, Rig

BLOCK = 512
BLOCKS = 2501
"""Of its disk: more than 128 requests of a page each, the last of which is a part of one."""
BLANK = b"\x5a"
STEP = 0x9E3779B1
"""sample_kernel/checks_disks.c, pattern()."""
CHECK = "disks.whole"
"""That writes it."""
NETWORK_CHECK = "networks.flood"


def with_devices(guest: Guest, rig: Rig, file: Path) -> Guest:
    """The guest with those devices that the rig's guests can be given; `blank` makes the disk's file."""
    disks = () if rig.disks else (Disk(file),)
    nets = () if rig.nets else (Net(),)
    return replace(guest, disks=disks, nets=nets, rng=not rig.rng)


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


def passed_over(guest: Guest, report: Report) -> list[str]:
    """The devices that the guest has and its kernel does not check, although it was asked to."""
    return [
        f"the kernel has a {what} and does not check it: {test.reason}"
        for what, check, given in (("disk", CHECK, guest.disks), ("network", NETWORK_CHECK, guest.nets))
        for test in report.tests
        if given and test.name == check and test.status == "skip" and test.asked
    ]


def findings(guest: Guest, report: Report) -> list[str]:
    """Why the devices are not as the kernel says that they are; empty if they are. A kernel that was not
    asked to check them says nothing."""
    found = passed_over(guest, report)
    if not any(test.name == CHECK and test.status == "pass" for test in report.tests):
        return found
    for disk in guest.disks[:1]:
        data = disk.file.read_bytes()
        if other := other_blocks(data):
            found.append(
                f"{disk.file}: {len(other)} of {len(data) // BLOCK} blocks do not hold what the kernel wrote "
                f"there, block {other[0]} first"
            )
    return found
