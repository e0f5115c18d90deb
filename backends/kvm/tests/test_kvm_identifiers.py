# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""FlushRemoteTLB of the KVM library where a kernel has process-context identifiers in use, on a processor
that kvm_identifiers.c plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ROOT
from tests.backends import played

SOURCE = Path(__file__).with_name("kvm_identifiers.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder, cpus = tmp_path_factory.mktemp("identifiers"), ROOT / "runtime/cpus.c"
    # The other CPUs, whose parts are left out, are none of the set.
    return played.results(SOURCE, folder, "-Wl,--unresolved-symbols=ignore-all", cpus, arch="x86_64")


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_flush(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
