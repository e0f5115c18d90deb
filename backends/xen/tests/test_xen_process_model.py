# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Two processes in a 64-bit PV domain: kernel and processes in ring 3, each process by two roots."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import BUILD
from tests.guests import Place, Run, places
from tests.process_model import PASSED, build

PV = [place for place in places() if place.backend == "xen" and place.configuration.options["config"] == "pv"]
pytestmark = pytest.mark.skipif(not PV, reason="left out, as asked")

# Before any test opens the rig, which takes the kernels along that are there then.
KERNEL = build("xen", Path(__file__).with_name("process_model")) if PV and BUILD.is_dir() else None


@pytest.fixture
def pv() -> Place:
    return PV[0]


def test_two_processes(pv: Place, run: Run) -> None:
    assert KERNEL, "nothing is built: ./vmi build"
    outcome, _ = run(pv, kernel=KERNEL, cpus=1, options={"config": "pv64"})
    assert PASSED in outcome.console, outcome.console
    assert outcome.clean, outcome.end
    assert outcome.console.count("process 0") == outcome.console.count("process 1") == 3
    assert any('"type": "pv"' in line for line in outcome.evidence["type"])
