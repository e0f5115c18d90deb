# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Pictures as SVG inside the page. Colours come from the page's style sheet, so that they follow the reader's
theme; nothing is told by colour alone, and every picture has its numbers in its description as well."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup


def _svg(width: float, height: float, kind: str, said: str, parts: Sequence[Markup]) -> Markup:
    """A drawing, with what is read out to those who cannot see it."""
    return Markup(
        '<svg class="{}" viewBox="0 0 {:g} {:g}" width="{:g}" height="{:g}" role="img" aria-label="{}">'
        "{}</svg>"
    ).format(kind, width, height, width, height, said, Markup("").join(parts))


def _text(x: float, y: float, text: str, kind: str = "") -> Markup:
    return Markup('<text x="{:g}" y="{:g}"{}>{}</text>').format(
        x, y, Markup(' class="{}"').format(kind) if kind else "", text
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line x1="{:g}" y1="{:g}" x2="{:g}" y2="{:g}" class="{}"/>').format(x1, y1, x2, y2, kind)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


# The figure

WIDTH = 250
BOX = 66
GAP = 64


def _box(y: int, kind: str, lines: Sequence[str]) -> list[Markup]:
    """A box with a heading and lines under it."""
    parts = [Markup('<rect x="2" y="{}" width="{}" height="{}" rx="5" class="box {}"/>').format(
        y, WIDTH - 4, BOX, kind)]  # fmt: skip
    parts.append(_text(WIDTH / 2, y + 22, _cut(lines[0], 32), "head"))
    parts += [
        _text(WIDTH / 2, y + 40 + 16 * number, _cut(line, 36), "line")
        for number, line in enumerate(lines[1:3])
    ]
    return parts


def _arrow(x: float, y: int, number: str, what: str, used: bool) -> list[Markup]:
    """An arrow from a box at `y` down to the next; dashed where nothing goes along it."""
    kind = "arrow" if used else "arrow unused"
    tip = y + GAP - 1
    head = Markup('<path d="M{:g} {} l-5 -9 h10 z" class="tip{}"/>').format(x, tip, "" if used else " unused")
    return [_line(x, y, x, tip - 8, kind), head, _text(x + 10, y + 27, number, "number"),
            _text(x + 10, y + 43, what, "what")]  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column of the figure: a kernel over a library over what is below."""

    kernel: tuple[str, ...]
    library: tuple[str, ...]
    below: tuple[str, ...]
    calls: int
    instructions: int
    hypercalls: int
    passed: bool


def column(drawn: Column) -> Markup:
    second, third = BOX + GAP, 2 * (BOX + GAP)
    parts = [
        *_box(2, "kernel" if drawn.passed else "kernel failed", drawn.kernel),
        *_arrow(28, 2 + BOX, f"{drawn.calls:,}", "calls of the interface", drawn.calls > 0),
        *_box(2 + second, "library", drawn.library),
        *_arrow(28, 2 + second + BOX, f"{drawn.instructions:,}", "instructions", drawn.instructions > 0),
        *_arrow(142, 2 + second + BOX, f"{drawn.hypercalls:,}", "hypercalls", drawn.hypercalls > 0),
        *_box(2 + third, "below", drawn.below),
    ]
    description = (
        f"{', '.join(drawn.kernel)}: {drawn.calls:,} calls to: {', '.join(drawn.library)}. "
        f"From there {drawn.instructions:,} instructions and {drawn.hypercalls:,} hypercalls to: "
        f"{', '.join(drawn.below)}."
    )
    return _svg(WIDTH, third + BOX + 4, "column", description, parts)


@dataclass(frozen=True)
class Way:
    """A kernel over its hypervisor, and how often it leaves for it."""

    kernel: tuple[str, ...]
    below: tuple[str, ...]
    traps: float
    hypercalls: float


def way(drawn: Way) -> Markup:
    second = BOX + GAP
    parts = [
        *_box(2, "kernel", drawn.kernel),
        *_arrow(28, 2 + BOX, number(drawn.traps), "traps", drawn.traps > 0),
        *_arrow(142, 2 + BOX, number(drawn.hypercalls), "hypercalls", drawn.hypercalls > 0),
        *_box(2 + second, "below", drawn.below),
    ]
    traps, hypercalls = number(drawn.traps), number(drawn.hypercalls)
    description = (
        f"{', '.join(drawn.kernel)}: {traps} traps and {hypercalls} hypercalls to: {', '.join(drawn.below)}."
    )
    return _svg(WIDTH, second + BOX + 4, "column", description, parts)


# Plots


def number(value: float) -> str:
    """A number as people read it: thousands apart, small ones with three figures."""
    if value and abs(value) < 100:
        return f"{value:.3g}"
    return f"{value:,.0f}"


def _nice(value: float) -> float:
    """The least of 1, 2, 2.5, 5, 10, … times a power of ten that is not below `value`."""
    power: float = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value * 0.9999)


LABEL, VALUE, ROW = 8, 8, 22
"""Room for a letter, and for a digit, and height of a row, in user units (13 px type)."""
PLOT = 190


@dataclass(frozen=True)
class Bars:
    """One quantity in one unit, by name; its axis begins at zero."""

    title: str
    unit: str
    values: Mapping[str, float]


def bars(plot: Bars) -> Markup:
    left = min(230, round(max((len(name) for name in plot.values), default=0) * LABEL) + 10)
    shown = {name: number(value) for name, value in plot.values.items()}
    right = round(max((len(text) for text in shown.values()), default=0) * VALUE) + 12
    top, bottom = 30, 30 + ROW * len(plot.values)
    end = _nice(max(plot.values.values(), default=1) or 1)
    parts = [_text(2, 16, plot.title, "head left")]
    whole = all(float(value).is_integer() for value in plot.values.values())
    for tick in (0, end) if whole and end % 2 else (0, end / 2, end):
        x = left + PLOT * tick / end
        parts += [_line(x, top, x, bottom, "grid"), _text(x, bottom + 16, number(tick), "tick")]
    for place, (name, value) in enumerate(plot.values.items()):
        y = top + ROW * place
        width = PLOT * value / end
        parts += [
            _text(left - 6, y + 15, _cut(name, 32), "label"),
            Markup('<rect x="{}" y="{}" width="{:.1f}" height="{}" class="bar"/>').format(
                left, y + 4, width, ROW - 8),
            _text(left + width + 5, y + 15, shown[name], "value"),
        ]  # fmt: skip
    parts.append(_text(left + PLOT / 2, bottom + 33, plot.unit, "tick"))
    said = "; ".join(f"{name}: {shown[name]}" for name in shown)
    return _svg(left + PLOT + right, bottom + 40, "plot", f"{plot.title}, {plot.unit}: {said}", parts)


@dataclass(frozen=True)
class Dots:
    """Several series in one unit, each on a line of its own in every row, on a logarithmic axis."""

    title: str
    unit: str
    series: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]


MARKS = (
    '<circle cx="{x:.1f}" cy="{y:g}" r="2.8" class="mark m0"/>',
    '<path d="M{x:.1f} {y:g} m-2.6 -2.6 h5.2 v5.2 h-5.2 z" class="mark m1"/>',
    '<path d="M{x:.1f} {y:g} m0 -3.2 l3.4 5.8 h-6.8 z" class="mark m2"/>',
    '<path d="M{x:.1f} {y:g} m0 -3.6 l3.6 3.6 l-3.6 3.6 l-3.6 -3.6 z" class="mark m3"/>',
    '<path d="M{x:.1f} {y:g} m-2.8 -2.8 l5.6 5.6 m0 -5.6 l-5.6 5.6" class="mark m4"/>',
)
"""A circle, a square, a triangle, a rhombus, a cross: told apart by form, and hollow or full. As many as a
plot has series."""


def mark(series: int, x: float, y: float) -> Markup:
    return Markup(MARKS[series % len(MARKS)].format(x=x, y=y))  # numbers only


def dots(plot: Dots) -> Markup:
    values = [value for row in plot.rows.values() for value in row.values() if value > 0]
    low = math.floor(math.log10(min(values, default=1)))
    high = max(low + 1, math.ceil(math.log10(max(values, default=10))))
    left = min(230, round(max((len(name) for name in plot.rows), default=0) * LABEL) + 10)
    width, top, step = 250, 54, 5 * len(plot.series) + 4
    bottom = top + step * len(plot.rows)
    parts, x = [_text(2, 16, plot.title, "head left")], 8.0
    for place, name in enumerate(plot.series):
        parts += [mark(place, x, 35), _text(x + 9, 39, name, "line left")]
        x += 26 + len(name) * LABEL
    for power in range(low, high + 1):
        at = left + width * (power - low) / (high - low)
        parts += [_line(at, top, at, bottom, "grid"), _text(at, bottom + 16, number(10.0**power), "tick")]
    for place, (name, row) in enumerate(plot.rows.items()):
        y = top + step * place
        parts += [
            _text(left - 8, y + step / 2 + 4, _cut(name, 32), "label"),
            _line(left, y, left + width, y, "grid"),
        ]
        for series, key in enumerate(plot.series):
            if row.get(key, 0) > 0:
                at = left + width * (math.log10(row[key]) - low) / (high - low)
                parts.append(mark(series, at, y + 4.5 + 5 * series))
    parts.append(_text(left + width / 2, bottom + 33, f"{plot.unit}, logarithmic", "tick"))
    said = f"{len(plot.rows)} rows of {', '.join(plot.series)}; the numbers are in the table below."
    size = max(left + width + 24, round(x))
    return _svg(size, bottom + 40, "plot", f"{plot.title}, {plot.unit}: {said}", parts)
