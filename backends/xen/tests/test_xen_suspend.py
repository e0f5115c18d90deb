# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Suspend of the Xen library: frames numbered anew and what is made again, as xen_suspend.c plays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_suspend.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    return played.results(SOURCE, tmp_path_factory.mktemp("suspend"), *headers, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_suspend(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
