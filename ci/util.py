# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Small things that every command needs: paths, one-line errors, whole-or-nothing files."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vmigen.program import tell

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
RESULTS = ROOT / "results"
ARCHITECTURES = ("i386", "x86_64")
"""What is built for, each in a tree of its own; the first one's is what is installed."""

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


class Told(UserError):
    """Lines of another program's that say it all; printed as they are."""


def remembered(path: Path) -> dict[str, Any]:
    """The JSON object in a file that an earlier run wrote; an empty one if there is none, or it is
    damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def progress(message: str) -> None:
    """One line of progress, on stderr so that results stay alone on stdout."""
    with above():
        tell(f"vmi: {message}")


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
    if path.exists() and not path.is_file():
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise OSError(errno.EINVAL, "is a pipe, socket or device", str(path))
    if path.is_file() and path.read_bytes() == new:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        _replace(path, new)
    return True


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Names the file in errors that the system reports without one, such as a full device."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _replace(path: Path, new: bytes) -> None:
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


PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def die_with(parent: int) -> None:
    """Have this process killed as soon as its parent has ended, in whatever way.

    More exactly it is the parent's thread that started it (prctl(2), PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        os.kill(os.getpid(), signal.SIGKILL)


def tied() -> Callable[[], None]:
    """`preexec_fn` of a child that is not to outlive this process, as every QEMU is."""
    return functools.partial(die_with, os.getpid())


@contextlib.contextmanager
def locked(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold an advisory lock on `path`, so that two runs do not build the same thing at once. Whoever has to
    wait for it says `waiting`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                progress(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
