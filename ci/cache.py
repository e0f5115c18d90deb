# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Folders that are made once and kept, with the hash of every file: what is damaged is made anew.

Packages, what is unpacked from them, rigs' images and probes' answers are all kept so.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from .util import Progress, remembered

HASHES = "sha256.json"
"""In each folder: a path below it and what is there, for all files and links."""


def _hashes(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"link to {os.readlink(path)}"
        elif path.is_file() and name != HASHES:
            with open(path, "rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def damage(folder: Path) -> str:
    """What is not as it was when the folder was made; empty if all is."""
    wanted = remembered(folder / HASHES)
    if not wanted:
        return "its hashes are missing or damaged"
    found = _hashes(folder)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            how = "is missing" if name not in found else "is new" if name not in wanted else "is damaged"
            return f"{name} {how}"
    return ""


def kept(folder: Path, make: Callable[[Path], None], report: Progress) -> Path:
    """The folder as `make` filled it, now or earlier. The caller holds a lock on it."""
    if folder.is_dir():
        found = damage(folder)
        if not found:
            return folder
        report(f"{folder} in the cache is damaged: {found}; it is made anew")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as place:
        new = Path(place) / "new"
        new.mkdir()
        make(new)
        (new / HASHES).write_text(json.dumps(_hashes(new), indent=1) + "\n")
        if folder.exists():
            folder.rename(Path(place) / "old")
        new.rename(folder)
    return folder
