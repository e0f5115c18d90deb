# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a developer waits for, and what calls cost in instructions. Printed, not asserted: clock time
depends on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ci.build import kernels
from ci.rig import Guest
from ci.util import BUILD, RESULTS

from ..conftest import Place, places


def timed(*command: str | Path, rounds: int = 3, **more: object) -> float:
    """The shortest of some runs, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, **more)  # type: ignore[call-overload]
        best = min(best, time.monotonic() - started)
    return best


def test_generator(root: Path, tmp_path: Path) -> None:
    folders = [path.parent for path in sorted(root.glob("backends/*/backend.yaml"))]
    seconds = timed(
        sys.executable, "-m", "vmigen", "generate", "--backends", *folders, "--out", tmp_path,
        env={**os.environ, "PYTHONPATH": str(root / "codegen")},
    )  # fmt: skip
    print(f"\ngenerator, whole specification and {len(folders)} backends: {seconds:.2f} s")


def test_build(root: Path) -> None:
    print(f"\nbuild with nothing to do: {timed('ninja', '-C', BUILD) * 1000:.0f} ms")


def test_boot(root: Path) -> None:
    """The warm way from the command to the figure's row, for rigs that need no hypervisor first."""
    for place in places():
        if place.rig.instruction_counter:
            print(f"\n./vmi boot {place}: {timed(root / 'vmi', 'boot', str(place)):.2f} s")


COUNTING = [place for place in places() if place.rig.instruction_counter]


@pytest.mark.parametrize("place", COUNTING, ids=str)
def test_calls(place: Place) -> None:
    """Instructions per call, call and return included."""
    kernel = kernels("sample")[place.backend]
    options = {**place.configuration.options, **place.rig.instruction_counter}
    place.rig.prepare()
    with place.rig.session([kernel], RESULTS / "bench") as session:
        outcome = session.run(Guest(kernel, f"calls-{place}", "bench=calls", deadline=120, options=options))
    assert outcome.clean, outcome.end
    print(f"\ninstructions per call, {place}:")
    for line in outcome.console.splitlines():
        if line.startswith("# bench "):
            print("  " + line.removeprefix("# bench "))
