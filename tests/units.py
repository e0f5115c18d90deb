# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a build directory compiles, by its compile_commands.json.

Most sources are compiled for each library that has them. What is true of each compilation alone is shown by
one of them in a fraction of the time; what generators write for a library is a source of its own.
"""

from __future__ import annotations

import json
from pathlib import Path


def each_once(build: Path, below: str = "") -> list[str]:
    """Objects of a build directory, or those whose names begin so, as Ninja's targets: one of each source, of
    which one that is built goes first. Left out is what holds the images of all libraries."""
    units = json.loads((build / "compile_commands.json").read_text())
    units.sort(key=lambda unit: not (build / unit["output"]).is_file())
    found: dict[str, str] = {}
    for unit in units:
        if unit["output"].startswith(below) and not unit["file"].endswith("/builtin.S"):
            found.setdefault(unit["file"], unit["output"])
    return list(found.values())
