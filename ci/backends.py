# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The backend folders, found by looking: adding a folder adds a backend, deleting it removes it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .util import ROOT, UserError


def backends(chosen: Sequence[str] = (), arch: str = "") -> dict[str, str]:
    """Backends and the one each inherits from (or ""), parents first; `chosen` and their parents only,
    unless it is empty; those for one architecture only, if it is named."""
    parents = {}
    for path in sorted((ROOT / "backends").glob("*/backend.yaml")):
        # What is wrong about a file is for the generator to say.
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        listed = re.search(r"^architectures:[ \t]*\[(.*)\]", text, re.MULTILINE)
        if arch and listed and arch not in re.findall(r"\w+", listed[1]):
            continue
        found = re.search(r"^inherits:[ \t]*(\w+)", text, re.MULTILINE)
        parents[path.parent.name] = found[1] if found else ""
    order: dict[str, str] = {}

    def place(name: str, below: tuple[str, ...] = ()) -> None:
        if name in parents and name not in order and name not in below:
            place(parents[name], (*below, name))
            order[name] = parents[name]

    for name in chosen or parents:
        if name not in parents:
            raise UserError(f"no backend {name}; there are: {', '.join(parents)}", 2)
        place(name)
    return order
