# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's alarms against a timer that xen_alarm.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_alarm.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", ARCHITECTURES[0])
    return played.results(SOURCE, tmp_path_factory.mktemp("alarm"), *headers)


@pytest.mark.seeded
@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_alarm(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
