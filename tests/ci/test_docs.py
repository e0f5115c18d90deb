# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The rendered pages of docs/ are what the specification says now."""

from __future__ import annotations

import shutil
from pathlib import Path

from ci.build import PAGES, stale_pages


def test_rendered_pages_are_current() -> None:
    assert list(stale_pages()) == [], "./vmi regenerate brings docs/ up to date"


def test_stale_pages_are_found(root: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(root / "docs", docs)
    page, folder = (docs / name for name in PAGES)
    changed, gone, *_ = sorted(folder.iterdir())
    foreign = folder / "foreign.md"
    wanted = {page: page.read_bytes(), changed: changed.read_bytes(), gone: gone.read_bytes(), foreign: None}
    page.write_text("")
    changed.write_bytes(changed.read_bytes() + b"\n")
    gone.unlink()
    foreign.write_text("not rendered\n")
    found = stale_pages(docs)
    assert sorted(found) == sorted(wanted)
    assert found == wanted
