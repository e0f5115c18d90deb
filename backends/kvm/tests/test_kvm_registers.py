# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The hypercalls' registers on x86-64, noted by kvm_registers.c where KVM would be entered."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.build import tree
from tests.backends import played

SOURCE = Path(__file__).with_name("kvm_registers.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    override = f'-DVMI_TRANSFER_OVERRIDE="{SOURCE.with_name("kvm_transfer.inc")}"'
    stubs = str(tree("x86_64") / "generated/kvm/hypercalls.S")
    folder = tmp_path_factory.mktemp("registers")
    return played.results(SOURCE, folder, override, stubs, arch="x86_64")


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_registers(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
