# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The suite's own tests, repeated, and those that the ordinary tier leaves out."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ci.build import build
from ci.long import Part, Result
from ci.testing import cases, workers
from ci.util import ARCHITECTURES, ROOT, UserError, tied

SEEDS = 500
ROUNDS = 5
FAILURES = 5
"""Names of failed tests that a result has; the log has all."""


def suite(piece: str, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Result:
    """What pytest made of these tests; its output is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    name = piece.replace("/", "-").replace(" ", "-")
    junit, log = folder / f"{name}.xml", folder / f"{name}.log"
    junit.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider",
               f"--junitxml={junit}", *arguments]  # fmt: skip
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, check=False, preexec_fn=tied(),
        )  # fmt: skip
    ended = cases(junit)
    if not ended:
        raise UserError(f"{piece}: pytest ran no test; see {log}")
    failed = [case.name for case in ended if case.result == "fail"]
    if done.returncode and not failed:
        failed = [f"pytest itself, with {done.returncode}"]
    more = f" and {len(failed) - FAILURES} more" if len(failed) > FAILURES else ""
    failure = f"{', '.join(failed[:FAILURES])}{more}; see {log}" if failed else ""
    words = {"pass": "passed", "fail": "failed", "skip": "skipped"}
    return Result(piece, Counter(words[case.result] for case in ended), failure)


def test_files() -> list[Path]:
    patterns = ("tests/*/test_*.py", "backends/*/tests/test_*.py")
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


class Cases(Part):
    name = "cases"
    summary = "tests, and cases of tests, that the ordinary tier leaves out (mark `long`)"

    def pieces(self) -> list[str]:
        """The files that have any."""
        marked = [path for path in test_files() if re.search(r"\bmark\.long\b", path.read_text())]
        return [str(path.relative_to(ROOT)) for path in marked]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for piece in pieces:
            yield suite(piece, folder, ["-m", "long", piece], {})


class Seeds(Part):
    name = "seeds"
    summary = f"tests that draw random numbers (mark `seeded`), with {SEEDS} other seeds"

    def pieces(self) -> list[str]:
        return [f"seed {number}" for number in range(1, SEEDS + 1)]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for piece in pieces:
            yield suite(piece, folder, ["-m", "seeded and not long"], {"VMI_SEED": piece.split()[1]})


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep each processor busy with something else."""
    with contextlib.ExitStack() as stack:
        for _ in os.sched_getaffinity(0):
            process = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=tied())
            )
            stack.callback(process.kill)
        yield


class Busy(Part):
    name = "busy"
    summary = f"all tests {ROUNDS} times on a machine whose processors are busy with something else"

    def pieces(self) -> list[str]:
        """A folder of tests at a time."""
        found = {path.relative_to(ROOT).parent for path in test_files()}
        return [f"round {number} {folder}" for number in range(1, ROUNDS + 1) for folder in sorted(found)]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for arch in ARCHITECTURES:
            build("languages", arch=arch)  # as ./vmi test does
        for piece in pieces:
            with busy():
                result = suite(piece, folder, [piece.split()[2], *workers()], {})
            yield result


PARTS = (Cases(), Seeds(), Busy())
