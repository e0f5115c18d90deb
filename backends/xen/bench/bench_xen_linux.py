# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Hypercalls per operation beside Linux's (beside_linux.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.xen.bench import beside_linux
from ci.rig import LinuxRig, discover
from ci.util import RESULTS, progress


def test_beside_linux(tmp_path: Path) -> None:
    rig = discover(progress)["xen"]
    rig.prepare()
    if not rig.witnesses:
        pytest.skip("this machine's own Xen is used, and nothing looks at it from outside")
    assert isinstance(rig, LinuxRig)
    image, places = beside_linux.build(tmp_path)
    with rig.session(RESULTS / "bench") as session:
        library = beside_linux.of_library(session.run(beside_linux.library_guest()))
        linux = beside_linux.of_linux(session.run(beside_linux.linux_guest(rig, image)), places)
    version = rig.describe()["dom0"]
    print("\n".join(beside_linux.beside(beside_linux.rows(library, linux), version)))
