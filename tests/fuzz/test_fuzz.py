# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bounded runs of the fuzz targets; `python -m tests.fuzz` has no bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.util import BUILD

from .targets import SANITIZERS, TARGETS, Target, run

SEED = 1


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_is_found(target: Target, tmp_path: Path) -> None:
    """From the seeds, always the same way."""
    corpus = target.plant(tmp_path / "corpus")
    planted = sum(1 for _ in corpus.iterdir())
    program = target.build(tmp_path, SANITIZERS)
    result = run(program, corpus, tmp_path / "finds", f"-seed={SEED}", f"-runs={target.runs}",
                 f"-max_len={target.longest}")  # fmt: skip
    assert not result.finds, result.log[-4000:]
    assert result.executions >= target.runs
    assert result.units > planted, "the seeds reach more than they did: what is new is kept"


def test_images_of_the_build_hold(tmp_path: Path) -> None:
    """The real images, all of which are accepted, are held to the same."""
    target = next(target for target in TARGETS if target.seeds.__name__ == "images")
    images = sorted((BUILD / "backends").glob("*.rom"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for image in images:
        (corpus / image.name).write_bytes(image.read_bytes())
    result = run(target.build(tmp_path, SANITIZERS), corpus, tmp_path / "finds", "-runs=0", "-max_len=65536")
    assert not result.finds, result.log[-4000:]
    assert result.executions >= len(images) > 0
