# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A flavour of a library (runtime/flavour.h): the library's objects under other names, and in front of them
the generated entry points with an object that has the flavour's two functions.

    vmiflavour.py --symbols flavour.syms --out libvmi-NAME-FLAVOUR.a libvmi-NAME.a flavour.o hooks.o…

The first archive's symbols are renamed by `flavour.syms`, so the library calls itself past the flavour. The
kernel is linked with the result in place of the library. An object that is called as one of the library's is
the same source as the flavour has it, and stands in place of that one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


class FlavourError(Exception):
    """Told as one line."""


def run(tool: str, *arguments: str | Path) -> str:
    try:
        done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True)
    except OSError as error:
        raise FlavourError(f"cannot run {tool} ({error.strerror}); expected binutils; install them") from None
    if done.returncode:
        first = (done.stderr or done.stdout).strip().splitlines()
        raise FlavourError(first[0] if first else f"{tool} failed with status {done.returncode}")
    return done.stdout


def make(library: Path, symbols: Path, objects: Sequence[Path], out: Path) -> None:
    """Writes the archive whole or not at all."""
    for path in (library, symbols, *objects):
        if not path.is_file():
            raise FlavourError(f"{path}: no such file; build it first")
    with library.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise FlavourError(
                f"{library}: not an archive with its objects in it; give a library libvmi-NAME.a"
            )
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        shutil.copyfile(library, made)
        own = set(run("ar", "t", library).split())
        if instead := [path for path in objects if path.name in own]:
            run("ar", "rD", made, *instead)
        run("objcopy", f"--redefine-syms={symbols}", made)
        run("ar", "rD", made, *(path for path in objects if path not in instead))
        os.replace(made, out)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="vmiflavour", description="Make a flavour of a library.")
    parser.add_argument("--symbols", type=Path, required=True, help="the generated flavour.syms")
    parser.add_argument("--out", type=Path, required=True, help="the archive to write")
    parser.add_argument("library", type=Path, help="libvmi-NAME.a")
    parser.add_argument(
        "objects", type=Path, nargs="+", help="flavour.S, assembled, and the flavour's functions"
    )
    options = parser.parse_args(arguments)
    try:
        make(options.library, options.symbols, options.objects, options.out)
    except FlavourError as error:
        print(f"vmiflavour: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
