# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the library for Xen PVH takes from Xen on x86-64: xen_pvh_start64.c plays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("xen_pvh_start64.c")


@pytest.fixture(scope="module", params=["x86_64"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen_pvh", request.param)
    folder = tmp_path_factory.mktemp("start")
    return played.results(SOURCE, folder, *headers, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_start(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
