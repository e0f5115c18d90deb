# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Parts of the Hyper-V library against a hypervisor that is played by hyperv_parts.c."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("hyperv_parts.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("parts"), arch=request.param)


@pytest.mark.seeded
@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_part(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
