# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Processor models: on some of QEMU's all checks run, or the kernel says why it cannot. The long tier has
them all (long.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci import ktap
from ci.util import ROOT

from .models import I386, MODELS, NARROW, X86_64, boot, lacking, wrong

CHOSEN = (
    ("pentium3", I386),
    ("n270", I386),
    ("n270", X86_64),
    ("phenom", X86_64),
    ("Opteron_G5", X86_64),
    ("EPYC-Milan", X86_64),
)
"""Old and new ones, of both makers, each with one of the architectures; `max` has tests of its own
(backends/native/tests/test_native_features.py)."""
NEWEST = CHOSEN[-1]
KEPT = {"entries.bases", "entries.vectors"}
"""Checks of what processes have on a processor of today only; on others they are skipped."""


@pytest.mark.parametrize(("model", "arch"), CHOSEN)
def test_runs_or_says_why_not(model: str, arch: str, tmp_path: Path) -> None:
    record, outcome = boot(model, arch, tmp_path, "ordinary")
    assert record.verdict != "absent"
    assert wrong(record) == "", outcome.console[-3000:]
    passed = {test.name for test in ktap.parse(outcome.console).tests if test.status == "pass"}
    assert KEPT & passed == (KEPT if (model, arch) == NEWEST else set())


def test_there_are_twenty_that_every_qemu_here_has() -> None:
    assert len(MODELS) == len(set(MODELS)) >= 20
    assert set(NARROW) < set(MODELS)
    assert MODELS[0] == "pentium3"


def test_the_document_names_each() -> None:
    text = (ROOT / "docs/machines.md").read_text()
    assert [model for model in MODELS if f"`{model}`" not in text] == []


def test_what_an_emulator_lacks() -> None:
    warning = "qemu-system-x86_64: warning: "
    lacks = f"{warning}TCG doesn't support requested feature: "
    said = (
        f"{lacks}CPUID.01H:ECX.pcid [bit 17]\n" * 2
        + f"{lacks}CPUID.07H:EBX.invpcid [bit 10]\n"
        + f"{warning}something else\n"
    )
    assert lacking(said) == ["invpcid", "pcid"]
