# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the libraries for Xen share, as processes: grants.c plays Xen, console_ring.c, store_ring.c,
blkfront.c and netfront.c the other side of a ring."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree
from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

FOLDER = Path(__file__).parents[1]
FRONT_ENDS = ("xenbus.c", "grants.c")
SOURCES: dict[str, tuple[str, ...]] = {
    "grants.c": (),
    "console_ring.c": (),
    "store_ring.c": (),
    "blkfront.c": ("blkfront.c", *FRONT_ENDS),
    "netfront.c": ("netfront.c", *FRONT_ENDS),
}
"""Checks, and what they are linked with."""
USERS = [
    (name, arch)
    for arch in ARCHITECTURES
    for name in backends(arch=arch)
    if "xen_common/" in (ROOT / "backends" / name / "meson.build").read_text()
]


@pytest.fixture(scope="module", params=USERS, ids="-".join)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    """With the prototypes and the interface version of each library that has the files."""
    name, arch = request.param
    if not (tree(arch) / "include" / name).is_dir():
        pytest.skip("not in this build")
    more = [*played.headers(name, arch), f"-I{ROOT / 'devices'}"]
    folder = tmp_path_factory.mktemp("xen_common")
    said = {}
    for file, parts in SOURCES.items():
        sources = [FOLDER / part for part in parts]
        found = played.results(FOLDER / "tests" / file, folder, *more, *sources, arch=arch)
        for check, result in found.items():
            said[f"{file}:{check}"] = result
    return said


CHECKS = [f"{file}:{check}" for file in SOURCES for check in played.checks(FOLDER / "tests" / file)]


@pytest.mark.parametrize("check", CHECKS)
def test_common_source(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
