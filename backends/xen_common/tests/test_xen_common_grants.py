# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""SharePage and UnsharePage by the grant table, against a Xen that is played by grants.c."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree
from ci.util import ARCHITECTURES, ROOT
from tests.backends import played

SOURCE = Path(__file__).with_name("grants.c")
ROUTINE = "vmi__xen_common_share_page"
USERS = [
    (name, arch)
    for arch in ARCHITECTURES
    for name in backends(arch=arch)
    if ROUTINE in (ROOT / "backends" / name / "backend.yaml").read_text()
]


@pytest.fixture(scope="module", params=USERS, ids="-".join)
def results(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, str]:
    """With the prototypes and the interface version of each library that has the file."""
    name, arch = request.param
    version = re.search(
        r"-D__XEN_INTERFACE_VERSION__=\w+", (ROOT / "backends" / name / "meson.build").read_text()
    )
    assert version
    more = [version[0], "-idirafter", "/usr/include", f"-I{tree(arch) / 'include' / name}"]
    return played.results(SOURCE, tmp_path_factory.mktemp("grants"), *more, arch=arch)


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_grants(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
