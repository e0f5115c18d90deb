# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What is x86-64's alone in the Xen library, and registers: xen_calls64.c plays Xen for calls and further
CPUs, xen_tables64.c for the map of the image."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends import played

FOLDER = Path(__file__).parent
# Of the tables' source some parts are not run, and what they need is not there.
SOURCES = {
    FOLDER / "xen_calls64.c": (),
    FOLDER / "xen_tables64.c": ("-ffunction-sections", "-Wl,--gc-sections"),
}
CHECKS = [check for source in SOURCES for check in played.checks(source)]


@pytest.fixture(scope="module", params=["x86_64"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    headers = played.headers("xen", request.param)
    said: dict[str, str] = {}
    for source, more in SOURCES.items():
        folder = tmp_path_factory.mktemp("calls")
        said |= played.results(source, folder, *headers, *more, arch=request.param)
    return said


@pytest.mark.parametrize("check", CHECKS)
def test_call(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
