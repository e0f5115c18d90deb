# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""ACPI's power button, whose registers native_button.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("native_button.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("button"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_button(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
