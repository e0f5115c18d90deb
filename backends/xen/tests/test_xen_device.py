# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's mappings of devices against a Xen that xen_device.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_device.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    return played.results(SOURCE, tmp_path_factory.mktemp("device"), *headers, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_mapping(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
