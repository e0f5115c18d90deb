# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fuzzing for hours; the corpus grows from piece to piece and from run to run (results/fuzz/)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.long import Part, Result
from ci.util import RESULTS

from .program import SANITIZERS, run
from .targets import TARGETS

SECONDS = 120
"""Of a piece."""
ROUNDS = 120


class Fuzz(Part):
    name = "fuzz"
    summary = (
        f"what the runtime reads with suspicion, fuzzed: {ROUNDS} times {SECONDS // 60} minutes a target"
    )
    of = ("spec", "codegen", "runtime", "devices", "backends", "tests/fuzz")

    def pieces(self) -> list[str]:
        return [f"{target.name} {number}" for number in range(1, ROUNDS + 1) for target in TARGETS]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        known = {target.name: target for target in TARGETS}
        programs: dict[str, Path] = {}
        for piece in pieces:
            name = piece.split()[0]
            own = RESULTS / "fuzz" / name
            if name not in programs:
                programs[name] = known[name].build(own, SANITIZERS)
            corpus, kept = known[name].plant(own / "corpus"), own / "finds"
            kept.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="vmi-fuzz-") as finds:
                result = run(programs[name], corpus, Path(finds), f"-max_total_time={SECONDS}",
                             f"-max_len={known[name].longest}")  # fmt: skip
                found = [str(shutil.copy(find, kept)) for find in result.finds]
            counts = {
                "executions": result.executions,
                f"executions of {name}": result.executions,
                "seconds fuzzed": result.seconds,
            }
            failure = ""
            if found:
                log = kept / f"{Path(found[0]).name}.log"
                log.write_text(result.log)
                failure = f"found {', '.join(found)}; see {log}"
            yield Result(piece, counts, failure, f"{result.units} inputs kept")


PARTS = (Fuzz(),)
