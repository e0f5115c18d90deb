# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Further CPUs of the Xen library's, where Xen refuses to start one, and ends: xen_machine.c plays Xen."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_machine.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    folder = tmp_path_factory.mktemp("machine")
    return played.results(SOURCE, folder, *headers, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_machine(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
