# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The KVM library's clock against a KVM that is played by kvm_clock.c."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("kvm_clock.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("clock"), arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_clock(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
