# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bochs, a second PC: what passes in QEMU passes there, on processors that QEMU's emulator does not play."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ci import ktap
from ci.util import ARCHITECTURES

from ..guests import Whole, places
from .bochs import BOOTS, boot, choice

OF_DEVICES = ("disks.", "networks.", "entropy.")
IDENTIFIERS = ("paging.identifiers_kept", "paging.identifiers_dropped")


@pytest.mark.parametrize("arch", BOOTS)
def test_verdicts_agree(arch: str, whole: Whole, tmp_path: Path) -> None:
    """Of the same kernel with the same checks; devices are QEMU's alone."""
    chosen = choice(arch)
    record, ended = boot(arch, chosen, tmp_path, "ordinary")
    assert (record.verdict, ended.powered_off) == ("runs", True), ended.console[-3000:] + ended.log[-2000:]
    there = {test.name: test.status for test in ktap.parse(ended.console).tests}
    if arch == ARCHITECTURES[1]:  # what QEMU's emulator does not play
        assert re.search("^# timers .* invariant=yes ", ended.console, re.MULTILINE)
        assert re.search("^# feature pcid: on$", ended.console, re.MULTILINE)
        assert {name: there[name] for name in IDENTIFIERS} == dict.fromkeys(IDENTIFIERS, "pass")
    outcome, report = whole(places(arch)[0])
    assert outcome.clean and report.failures() == []
    passed = {test.name for test in report.tests if test.status == "pass"}
    here = {name for name, status in there.items() if status == "pass"}
    less = {name for name in passed - here if not name.startswith(OF_DEVICES)}
    assert less == {name for name in passed if chosen.without and name.startswith(chosen.without)}
