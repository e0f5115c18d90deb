# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Requests from outside to a domain, against a xenstore that xen_requests.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_requests.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    return played.results(SOURCE, tmp_path_factory.mktemp("requests"), *headers, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_requests(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
