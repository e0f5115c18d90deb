# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Checks of a library's C that run as a process, against a machine that the same file plays.

Such a file is C of its own without a C library, so that no 32-bit one has to be installed. It can be run as
code of either architecture. played.h has what they share: a row `CHECK(name),` for each check, of which it prints `ok NAME` or `not ok NAME: line N`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ci.util import ROOT
from tests.wide import includes

COMPILE = {"i386": ("-m32", "-march=i686"), "x86_64": ("-m64", "-march=x86-64", "-mno-red-zone")}


def checks(source: Path) -> list[str]:
    """The names of a file's checks."""
    return re.findall(r"^    CHECK\((\w+)\),$", source.read_text(), re.MULTILINE)


def results(source: Path, folder: Path, *arguments: str, arch: str = "i386") -> dict[str, str]:
    """What each check said; the program is built in that folder, with the compiler's further arguments."""
    program = folder / source.stem
    command = ["gcc", *COMPILE[arch], "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie",
               "-fno-stack-protector", "-mgeneral-regs-only", "-nostdlib", "-static", "-Wall", "-Wextra",
               "-Werror", f"-I{includes(arch)}", f"-I{ROOT / 'backends'}", f"-I{ROOT / 'runtime'}",
               f"-I{ROOT / 'tests'}", *arguments, "-o", str(program), str(source)]  # fmt: skip
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}"
    lines = [re.fullmatch(r"(?:not )?ok (\w+)(?:: (.*))?", line) for line in done.stdout.splitlines()]
    return {line[1]: line[2] or "" for line in lines if line}
