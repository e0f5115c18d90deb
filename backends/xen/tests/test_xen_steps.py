# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's entries and returns with an event at each instruction, played by xen_steps.c."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import BUILD
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_steps.c")
ARGUMENTS = (
    str(SOURCE.with_suffix(".S")),
    f"-I{BUILD / 'include/xen'}",
    "-D__XEN_INTERFACE_VERSION__=0x00040d00",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("steps"), *ARGUMENTS)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_steps(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
