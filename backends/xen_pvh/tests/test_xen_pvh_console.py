# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Console, its event and the ends of the library for Xen PVH against a Xen that C of this folder plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

NAMES = ("xen_pvh_balloon.c", "xen_pvh_console.c", "xen_pvh_events.c", "xen_pvh_kept.c",
         "xen_pvh_requests.c", "xen_pvh_suspend.c")  # fmt: skip
SOURCES = [Path(__file__).with_name(name) for name in NAMES]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = [*played.headers("xen_pvh", request.param), f"-I{ROOT / 'devices'}"]
    folder = tmp_path_factory.mktemp("console")
    return {
        check: said
        for source in SOURCES
        for check, said in played.results(source, folder, *headers, arch=request.param).items()
    }


@pytest.mark.parametrize("check", [check for source in SOURCES for check in played.checks(source)])
def test_console(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
