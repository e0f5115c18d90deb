# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Every processor model, with the kernels of both architectures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.long import Part, Result
from ci.util import ARCHITECTURES

from ..guests import places
from .models import MODELS, boot, wrong


class Models(Part):
    name = "models"
    summary = f"the sample kernels on {len(MODELS)} processor models of QEMU"

    def pieces(self) -> list[str]:
        return [f"{model} {arch}" for model in MODELS for arch in ARCHITECTURES]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for piece in pieces:
            model, arch = piece.split()
            record, _ = boot(model, arch, folder, "long")
            counts = {"boots": 1, f"boots: {record.verdict}": 1}
            yield Result(piece, counts, wrong(record), record.words, on=places(arch)[0].rig.describe())


PARTS = (Models(),)
