# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Small things that every command needs: paths, one-line errors, whole-or-nothing files."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
RESULTS = ROOT / "results"

Progress = Callable[[str], None]


class UserError(Exception):
    """Something a person can mend; printed as one line, never as a traceback."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


SCREEN = threading.RLock()
"""Held by whoever writes on the terminal."""

around: list[tuple[Callable[[], None], Callable[[], None]]] = []
"""What takes the line away that a terminal shows last, and draws it again (ci/status.py)."""


@contextlib.contextmanager
def above() -> Iterator[None]:
    """Write lines above that one."""
    with SCREEN:
        if around:
            around[-1][0]()
        yield
        if around:
            around[-1][1]()


def progress(message: str) -> None:
    """One line of progress, on stderr so that results stay alone on stdout."""
    with above():
        print(f"vmi: {message}", file=sys.stderr, flush=True)


def cache_dir() -> Path:
    """Where unpacked packages and rigs live between runs; `VMI_CACHE` overrides it."""
    named = os.environ.get("VMI_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "vmi-sdk"


def write_if_changed(path: Path, data: bytes | str) -> bool:
    """Write the file whole or not at all, and only if its bytes change; says whether it did."""
    new = data.encode() if isinstance(data, str) else data
    if path.is_file() and path.read_bytes() == new:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(new)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on `path`, so that two runs do not build the same thing at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
