# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's start in domains that xen_start.c invents: frames anywhere, refusals, bad builders."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import ARCHITECTURES, BUILD
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_start.c")
TRANSFER = SOURCE.with_name("xen_transfer.inc")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return played.results(
        SOURCE, tmp_path_factory.mktemp("start"), *played.headers("xen", ARCHITECTURES[0]),
        "-Wl,--defsym=vmi_linear_base_is_0xC0000000=0",  # as a kernel's linker script has it
        f'-DVMI_TRANSFER_OVERRIDE="{TRANSFER}"',
        BUILD / "generated/xen/hypercalls.S", BUILD / "backends/libvmi-xen.a",
    )  # fmt: skip


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_start(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
