# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's mappings of devices, and frames that it gives to Xen and takes again, against a Xen that
xen_device.c and xen_balloon.c play."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCES = [Path(__file__).with_name(name) for name in ("xen_device.c", "xen_balloon.c")]
CHECKS = [check for source in SOURCES for check in played.checks(source)]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    said: dict[str, str] = {}
    for source in SOURCES:
        said |= played.results(source, tmp_path_factory.mktemp("device"), *headers, arch=request.param)
    return said


@pytest.mark.parametrize("check", CHECKS)
def test_mapping(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
