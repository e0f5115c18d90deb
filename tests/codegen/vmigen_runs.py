# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Runs of the generator, and the inputs of its tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
SMALL = HERE / "small"


@dataclass(frozen=True)
class Run:
    """How a run ended and what it printed."""

    status: int
    out: str
    err: str


Vmigen = Callable[..., Run]


def process(*arguments: object, **environment: str) -> Run:
    """Runs the generator as people and builds do, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "vmigen", *(str(argument) for argument in arguments)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "codegen"), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def small(*backends: str) -> list[str]:
    """Options that name the small specification and backends of it."""
    return [
        "--spec",
        str(SMALL / "vmi.yaml"),
        "--backends",
        *(str(SMALL / "backends" / name) for name in backends),
    ]


ARCHITECTURES = ("i386", "x86_64")
"""Those that code is generated for."""

COMPILE = {"i386": "-m32", "x86_64": "-m64"}
"""What makes a compiler on a PC compile for one of them."""


def folders(project: Path = PROJECT, arch: str | None = None) -> list[Path]:
    """The folders of all backends that there are, or of those for an architecture."""
    files = sorted((project / "backends").glob("*/backend.yaml"))
    return [file.parent for file in files if arch is None or arch in _architectures(file)]


def _architectures(file: Path) -> list[str]:
    listed = re.search(r"^architectures: \[(.*)\]", file.read_text(), re.MULTILINE)
    return listed[1].split(", ") if listed else []


def real(project: Path = PROJECT, arch: str = "i386") -> list[str]:
    """Options that name the project's specification and all its backends of an architecture."""
    return [
        "--arch",
        arch,
        "--spec",
        str(project / "spec" / "vmi.yaml"),
        "--backends",
        *(str(folder) for folder in folders(project, arch)),
    ]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
