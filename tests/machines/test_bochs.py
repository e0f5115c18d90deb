# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bochs, a second PC: what passes in QEMU passes there, on processors that QEMU's emulator does not play."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import ktap
from ci.util import ARCHITECTURES

from ..guests import Whole, places
from .bochs import BOOTS, boot

OF_DEVICES = ("disks.", "networks.", "entropy.")


@pytest.mark.parametrize("arch", BOOTS)
def test_verdicts_agree(arch: str, whole: Whole, tmp_path: Path) -> None:
    """Of the same kernel with the same checks; devices are QEMU's alone."""
    chosen = BOOTS[arch]
    record, ended = boot(arch, chosen, tmp_path, "ordinary")
    assert (record.verdict, ended.powered_off) == ("runs", True), ended.console[-3000:] + ended.log[-2000:]
    if arch == ARCHITECTURES[1]:  # what QEMU's emulator does not play
        assert re.search("^# timers .* invariant=yes ", ended.console, re.MULTILINE)
        assert "# feature pcid: there, left off: " in ended.console
    outcome, report = whole(places(arch)[0])
    assert outcome.clean and report.failures() == []
    passed = {test.name for test in report.tests if test.status == "pass"}
    there = {test.name for test in ktap.parse(ended.console).tests if test.status == "pass"}
    less = {name for name in passed - there if not name.startswith(OF_DEVICES)}
    assert less == ({chosen.without} if chosen.without else set())
