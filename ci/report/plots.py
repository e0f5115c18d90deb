# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Small multiples of what the benchmarks measured (results/bench.json, docs/benchmarks.md): each plot has one
axis in one unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ..figure import named
from .drawing import Bars, Dots, bars, dots

SCHEMA = 2
"""The layout that is understood here."""
Section = Sequence[Mapping[str, Any]]


@dataclass
class Table:
    caption: str
    heads: list[str]
    rows: list[list[str]]


@dataclass
class Group:
    """Plots of one kind, and their numbers as a table."""

    title: str
    text: str
    plots: list[list[Markup]] = field(default_factory=list)
    """Row by row."""
    tables: list[Table] = field(default_factory=list)


def _series(section: Section) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(row["binding"]) for row in section))


def _by_place(section: Section) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Rows by configuration with architecture, and by unit."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in section:
        place = named(str(row["configuration"]), str(row["architecture"]))
        found.setdefault((place, str(row["unit"])), []).append(row)
    return found


def _by_configuration(section: Section) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Rows by configuration and unit."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in section:
        found.setdefault((str(row["configuration"]), str(row["unit"])), []).append(row)
    return found


def _calls(section: Section) -> Group:
    group = Group(
        "Calls",
        "Cost of one call, call and return included: linked with the library (static), linked and bound on "
        "the build machine (linked), bound when the kernel starts (boot), the instructions in place of calls "
        "(inline), through a table of pointers (pointer).",
    )
    row: list[Markup] = []
    group.plots.append(row)
    for (place, unit), rows in _by_place(section).items():
        costs = {str(each["binding"]): each["calls"] for each in rows}
        names = dict.fromkeys(name for calls in costs.values() for name in calls)
        table = {name: {b: float(c[name]) for b, c in costs.items() if name in c} for name in names}
        row.append(dots(Dots(place, f"{unit} per call", _series(rows), table)))
        group.tables.append(
            Table(
                f"{place}: {unit} per call",
                ["call", *costs],
                [
                    [name, *(f"{row[b]:.2f}" if b in row else "-" for b in costs)]
                    for name, row in table.items()
                ],
            )
        )
    return group


def _workloads(section: Section) -> Group:
    group = Group("Workloads", "Cost of one round of a workload, by binding.")
    for (place, unit), rows in _by_place(section).items():
        costs = {str(each["binding"]): each["workloads"] for each in rows}
        names = list(dict.fromkeys(name for workloads in costs.values() for name in workloads))
        row: list[Markup] = []
        group.plots.append(row)
        for name in names:
            values = {b: float(w[name]["per_round"]) for b, w in costs.items() if name in w}
            row.append(bars(Bars(f"{place}: {name}", f"{unit} per round", values)))
        group.tables.append(
            Table(
                f"{place}: {unit} per round",
                ["workload", *costs],
                [
                    [name, *(f"{w[name]['per_round']:,.1f}" if name in w else "-" for w in costs.values())]
                    for name in names
                ],
            )
        )
    return group


def _boot(section: Section) -> Group:
    group = Group("Boot", "From the loader's jump to the kernel's first line on the console.")
    row: list[Markup] = []
    group.plots.append(row)
    for (configuration, unit), rows in _by_configuration(section).items():
        values = {f"{each['binding']} {each['architecture']}": float(each["ticks"]) for each in rows}
        row.append(bars(Bars(configuration, unit, values)))
    group.tables.append(
        Table(
            "Boot",
            ["configuration", "architecture", "binding", "unit", "cost"],
            [
                [r["configuration"], r["architecture"], r["binding"], r["unit"], f"{r['ticks']:,}"]
                for r in section
            ],
        )
    )
    return group


def _dispatch(section: Section) -> Group:
    group = Group(
        "Dispatch on this machine's processor",
        "One call in user mode, by how it is reached; median of all runs.",
    )
    calls: dict[tuple[str, str], dict[str, float]] = {}
    for row in section:
        calls.setdefault((str(row["call"]), str(row["unit"])), {})[str(row["way"])] = float(row["median"])
    group.plots = [[bars(Bars(call, f"{unit} per call", values)) for (call, unit), values in calls.items()]]
    group.tables.append(
        Table(
            "Dispatch",
            ["call", "way", "unit", "median", "median absolute deviation", "least", "runs"],
            [
                [
                    r["call"],
                    r["way"],
                    r["unit"],
                    *(f"{r[k]:.3f}" for k in ("median", "mad", "least")),
                    str(r["runs"]),
                ]
                for r in section
            ],
        )
    )
    return group


def _sizes(section: Section) -> Group:
    group = Group("Sizes", "Libraries and kernels: code, and the file as a whole.")
    row: list[Markup] = []
    group.plots.append(row)
    for key, title in (("text", "code and constants"), ("file", "whole file")):
        values = {str(each["name"]): float(each[key]) for each in section if key in each}
        row.append(bars(Bars(title, "bytes", values)))
    keys = ("text", "data", "bss", "file")
    rows = [[str(r["name"]), *(f"{r[k]:,}" if k in r else "-" for k in keys)] for r in section]
    group.tables.append(Table("Sizes in bytes", ["file", *keys], rows))
    return group


def _times(section: Section) -> Group:
    group = Group("Generating and building", "What a developer waits for; median of all runs.")
    group.plots = [[bars(Bars("Time", "seconds", {str(r["what"]): float(r["median"]) for r in section}))]]
    rows = [
        [str(r["what"]), *(f"{r[k]:.3f}" for k in ("median", "mad", "least")), str(r["runs"])]
        for r in section
    ]
    heads = ["what", "median", "median absolute deviation", "least", "runs"]
    group.tables.append(Table("Seconds", heads, rows))
    return group


def _counted(section: Section) -> Group:
    group = Group(
        "Counted by the hypervisors", "What the hypervisors' own tools say of exits and hypercalls."
    )
    for part in section:
        if part["rows"]:
            heads = list(part["rows"][0])
            rows = [[str(row[head]) for head in heads] for row in part["rows"]]
            group.tables.append(Table(f"{part['backend']}: {part['title']}", heads, rows))
    return group


SECTIONS = {
    "calls": _calls,
    "workloads": _workloads,
    "boot": _boot,
    "counted": _counted,
    "dispatch": _dispatch,
    "sizes": _sizes,
    "times": _times,
}


def groups(document: Mapping[str, Any]) -> list[Group]:
    """The sections of the document that were measured; raises what inputs.LAID_OUT_OTHERWISE lists."""
    if document["schema"] != SCHEMA:
        raise ValueError("schema")
    return [draw(document[name]) for name, draw in SECTIONS.items() if document.get(name)]


def machine(document: Mapping[str, Any]) -> dict[str, str]:
    """What the numbers were taken on."""
    return {name: str(value) for name, value in document["machine"].items() if not isinstance(value, dict)}
