# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What lazy mode saves: 1,024 pages mapped one by one, and gathered.

Instructions are those from the first call to the last one's effect, Xen's included: the outer machine
runs with `-icount shift=0`, where the time that the guest's time-stamp counter is made of counts
instructions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ci.bench import table
from ci.build import kernels
from ci.rig import Guest, Session, discover
from ci.util import RESULTS, progress

BACKEND = "xen"
DEADLINE = 180.0


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    rig = discover(progress)[BACKEND]
    rig.prepare()
    if not rig.witnesses:
        pytest.skip("this machine's own Xen does not count instructions")
    rig.accelerator = ("-accel", "tcg", "-icount", "shift=0")  # type: ignore[attr-defined]
    with rig.session(RESULTS / "bench") as opened:
        yield opened


def test_mapping(session: Session) -> None:
    outcome = session.run(Guest(kernels("sample")[BACKEND], "map", "bench=map", deadline=DEADLINE))
    assert outcome.clean, f"{outcome.end}\n{outcome.console}"
    found = re.findall(
        r"# bench map_(\w+) pages=(\d+) hypercalls=(\d+) ticks_per_page=(\d+)", outcome.console
    )
    assert [name for name, *_ in found] == ["lazy", "eager"]
    rows = [["mapping", "pages", "hypercalls", "instructions per page"], *(list(each) for each in found)]
    print("\n".join(table("pages mapped one by one, and gathered", rows)))
