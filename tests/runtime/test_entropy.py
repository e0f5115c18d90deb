# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""FillEntropy by the processor, whose generator generator.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("generator.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("generator"), arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_generator(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
