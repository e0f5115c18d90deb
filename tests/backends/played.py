# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Checks of a library's C that run as a process, against a machine that the same file plays.

Such a file is C of its own without a C library, so that no 32-bit one has to be installed. It can be run as
code of either architecture. played.h has what they share: a row `CHECK(name),` for each check, of which it
prints `ok NAME` or `not ok NAME: line N`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from ci.build import tree
from ci.util import ROOT
from tests.seeds import SEED

COMPILE = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-march=x86-64", "-mno-red-zone")}

NOTED = "VMI_PLAYED"
"""In the environment: a file to which the command of each program that is built is added, a line of JSON."""

SEEDS_APART = 3000
"""So many seeds the checks go through, or fewer."""


def place_of_the_image(arch: str) -> list[Path]:
    """The source that physical addresses of a library's own parts need, where the architecture has one."""
    return list((ROOT / "runtime/arch" / arch).glob("image_place.c"))


def headers(library: str, arch: str) -> list[str]:
    """What the compiler is told for a library's sources: where its generated headers are, and of the
    hypervisor's public ones what its meson.build says."""
    built = (ROOT / "backends" / library / "meson.build").read_text()
    found = re.search(r"^\w+_headers = \[(.*)\]$", built, re.MULTILINE)
    assert found, f"{library}/meson.build has no headers of a hypervisor"
    return [f"-I{tree(arch) / 'include' / library}", *re.findall(r"'([^']*)'", found[1])]


def checks(source: Path) -> list[str]:
    """The names of a file's checks, in whatever way their rows are laid out."""
    found = re.findall(r"\bCHECK\((\w+)\)", source.read_text())
    assert found, f"{source.name} has no checks"
    return found


def results(
    source: Path, folder: Path, *more: str | Path, arch: str = "i386", root: Path = ROOT, seconds: float = 300
) -> dict[str, str]:
    """What each check said; the program is built in that folder, with more arguments and files, of the tree
    `root`, and stopped after so many seconds."""
    program = folder / source.stem
    command = ["gcc", *COMPILE[arch], "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie",
               "-fno-stack-protector", "-mgeneral-regs-only", "-nostdlib", "-static", "-Wall", "-Wextra",
               "-Werror", f"-DFIRST_SEED={1 + SEEDS_APART * SEED}u", f"-I{tree(arch) / 'include'}",
               f"-I{root / 'backends'}", f"-I{root / 'runtime'}",
               f"-I{root / 'tests'}", "-o", str(program), str(source),
               *map(str, (*place_of_the_image(arch), *more))]  # fmt: skip
    if NOTED in os.environ:
        with open(os.environ[NOTED], "a") as file:
            print(json.dumps(command), file=file)
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}"
    return said(done.stdout)


def said(output: str) -> dict[str, str]:
    """What each check said, of what the program has printed: empty if it held."""
    lines = [re.fullmatch(r"(?:not )?ok (\w+)(?:: (.*))?", line) for line in output.splitlines()]
    return {line[1]: line[2] or "" for line in lines if line}
