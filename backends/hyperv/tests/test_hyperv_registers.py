# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The hypercalls' registers on x86-64, noted by hyperv_registers.c where the hypervisor's page would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.build import tree
from tests.backends import played

SOURCE = Path(__file__).with_name("hyperv_registers.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    stubs = str(tree("x86_64") / "generated/hyperv/hypercalls.S")
    return played.results(SOURCE, tmp_path_factory.mktemp("registers"), stubs, arch="x86_64")


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_registers(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
