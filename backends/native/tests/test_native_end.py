# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's ends of the machine, where native_end.c plays one that takes a moment to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("native_end.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("end"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_end(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
