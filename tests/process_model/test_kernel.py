# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The kernel of the process model knows no machine: its objects need the interface's calls alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.process_model import FLAGS, HERE, SHARED


def test_kernel_needs_calls_only(tmp_path: Path) -> None:
    objects = []
    for name in SHARED:
        objects.append(tmp_path / f"{name}.o")
        subprocess.run(["gcc", *FLAGS, "-c", HERE / name, "-o", objects[-1]], check=True)
    linked = tmp_path / "kernel.o"
    subprocess.run(["ld", "-r", "-o", linked, *objects], check=True)
    said = subprocess.run(["nm", "-u", linked], capture_output=True, text=True, check=True).stdout
    needed = said.split()[1::2]
    assert len(needed) >= 12
    assert all(name.startswith("vmi_") and not name.startswith("vmi__") for name in needed)
