# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Each access of what CPUs share is made with its lock held: xen_locks.c has the compiler tell of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

FOLDER = Path(__file__).parent
SOURCE = FOLDER / "xen_locks.c"
ARCH = "x86_64"
ACCESSES = (
    "-fsanitize=thread",
    "--param=tsan-distinguish-volatile=1",
    "--param=tsan-instrument-func-entry-exit=0",
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", ARCH)
    abis = (FOLDER.parent / "fifo.c", FOLDER.parent / "two_level.c")
    return played.results(SOURCE, tmp_path_factory.mktemp("locks"), *headers, *abis, *ACCESSES, arch=ARCH)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_lock(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
