# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi bench --page`: what was measured, as docs/benchmarks.md has it. Each backend has a part of its own
there, so that a run of some replaces only theirs. What is time is left out: it is another one on each
machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .bench import Results, beside_inline, by_architecture, hypercalls_of
from .figure import named
from .util import ROOT, UserError, progress, write_if_changed

PAGE = ROOT / "docs/benchmarks.md"
BEGIN, END = "<!-- measured: {} -->", "<!-- end: {} -->"
HERE = "<!-- measured parts: ./vmi bench --page -->"
"""Below which the parts stand."""

Rows = Sequence[Mapping[str, Any]]


def table(title: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown, numbers to the right; the first row is its heads."""
    heads, *rest = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    numbers = [
        bool(column) and all(re.fullmatch(r"[-+]?[\d,.]+%?|-|", cell) for cell in column)
        for column in zip(*rest, strict=True)
    ] or [False] * len(heads)  # fmt: skip
    yield from ("", f"{title}:", "")
    yield f"| {' | '.join(heads)} |"
    yield f"|{'|'.join('---:' if right else '---' for right in numbers)}|"
    yield from (f"| {' | '.join(row)} |" for row in rest)


def _by_binding(section: Rows, key: str, value: str, title: str) -> Iterator[str]:
    """Numbers of a place, a column for each binding."""
    heads = [f"{row['configuration']} {row['binding']}" for row in section]
    if len({row["configuration"] for row in section}) == 1:
        heads = [row["binding"] for row in section]
    shown = [["", *heads]]
    for name in dict.fromkeys(name for row in section for name in row[key]):
        cells = (row[key].get(name) for row in section)
        numbers = (cell[value] if value and cell is not None else cell for cell in cells)
        shown.append([name, *("-" if number is None else f"{number:,.2f}" for number in numbers)])
    yield from table(title, shown)


def _of(results: Results, backend: str) -> Results:
    """What was measured on a backend and is no time."""
    rows = {
        name: [row for row in getattr(results, name) if row["backend"] == backend]
        for name in ("calls", "workloads", "boot", "bind", "counted")
    }
    for name in ("calls", "workloads", "boot", "bind"):
        rows[name] = [row for row in rows[name] if row["unit"] == "instructions"]
    return Results(machine=results.machine, **rows)


def part_of(results: Results, backend: str) -> str:
    """A backend's part of the page."""
    own = _of(results, backend)
    on = results.machine.get("rigs", {}).get(backend, {})
    told = [f"{name} {value}" for name, value in on.items() if not name.startswith("why")]
    compiler, tree = results.machine.get("compiler", "?"), results.machine.get("tree") or "outside git"
    lines = [f"### {backend}", "", f"{', '.join([*told, compiler])}. Tree {tree}."]
    for arch, rows in by_architecture(own.workloads):
        lines += _by_binding(rows, "workloads", "per_round", f"{arch}: instructions per round of a workload")
    for arch, shown in hypercalls_of(own):
        lines += table(f"{arch}: hypercalls per round of a workload", shown)
    for title, shown in beside_inline(own):
        lines += table(title, shown)
    for arch, rows in by_architecture(own.calls):
        lines += _by_binding(rows, "calls", "", f"{arch}: instructions per call, call and return included")
    for section, title in (
        (own.boot, "Instructions from the loader's jump to the kernel's first line"),
        (own.bind, "Instructions of that for binding"),
    ):
        if section:
            shown = [["", "instructions"]]
            shown += [
                [f"{named(row['configuration'], row['architecture'])}, {row['binding']}", f"{row['ticks']:,}"]
                for row in section
            ]
            lines += table(title, shown)
    for row in own.counted:
        if row["rows"]:
            heads = list(row["rows"][0])
            title = row["title"][0].upper() + row["title"][1:]
            lines += table(title, [heads, *([str(each[head]) for head in heads] for each in row["rows"])])
    return "\n".join(lines) + "\n"


def bring(results: Results, backends: Sequence[str], page: Path = PAGE) -> None:
    """Puts the parts of these backends into the page, in place of those that it has."""
    text = page.read_text(encoding="utf-8")
    if HERE not in text:
        raise UserError(f"{page}: expected the line {HERE}, below which measured parts stand")
    for backend in backends:
        begin, end = BEGIN.format(backend), END.format(backend)
        part = f"{begin}\n{part_of(results, backend)}{end}\n"
        if begin in text:
            before, rest = text.split(begin, 1)
            if end not in rest:
                raise UserError(f"{page}: expected the line {end} behind {begin}")
            text = before + part + rest.split(end, 1)[1].removeprefix("\n")
        else:
            text = text.rstrip("\n") + "\n\n" + part
    if write_if_changed(page, text):
        progress(f"wrote {page}")
