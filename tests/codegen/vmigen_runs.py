# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Runs of the generator, and the inputs of its tests."""

from __future__ import annotations

import os
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


def folders(project: Path = PROJECT) -> list[Path]:
    """The folders of all backends that there are."""
    return sorted(path.parent for path in (project / "backends").glob("*/backend.yaml"))


def real(project: Path = PROJECT) -> list[str]:
    """Options that name the project's specification and all its backends."""
    return [
        "--spec",
        str(project / "spec" / "vmi.yaml"),
        "--backends",
        *(str(folder) for folder in folders(project)),
    ]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
