# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the library for Xen PVH takes from Xen on x86-64: xen_pvh_start64.c plays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.build import tree
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_pvh_start64.c")


@pytest.fixture(scope="module", params=["x86_64"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("start")
    arguments = [f"-I{tree(request.param) / 'include/xen_pvh'}", "-D__XEN_INTERFACE_VERSION__=0x00040d00"]
    return played.results(SOURCE, folder, *arguments, arch=request.param)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_start(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
