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
from .targets import IMAGES, TARGETS

EXECUTIONS = 500_000
"""Of a piece; each target says how many it gets in all (program.py)."""


class Fuzz(Part):
    name = "fuzz"
    summary = (
        "what the runtime reads with suspicion, fuzzed: "
        f"{IMAGES // 1_000_000} million executions with images, 10 million of each other target"
    )
    of = ("spec", "codegen", "runtime", "devices", "backends", "tests/fuzz")

    def pieces(self) -> list[str]:
        numbered = [
            (number, target.name) for target in TARGETS for number in range(target.long_runs // EXECUTIONS)
        ]
        return [f"{name} {number + 1}" for number, name in sorted(numbered, key=lambda each: each[0])]

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
                result = run(programs[name], corpus, Path(finds), f"-runs={EXECUTIONS}",
                             f"-max_len={known[name].longest}")  # fmt: skip
                found = [str(shutil.copy(find, kept)) for find in result.finds]
            failure = ""
            if found:
                log = kept / f"{Path(found[0]).name}.log"
                log.write_text(result.log)
                failure = f"found {', '.join(found)}; see {log}"
            elif result.executions < EXECUTIONS:
                failure = f"expected {EXECUTIONS} executions, found {result.executions}"
            yield Result(
                piece,
                {
                    "executions": result.executions,
                    f"executions of {name}": result.executions,
                    "seconds fuzzed": result.seconds,
                },
                failure,
                f"{result.units} inputs kept",
                reached={f"edges of {name}": result.edges},
            )


PARTS = (Fuzz(),)
