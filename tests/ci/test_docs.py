# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The rendered pages of docs/ are what the specification says now."""

from __future__ import annotations

from pathlib import Path

from ci.build import PAGES
from ci.util import BUILD


def pages(folder: Path) -> dict[str, bytes]:
    files = [path for page in PAGES for path in [folder / page, *(folder / page).rglob("*")]]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


def test_rendered_pages_are_current(root: Path) -> None:
    rendered = pages(BUILD / "generated")
    assert len(rendered) > 10
    assert pages(root / "docs") == rendered, "./vmi regenerate brings docs/ up to date"
