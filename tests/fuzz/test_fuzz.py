# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Bounded runs of the fuzz targets; `python -m tests.fuzz` has no bounds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ci.build import tree
from ci.util import ARCHITECTURES

from . import long
from .program import SANITIZERS, Target, run
from .targets import TARGETS

SEED = 1


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("fuzz")
    return {target.name: target.build(folder, SANITIZERS) for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_nothing_is_found(target: Target, programs: dict[str, Path], tmp_path: Path) -> None:
    """From the seeds, with a fixed seed for what comes of them."""
    corpus = target.plant(tmp_path / "corpus")
    planted = sum(1 for _ in corpus.iterdir())
    result = run(programs[target.name], corpus, tmp_path / "finds", f"-seed={SEED}", f"-runs={target.runs}",
                 f"-max_len={target.longest}")  # fmt: skip
    assert not result.finds, result.log[-4000:]
    assert result.executions >= target.runs
    assert result.units > planted, "the seeds reach more than they did: what is new is kept"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_images_of_the_build_hold(arch: str, programs: dict[str, Path], tmp_path: Path) -> None:
    """The real images are held to the same."""
    images = sorted((tree(arch) / "backends").glob("*.rom"))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for image in images:
        (corpus / image.name).write_bytes(image.read_bytes())
    longest = max(image.stat().st_size for image in images)
    result = run(programs[f"rom-{arch}"], corpus, tmp_path / "finds", "-runs=0", f"-max_len={longest}")
    assert not result.finds, result.log[-4000:]
    assert result.executions >= len(images) > 0


def test_long_tests_count_executions() -> None:
    """Over all its pieces each target has its number of them."""
    pieces = Counter(piece.split()[0] for piece in long.Fuzz().pieces())
    counts = {target.name: pieces[target.name] * long.EXECUTIONS for target in TARGETS}
    assert sum(counts[f"rom-{arch}"] for arch in ARCHITECTURES) == 100_000_000
    assert all(count >= 10_000_000 for count in counts.values())


def test_a_piece_has_its_executions(
    programs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it has failed; how many edges were taken is told."""
    monkeypatch.setattr(long, "RESULTS", tmp_path)
    monkeypatch.setattr(long, "EXECUTIONS", 500)
    monkeypatch.setattr(Target, "build", lambda target, *_: programs[target.name])
    (piece,) = long.Fuzz().run(["nvme 1"], tmp_path)
    assert not piece.failure and piece.counts["executions of nvme"] == piece.counts["executions"] >= 500
    assert piece.reached["edges of nvme"] > 100
    monkeypatch.setattr(long, "run", lambda *words: run(*words, "-runs=400"))
    (piece,) = long.Fuzz().run(["nvme 2"], tmp_path)
    assert piece.failure == f"expected 500 executions, found {piece.counts['executions']}"
