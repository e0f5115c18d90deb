# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Writes outputs: whole or not at all, and only where their bytes change, so that a build redoes no more."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from . import files
from .problems import Stop, reason


def write(folder: Path, texts: dict[str, str]) -> list[str]:
    """Writes what has changed; returns its paths.

    Every file is first written beside its place and then renamed; nothing is renamed before all are written,
    so that a full disk or a folder without permission leaves the earlier outputs as they were.
    """
    pending: list[tuple[Path, Path]] = []
    changed: list[str] = []
    try:
        for path, text in texts.items():
            target = folder / path
            data = text.encode("utf-8")
            if _same(target, data):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(21, os.strerror(21), str(target))
            if target.exists() and not target.is_file():
                raise OSError(errno.EINVAL, "Is a pipe, socket or device", str(target))
            # Known before it exists: whatever ends the run from here on, it is removed.
            temporary = target.parent / f".{target.name}.{secrets.token_hex(8)}"
            pending.append((temporary, target))
            with temporary.open("xb") as stream:
                stream.write(data)
            temporary.chmod(0o644)
            changed.append(path)
        while pending:
            temporary, target = pending[0]
            os.replace(temporary, target)
            pending.pop(0)
    except OSError as error:
        where = error.filename2 or error.filename or folder
        raise Stop(
            f"{where}:1:1: error: cannot write ({reason(error)}); expected a folder that can be written; "
            "choose another with --out, or mend its permissions or space"
        ) from None
    finally:
        for temporary, _ in pending:
            temporary.unlink(missing_ok=True)
    return changed


def remove_others(folder: Path, texts: dict[str, str], below: tuple[str, ...]) -> None:
    """Removes what an earlier run wrote into these folders and this one did not."""
    for name in below:
        for path in sorted((folder / name).rglob("*")):
            if path.is_file() and str(path.relative_to(folder)) not in texts:
                path.unlink()


def _same(target: Path, data: bytes) -> bool:
    try:
        return files.read(target) == data
    except OSError:
        return False
