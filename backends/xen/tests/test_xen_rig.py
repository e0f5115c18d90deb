# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the Xen rig makes of the exception log, and its configuration files."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from types import ModuleType

import pytest

from ci.util import ROOT
from ci.witness import Hypercall


@pytest.fixture(scope="module")
def rig() -> ModuleType:
    spec = importlib.util.spec_from_file_location("xen_rig", ROOT / "backends/xen/rig.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_repetitions_by_xen_are_left_out(rig: ModuleType) -> None:
    def call(number: int, first: int, second: int) -> Hypercall:
        return Hypercall(number, (first, second, 0, 0, 0), 1, 0xE019, 0xC0100000, 0xC0200000, "0")

    update = call(1, 0xC0300000, 64)
    again = call(1, 0xC0300100, 32 | 1 << 31)
    lists = call(13, 0xC0300000, 10)
    rest = call(13, 0xC0300000 + 4 * 32, 6)
    assert rig.without_repetitions([update, again, lists, rest]) == [update, lists]
    # Broken off in its first entry, and again later.
    assert rig.without_repetitions([lists, lists, rest]) == [lists]
    # Another list, another caller, another processor, the same list later: all made by the guest.
    for other in (
        call(13, 0xC0400000, 6),
        replace(rest, address=0xC0100010),
        replace(rest, stack=0xC0200010),
        replace(rest, processor="1"),
    ):
        assert rig.without_repetitions([lists, other]) == [lists, other]
    assert rig.without_repetitions([lists, update, lists]) == [lists, update, lists]


def test_configuration_files_are_the_rigs_own(rig: ModuleType) -> None:
    """Each configuration of the figure has its .cfg, and the file leaves to the rig what it sets."""
    folder = ROOT / "backends/xen"
    for configuration in rig.BackendRig.configurations:
        text = (folder / f"{configuration.options['config']}.cfg").read_text()
        keys = [line.split("=")[0].strip() for line in text.splitlines() if "=" in line and line[0] != "#"]
        assert "type" in keys
        for key in ("name", "kernel", "cmdline", "vcpus", "memory"):
            assert key not in keys
