# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's console against virtio devices that native_console.c plays, sound and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("native_console.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("console"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_console(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
