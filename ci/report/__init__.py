# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi report`: one HTML page of what the last runs have left in results/.

`inputs` reads what is there, `drawing` makes the pictures (SVG in the page itself), `templates/` is the page.
The page needs nothing else: no network, no other file, and without scripts only its filters are missing.
"""

from __future__ import annotations

from pathlib import Path

from ..util import RESULTS, ROOT, UserError, write_if_changed


def report(results: Path | None, output: Path | None) -> int:
    """Write the page and say where it is and what it could not show."""
    from .page import render

    folder = results or RESULTS
    if not folder.is_dir() and results:
        raise UserError(f"no folder {folder}", 2)
    path = output or folder / "report.html"
    page, missing = render(folder)
    try:
        write_if_changed(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}: {len(page.encode())} bytes")
    for line in missing:
        print(f"  {line}")
    return 0
