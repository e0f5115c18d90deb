# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the KVM library uses after its guest has come to another host, which kvm_moved.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

SOURCE = Path(__file__).with_name("kvm_moved.c")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("moved"), arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_moved(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
