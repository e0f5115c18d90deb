# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The Xen library's start in domains that xen_start.c invents: frames anywhere, refusals, bad builders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci.util import BUILD, ROOT
from tests.backends import played

SOURCE = Path(__file__).with_name("xen_start.c")
TRANSFER = SOURCE.with_name("xen_transfer.inc")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    version = re.search(r"-D__XEN_INTERFACE_VERSION__=\w+", (ROOT / "backends/xen/meson.build").read_text())
    assert version
    return played.results(
        SOURCE, tmp_path_factory.mktemp("start"), version[0], "-idirafter", "/usr/include",
        "-Wl,--defsym=vmi_linear_base_is_0xC0000000=0",  # as a kernel's linker script has it
        f"-I{BUILD / 'include/xen'}", f'-DVMI_TRANSFER_OVERRIDE="{TRANSFER}"',
        BUILD / "generated/xen/hypercalls.S", BUILD / "backends/libvmi-xen.a",
    )  # fmt: skip


@pytest.mark.parametrize("check", played.checks(SOURCE))
def test_start(results: dict[str, str], check: str) -> None:
    assert results[check] == ""
