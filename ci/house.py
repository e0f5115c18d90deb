# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The picture of the house, docs/house.svg: folders from the specification down to what boots and checks,
drawn from the tables of docs/architecture.md and sample_kernel/README.md. tests/layers holds the objects to
the same tables."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from .util import ROOT, UserError

PICTURE = ROOT / "docs/house.svg"
HOUSE = ROOT / "docs/architecture.md"
LAYERED = "sample_kernel"

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """A row of such a table: what stands beside each other, and what it gives."""

    names: tuple[str, ...]
    gives: str
    files: tuple[str, ...]
    """Of a layer: its files. Of a row of folders: the symbols that it leaves to rows after it."""


def _rows(path: Path, head: str) -> list[Row]:
    """The table that begins with this line."""
    _, found, rest = path.read_text(encoding="utf-8").partition(f"\n{head}\n")
    if not found:
        raise UserError(f"{path.relative_to(ROOT)}: there is no table with the line {head}")
    rows = []
    for line in rest.splitlines()[1:]:
        if not line.startswith("|"):
            break
        first, gives, last = (cell.strip() for cell in line.strip("|").split("|"))
        names = tuple(_CODE.findall(first)) or (first,)
        rows.append(Row(names, gives.replace("`", ""), tuple(_CODE.findall(last))))
    return rows


def house() -> list[Row]:
    """Folders, each row standing on those before it."""
    return _rows(HOUSE, "| folders | what they give | what they leave to rows below |")


def layers() -> list[Row]:
    """The sample kernel's layers, each standing on those after it."""
    return _rows(ROOT / LAYERED / "README.md", "| layer | gives | files |")


WIDTH = 380
PAD = 10
LINE = 16
HEAD = 20
GAP = 26
LETTERS = 56
"""To a line, with room for the nested boxes' edges: 12 px type, 6 px a letter."""

_STYLE = """
svg { --ground: #ffffff; --ink: #1b1f24; --soft: #57606a;
      --line: #8c959f; --panel: #f4f6f8; --inner: #ffffff }
@media (prefers-color-scheme: dark) {
  svg { --ground: #12161b; --ink: #e4e8ec; --soft: #a3adb8;
        --line: #6e7a87; --panel: #1b2128; --inner: #12161b }
}
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: var(--ink) }
.name { font-weight: 700; font-size: 14px }
.layer { font-weight: 700 }
.soft { fill: var(--soft) }
.ground { fill: var(--ground) }
.box { fill: var(--panel); stroke: var(--line) }
.inner { fill: var(--inner); stroke: var(--line) }
.arrow { stroke: var(--ink); stroke-width: 1.5 }
.tip { fill: var(--ink) }
"""


class _Drawing:
    """Parts of the picture from above; `y` is where it goes on."""

    def __init__(self) -> None:
        self.y = PAD
        self._parts: list[Markup] = []

    def text(self, x: float, kind: str, text: str) -> None:
        self._parts.append(
            Markup('<text x="{:g}" y="{:g}" class="{}">{}</text>').format(x, self.y, kind, text)
        )

    def lines(self, x: float, kind: str, text: str, letters: int) -> None:
        for line in textwrap.wrap(text, letters):
            self.y += LINE
            self.text(x, kind, line)

    def box(self, x: float, kind: str, top: float, at: int) -> None:
        """A box from `top` to here, behind what was drawn since part `at`."""
        drawn = Markup('<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" rx="5" class="{}"/>')
        self._parts.insert(at, drawn.format(x, top, WIDTH - 2 * x, self.y - top, kind))

    @property
    def count(self) -> int:
        return len(self._parts)

    def arrow(self) -> None:
        middle, tip = WIDTH / 2, self.y + GAP - 2
        self._parts.append(
            Markup('<path d="M{0:g} {1:g}V{2:g}" class="arrow"/>').format(middle, self.y + 2, tip - 7)
        )
        self._parts.append(Markup('<path d="M{:g} {:g}l-5 -8h10z" class="tip"/>').format(middle, tip))
        self.y += GAP

    def svg(self, said: str) -> str:
        height = self.y + PAD
        return Markup(
            "<!-- SPDX-License-Identifier: MIT OR GPL-2.0-only -->\n"
            "<!-- Drawn by ./vmi regenerate (ci/house.py); do not edit. -->\n"
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1:g}" width="{0}" height="{1:g}"'
            ' role="img">\n'
            "<title>{2}</title>\n<style>{3}</style>\n"
            '<rect width="{0}" height="{1:g}" class="ground"/>\n{4}\n</svg>\n'
        ).format(WIDTH, height, said, Markup(_STYLE), Markup("\n").join(self._parts))


def _layer(drawing: _Drawing, layer: Row) -> None:
    top, at = drawing.y, drawing.count
    drawing.y += LINE
    drawing.text(2 * PAD + 8, "layer", layer.names[0])
    drawing.lines(2 * PAD + 8, "soft", layer.gives, LETTERS - 6)
    drawing.y += 7
    drawing.box(2 * PAD, "inner", top, at)


def picture() -> str:
    """The picture as SVG."""
    drawing = _Drawing()
    rows = house()
    for row in rows:
        if row is not rows[0]:
            drawing.arrow()
        top, at = drawing.y, drawing.count
        drawing.y += HEAD
        drawing.text(PAD + 8, "name", "  ".join(f"{name}/" for name in row.names))
        drawing.lines(PAD + 8, "", row.gives, LETTERS)
        if row.files:
            drawing.lines(PAD + 8, "soft", f"left to those below: {', '.join(row.files)}", LETTERS)
        if LAYERED in row.names:
            drawing.y += 6
            for layer in reversed(layers()):
                drawing.y += 4
                _layer(drawing, layer)
        drawing.y += 9
        drawing.box(PAD, "box", top, at)
    names = "; then ".join(", ".join(row.names) for row in rows)
    return drawing.svg(f"Folders, each row standing on those above it: {names}.")
