# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fuzz targets: back ends that lie (tests/fuzz/)."""

from __future__ import annotations

from pathlib import Path

from ci.backends import backends
from ci.util import ROOT
from tests.backends import played
from tests.fuzz.program import PLAYED, Target, device, disks, lives, networks

HERE = Path(__file__).parent
COMMON = ("../backends/xen_common/xenbus.c", "../backends/xen_common/grants.c")


def targets() -> tuple[Target, ...]:
    """With the prototypes of the first library that has the files."""
    for name in backends(arch="x86_64"):
        if "xen_common/" not in (ROOT / "backends" / name / "meson.build").read_text():
            continue
        more = (*PLAYED, *played.headers(name, "x86_64"))
        return (
            device(
                "blkfront",
                HERE / "blkfront_target.c",
                ("../backends/xen_common/blkfront.c", *COMMON),
                lives(*disks("00"), *disks("01")),
                more,
            ),
            device(
                "netfront",
                HERE / "netfront_target.c",
                ("../backends/xen_common/netfront.c", *COMMON),
                lives(*networks("")),
                more,
            ),
        )
    return ()


TARGETS = targets()
