# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What Xen makes of kernels that break rules, for eight of them in one domain; `./vmi test --long violations`
makes them all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from ci.build import tree
from ci.long import module_at
from ci.rig import Guest
from tests.checked.reactions import reaction, recorded
from tests.checked.violations import of, parts
from tests.guests import Rigs

(VIOLATIONS,) = module_at(Path(__file__).with_name("long.py")).PARTS
PV = VIOLATIONS.places()
pytestmark = pytest.mark.skipif(not PV, reason="left out, as asked")

# In the order in which the kernel makes them; the domain ends by the last one.
SAMPLE = (
    "entry_of_a_plain_page",
    "entry_outside_of_the_linear_mapping",
    "entry_of_another_kind",
    "entry_of_a_released_table",
    "plain_page_named_while_loaded",
    "released_from_below",
    "code_of_ring_1",
    "gate_written_in_place",
)

# Before any test opens the rig, which takes the kernels along that are there then.
BUILT = (tree(VIOLATIONS.arch) / f"backends/libvmi-{VIOLATIONS.backend}.a").is_file()
KERNEL = VIOLATIONS.kernel() if PV and BUILT else None


def test_sample_is_as_recorded(rigs: Rigs) -> None:
    assert KERNEL, "nothing is built: ./vmi build"
    append = " ".join(f"case={name}" for name in SAMPLE)
    options = PV[0].configuration.given(VIOLATIONS.arch)[0]
    rigs.prepare(PV[0])
    outcome = rigs.once(PV[0], Guest(KERNEL, "violations", append, 1, 64, 240.0, options), again=False)
    assert set(parts(outcome.console)) == set(SAMPLE), outcome.end
    known = of(VIOLATIONS.arch)
    found = {name: asdict(reaction(known[name], outcome)) for name in SAMPLE}
    before = recorded(Path(__file__).parent)["reactions"]
    assert found == {name: before[name] for name in SAMPLE}
