# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fixtures for tests that are about one backend and live in its folder (NAME/tests/): they go with it.

`run` is that of tests/guests.py; `place` is the first configuration of the folder's own rig.
"""

from __future__ import annotations

import pytest

from ci.util import ROOT
from tests.guests import Place, places


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Place:
    name = request.path.relative_to(ROOT / "backends").parts[0]
    found = [each for each in places() if each.backend == name]
    if not found:
        pytest.skip("left out, as asked (--skip)")
    return found[0]
