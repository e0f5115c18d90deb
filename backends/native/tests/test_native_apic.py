# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's interrupts between CPUs against a local APIC that native_apic.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("native_apic.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("apic"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_apic(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
