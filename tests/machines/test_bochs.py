# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bochs, a second PC: what passes in QEMU passes there, on processors that QEMU's emulator does not play."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import ktap

from ..guests import Run, places
from .bochs import BOOTS, boot


@pytest.mark.parametrize("arch", BOOTS)
def test_verdicts_agree(arch: str, run: Run, tmp_path: Path) -> None:
    """Of the same kernel with the same checks; devices are QEMU's alone."""
    chosen = BOOTS[arch]
    record, ended = boot(arch, chosen, tmp_path, "ordinary")
    assert (record.verdict, ended.powered_off) == ("runs", True), ended.console[-3000:] + ended.log[-2000:]
    outcome, report = run(places(arch)[0], chosen.append, cpus=chosen.cpus, devices=False)
    assert outcome.clean and report.failures() == []
    passed = {test.name for test in report.tests if test.status == "pass"}
    there = {test.name for test in ktap.parse(ended.console).tests if test.status == "pass"}
    assert passed - there == set()
