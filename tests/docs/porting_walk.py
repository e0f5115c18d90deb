# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Walks through docs/porting.md in a copy of the tree: `python tests/docs/porting_walk.py` brings the output
that it shows up to date, and test_porting.py compares.

In a block marked `console`, a line `$ …` is a command (continued by lines `> …`), what follows is its
standard output.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/porting.md"
LEFT_OUT = (".git", ".venv", "build", "results", "__pycache__", ".hypothesis", ".mypy_cache", ".ruff_cache")


def copy(tree: Path) -> None:
    """A copy of the sources that uses this tree's tools."""
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
    (tree / ".venv").symlink_to((ROOT / ".venv").resolve())


def commands(block: str) -> list[list[str]]:
    """The lines of each command of a block, as they stand there."""
    found: list[list[str]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append([line])
        elif line.startswith("> ") or line == ">":
            found[-1].append(line)
    return found


def run(lines: list[str], tree: Path) -> str:
    done = subprocess.run(
        ["bash", "-c", "\n".join(line[2:] for line in lines)],
        cwd=tree, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{lines[0]}: {done.stderr}")
    return done.stdout


def walk(text: str, tree: Path) -> str:
    """The document with the output that its commands have now."""

    def block(found: re.Match[str]) -> str:
        out = "".join("\n".join(lines) + "\n" + run(lines, tree) for lines in commands(found[1]))
        return f"```console\n{out}```"

    return re.sub(r"^```console\n(.*?)^```$", block, text, flags=re.MULTILINE | re.DOTALL)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "vmi"
        copy(tree)
        DOCUMENT.write_text(walk(DOCUMENT.read_text(), tree))


if __name__ == "__main__":
    main()
