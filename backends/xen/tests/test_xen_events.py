# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Calls of events and interrupts of the Xen library against a Xen that xen_events.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

SOURCE = Path(__file__).with_name("xen_events.c")
ARCH = "x86_64"
"""i386's frames are looked at by xen_steps.c; the calls are one source."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", ARCH)
    abis = (SOURCE.parents[1] / "fifo.c", SOURCE.parents[1] / "two_level.c")
    return played.results(SOURCE, tmp_path_factory.mktemp("events"), *headers, *abis, arch=ARCH)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_call(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
