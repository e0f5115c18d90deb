# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Fuzzes what the runtime reads with suspicion, for as long as one likes:

    .venv/bin/python -m tests.fuzz [--seconds N] [TARGET…]

`rom-ARCH` is provider images and call sites, `loader` what a boot loader leaves; the others are devices that
lie, named after their drivers: `virtio`, `nvme`, `ahci`, `e1000`, and those of backends (targets.py).
Each runs for N seconds (60), in one process, from the corpus that former runs have left in results/fuzz/;
then executions, time, and what the corpus covers are printed. Exit status 1 if something was found: the
input is kept there, and named.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ci.build import build
from ci.util import ARCHITECTURES, RESULTS, UserError, progress

from .program import SANITIZERS, coverage, run
from .targets import TARGETS

FUZZ = RESULTS / "fuzz"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UserError(message, 2)


def main(arguments: list[str]) -> int:
    parser = Parser(prog="python -m tests.fuzz", add_help=False)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args(arguments)
    known = {target.name: target for target in TARGETS}
    for name in options.targets:
        if name not in known:
            raise UserError(f"no target {name}; there are {' '.join(known)}", 2)
    if options.seconds < 1:
        raise UserError("--seconds wants a positive number", 2)
    # The build's tools are beside this Python.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for arch in ARCHITECTURES:
        build("include/vmi/vmi.h", arch=arch)
    found = False
    for name in options.targets or known:
        target, folder = known[name], FUZZ / name
        program = target.build(folder, SANITIZERS)
        corpus = target.plant(folder / "corpus")
        progress(f"fuzzing {name} for {options.seconds} s")
        result = run(program, corpus, folder / "found", f"-max_total_time={options.seconds}",
                     f"-max_len={target.longest}")  # fmt: skip
        (folder / "log").write_text(result.log)
        if result.finds:
            found = True
            print(f"{name}: FOUND {' '.join(map(str, result.finds))}; see {folder / 'log'}")
            continue
        print(f"{name}: {result.executions} executions in {result.seconds} s, {result.units} inputs kept, "
              f"{result.edges} edges, nothing found")  # fmt: skip
        table, missed = coverage(target, corpus, folder / "coverage")
        for file, row in table.items():
            print(f"    {file}: " + ", ".join(f"{kind} {count}" for kind, count in row.items()))
        for line in missed.splitlines():
            print(f"    not reached: {line}")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"fuzz: {error}", file=sys.stderr)
        sys.exit(error.status)
