# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The flavour `traced` in a PV domain, played by xen_traced.c."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ROOT
from tests.backends import played

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "xen_traced.c"
ARCH = "x86_64"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(
        SOURCE, tmp_path_factory.mktemp("traced"), FOLDER.parent / f"arch/{ARCH}/mask.S",
        f"-I{ROOT / 'runtime/traced'}", *played.headers("xen", ARCH), arch=ARCH,
    )  # fmt: skip


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_traced(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
