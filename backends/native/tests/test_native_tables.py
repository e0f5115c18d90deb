# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's readers of ACPI and MP tables against memory that native_tables.c fills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("native_tables.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("tables"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_tables(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
