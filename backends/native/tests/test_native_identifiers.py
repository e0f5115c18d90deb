# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Process-context identifiers: the library's calls and the sample kernel's address spaces, on processors that
native_identifiers.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.build import tree
from ci.util import ROOT
from tests.backends import played

SOURCE = Path(__file__).with_name("native_identifiers.c")
ARCH = "x86_64"
FOLDER = ROOT / "sample_kernel"
KERNEL = [FOLDER / name for name in ("identifiers.c", "paging.c", "tables.c", f"arch/{ARCH}/aspace.c")]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the stubs that lead to routines, none is called."""
    stubs = tree(ARCH) / "include/vmi/native-stubs.S"
    window = ROOT / "runtime/arch" / ARCH / "window.c"
    return played.results(
        SOURCE, tmp_path_factory.mktemp("identifiers"), f"-iquote{FOLDER}", f"-iquote{FOLDER}/arch/{ARCH}",
        f"-I{ROOT}", "-Wl,--unresolved-symbols=ignore-all", window, stubs, *KERNEL, arch=ARCH,
    )  # fmt: skip


@pytest.mark.seeded
@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_identifiers(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
