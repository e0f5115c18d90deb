# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The native library's ends of the machine, where native_end.c plays one that takes a moment to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES
from tests.backends import played
from tests.guests import Run, whole_places

SOURCE = Path(__file__).with_name("native_end.c")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(SOURCE, tmp_path_factory.mktemp("end"))


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_end(results: dict[str, str], check: str) -> None:
    assert results[check] == ""


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_panic_is_told_to_the_hypervisor(run: Run, arch: str) -> None:
    """QEMU has its pvpanic device end the machine, before the status that the kernel ends with."""
    native = next(place for place in whole_places(arch) if place.backend == "native")
    outcome, _ = run(native, "test=panic checks=nothing", options={"qemu": "-device pvpanic"})
    assert "guest-panic" in outcome.end
