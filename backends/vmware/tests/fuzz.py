# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fuzz targets: VMware's devices that lie (tests/fuzz/)."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.program import PCI, device, disks, lives, networks

HERE = Path(__file__).parent
DRIVERS = "../backends/vmware"

TARGETS = (
    device(
        "pvscsi",
        HERE / "pvscsi_target.c",
        (f"{DRIVERS}/pvscsi.c", *PCI),
        lives(*disks("01 00"), *disks("02 01")),
    ),
    device(
        "vmxnet3",
        HERE / "vmxnet3_target.c",
        (f"{DRIVERS}/vmxnet3.c", "../devices/bounce/bounce.c", *PCI),
        lives(*networks("00"), *networks("03")),
    ),
)
