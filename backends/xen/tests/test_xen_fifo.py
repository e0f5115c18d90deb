# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Event ports by the FIFO ABI, against a Xen that xen_fifo.c plays: well behaved, hostile, and another one
after the domain was saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_fifo.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    folder = tmp_path_factory.mktemp("fifo")
    return played.results(SOURCE, folder, *headers, SOURCE.parents[1] / "two_level.c", arch=request.param)


@pytest.mark.seeded
@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_fifo(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
