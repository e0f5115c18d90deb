# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Every processor model of QEMU and many of Bochs, with the kernels of both architectures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ci.long import Part, Result
from ci.util import ARCHITECTURES

from ..guests import places
from . import bochs
from .models import MODELS, X86_64, boot, wrong

OF = ("spec", "codegen", "runtime", "devices", "backends/native", "sample_kernel", "tests/machines")


class Models(Part):
    of = OF
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


class Bochs(Part):
    of = OF
    name = "bochs"
    summary = f"the sample kernels on {len(bochs.MODELS)} processor models of Bochs"

    def pieces(self) -> list[str]:
        return [f"{model} {arch}" for model in bochs.MODELS for arch in ARCHITECTURES]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for piece in pieces:
            model, arch = piece.split()
            record, _ = bochs.boot(arch, replace(bochs.choice(arch), model=model), folder / piece, "long")
            wanted = "refuses" if arch == X86_64 and model in bochs.NARROW else "runs"
            failure = "" if record.verdict == wanted else f"expected {wanted}, found {record.words}"
            yield Result(piece, {"boots": 1}, failure, record.words, on={"Bochs": record.where})


PARTS = (Models(), Bochs())
