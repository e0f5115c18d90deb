# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's entries and returns with an event at each instruction, played by xen_steps.c and
xen_steps64.c."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played

FOLDER = Path(__file__).parent
SOURCES = dict(zip(ARCHITECTURES, (FOLDER / "xen_steps.c", FOLDER / "xen_steps64.c"), strict=True))
TRANSFER = FOLDER / "xen_transfer64.inc"
CHECKS = [(arch, check) for arch, source in SOURCES.items() for check in played.checks(source)]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    return {
        arch: played.results(
            source, tmp_path_factory.mktemp("steps"), str(source.with_suffix(".S")),
            FOLDER.parent / "fifo.c", FOLDER.parent / "two_level.c",
            *played.headers("xen", arch),
            *([f'-DVMI_TRANSFER_OVERRIDE="{TRANSFER}"'] if arch == "x86_64" else []), arch=arch,
        )
        for arch, source in SOURCES.items()
    }  # fmt: skip


@pytest.mark.parametrize(("arch", "check"), CHECKS)
def test_steps(results: dict[str, dict[str, str]], arch: str, check: str) -> None:
    assert results[arch][check] == ""
