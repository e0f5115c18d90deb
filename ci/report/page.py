# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The page, from templates/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from vmigen.sides import Side, sides

from .. import machines, record
from ..figure import named
from ..util import ARCHITECTURES
from ..virtualization import BOOT, HYPERCALL, LETTERS, in_words
from . import inputs, plots
from .drawing import Bars, Column, Way, bars, column, number, way

Shown = TypeVar("Shown")

TEMPLATES = Path(__file__).with_name("templates")
SITES = {"instruction": "inline", "call": "calls", "nop": "nop"}
"""What call sites became: the console's word, the page's word."""
KINDS = ("instruction", "hypercall", "routine", "unsupported")


def _column(run: inputs.Run, figure: inputs.Figure, titles: Mapping[str, str]) -> Column:
    """The figure's column for one run."""
    counts = {status: run.report.count(status) for status in ("pass", "fail", "skip")}
    checks = f"{counts['pass']} of {len(run.report.tests)} checks passed"
    rest = [f"{counts[key]} {word}" for key, word in (("fail", "FAILED"), ("skip", "skipped")) if counts[key]]
    failed = [] if run.passed or counts["fail"] else ["FAILED"]
    ring = run.report.boot.get("rpl", "?")
    kernel = (f"{'Sample kernel' if run.passed else '✗ Sample kernel'} in ring {ring}", checks,
              ", ".join([*failed, *rest]))  # fmt: skip
    title = titles.get(run.row["backend"], run.name)
    if run.binding:
        sites = (f"{run.binding.get(key, '?')} {word}" for key, word in SITES.items())
        library = (f"VMI-to-{title} image", f"sites: {', '.join(sites)}",
                   f"found: {run.binding.get('source', '?')}")  # fmt: skip
    else:
        library = (f"VMI-to-{title} library", f"libvmi-{run.row['backend']}.a",
                   f"{run.kind('routine'):,} calls done in it")  # fmt: skip
    below = (
        str(run.row.get("title") or title),
        *(f"{name} {value}" for name, value in run.row["on"].items() if not name.startswith("why")),
    )
    return Column(kernel, library, below, run.calls, run.kind("instruction"), run.hypercalls, run.passed)


def _cells(call: str, backend: str, models: Mapping[str, Mapping[str, Any]]) -> list[Side[Mapping[str, Any]]]:
    """One where architectures agree, else one for each that has the call."""
    ways = {
        arch: each["calls"][call]
        for arch, model in models.items()
        for each in model["backends"]
        if each["name"] == backend and call in each["calls"]
    }
    return sides(
        ways,
        lambda way: (
            way["kind"],
            way["origin"],
            "" if way["inherited"] else (way["how"], way["when"], way["note"]),
        ),
    )


def _matrix(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Calls of all architectures by category, and for each how each backend does it."""
    calls: dict[str, Mapping[str, Any]] = {}
    on: dict[str, list[str]] = {}
    backends: dict[str, Mapping[str, Any]] = {}
    totals: dict[tuple[str, str], dict[str, int]] = {}
    for arch, model in models.items():
        for call in model["spec"]["calls"]:
            calls.setdefault(call["name"], call)
            on.setdefault(call["name"], []).append(arch)
        for backend in model["backends"]:
            backends.setdefault(backend["name"], backend)
            ways = [way["kind"] for way in backend["calls"].values()]
            totals[backend["title"], arch] = {kind: ways.count(kind) for kind in KINDS}
    categories: dict[str, list[Mapping[str, Any]]] = {}
    for call in sorted(calls.values(), key=lambda call: int(call["ordinal"])):
        categories.setdefault(call["category"], []).append(call)
    cells = {(call, backend): _cells(call, backend, models) for call in calls for backend in backends}
    alone = {call: where[0] for call, where in on.items() if len(where) < len(models)}
    (spec, *_) = (model["spec"] for model in models.values())
    return {
        "categories": categories, "backends": list(backends.values()), "kinds": KINDS, "totals": totals,
        "cells": cells, "alone": alone, "architectures": list(models),
        "caption": f"{len(calls)} calls of VMI {spec['major']}.{spec['minor']} on {' and '.join(models)}",
    }  # fmt: skip


def _counts(figure: inputs.Figure) -> list[Markup]:
    """Calls made in each configuration, a plot for each way of doing them."""
    kinds = dict.fromkeys(kind for run in figure.runs for kind in run.report.by_kind())
    drawn = [
        bars(
            Bars(f"done as: {kind}", "calls", {r.name: r.report.by_kind().get(kind, 0) for r in figure.runs})
        )
        for kind in kinds
        if any(run.report.by_kind().get(kind) for run in figure.runs)
    ]
    for run in figure.runs:
        made = {each.name: each.count for each in run.report.hypercalls if each.count}
        if made:
            ordered = dict(sorted(made.items(), key=lambda pair: (-pair[1], pair[0])))
            drawn.append(bars(Bars(f"hypercalls of {run.name}", "hypercalls", ordered)))
    return drawn


@dataclass(frozen=True)
class Long:
    """What `./vmi test --long` has done."""

    commit: str
    rows: list[list[str]]
    failures: list[str]
    on: dict[str, str]

    HEADS = ("part", "pieces done", "of", "failed", "what was done", "hours")


def _long(document: Mapping[str, Any]) -> Long:
    """The table of parts, from results/long.json."""
    rows, failures, on = [], [], dict(document["tools"])
    for name, part in document["parts"].items():
        rows.append([name, f"{part['done']:,}", f"{part['planned']:,}", f"{part['failed']:,}",
                     record.figures(part) or part["absent"], f"{part['seconds'] / 3600:.1f}"])  # fmt: skip
        failures += [inputs.relative(f"{name}: {failure}") for failure in part["failures"]]
        on |= part["on"]
    changed = " with changes" if document["changed"] else ""
    return Long(f"{document['commit'][:12]}{changed}", rows, failures, on)


@dataclass(frozen=True)
class Lives:
    """What `./vmi life` has put kernels through."""

    rows: list[list[str]]
    lacking: list[str]

    HEADS = ("configuration", "event", "tried", "lost", "stood still, ms")


def _lives(document: Mapping[str, Any]) -> Lives:
    """The table of events, from results/life.json."""
    rows, lacking = [], []
    for row in document["rows"]:
        name = named(row["configuration"], row["architecture"])
        for event in row["events"]:
            still = f"{event['still_ms']:.1f}" if event["still_ms"] else ""
            rows.append([name, event["event"], str(event["tried"]), str(event["lost"]), still])
            lacking += [inputs.relative(f"{name}, {event['event']}: {each}") for each in event["lacking"]]
    return Lives(rows, lacking)


@dataclass(frozen=True)
class Exits:
    """A kernel's ways under one hypervisor, as `./vmi exits` has counted them."""

    title: str
    drawn: list[tuple[Markup, str]]
    heads: list[str]
    rows: list[list[str]]
    walks: list[tuple[str, str, list[Mapping[str, str]]]]
    """Of each way: what it is, which pages got which frames, and each exit meanwhile."""


def _exits(document: Mapping[str, Any]) -> list[Exits]:
    """From results/exits.json."""
    found = []
    for those in document["hypervisors"]:
        drawn, counted, walks, heads = [], [], [], ["operation"]
        for letter, each in zip(LETTERS.lower(), those["ways"], strict=False):
            reasons = each["exits"]  # those of the boot stand on the arrows
            hypercalls = reasons[BOOT.name].get(HYPERCALL, 0)
            kernel = (
                "Sample kernel",
                f"libvmi-{each['library']}.a",
                f"configuration {each['configuration']}",
            )
            on = [f"{name} {value}" for name, value in each["on"].items() if not name.startswith("why")]
            traps = sum(reasons[BOOT.name].values()) - hypercalls
            title = f"({letter}) {each['kind']}{', ' + each['by'] if each['by'] else ''}"
            drawn.append((way(Way(kernel, (those["hypervisor"], *on), traps, hypercalls)), title))
            counted.append(reasons)
            pages = ", ".join(f"page {page} gets frame {frame}" for page, frame in each["frames"])
            walks.append((title, pages, each["steps"]))
            heads += [f"({letter})", "by reason"]
        rows = [
            [
                title,
                *(cell for of in counted for cell in (number(sum(of[name].values())), in_words(of[name]))),
            ]
            for name, title in document["operations"].items()
        ]
        found.append(Exits(f"{those['hypervisor']}, {those['architecture']}", drawn, heads, rows, walks))
    return found


@dataclass(frozen=True)
class Machine:
    """A row of the matrix of machines: what was booted on one."""

    name: str
    cpu: str
    firmware: str
    boots: Mapping[str, machines.Boot]
    """By architecture of the kernel."""


@dataclass(frozen=True)
class Machines:
    """What ran where."""

    rows: list[Machine]
    architectures: Sequence[str]
    totals: Mapping[str, int]
    """Boots by verdict."""

    MARKS = {"runs": ("pass", "✓ runs"), "refuses": ("skip", "– refuses"), "fails": ("fail", "✗ FAILS"),
             "absent": ("skip", "– not here")}  # fmt: skip
    """A verdict's class of style, and what it reads as."""


def _machines(document: Mapping[str, Any]) -> Machines:
    """The matrix of machines, from results/machines.json."""
    boots = [replace(each, words=inputs.relative(each.words)) for each in machines.read(document)]
    rows: dict[tuple[str, str, str], dict[str, machines.Boot]] = {}
    for boot in sorted(boots, key=lambda boot: boot.cell):
        rows.setdefault(boot.cell[:3], {})[boot.architecture] = boot
    totals = {each: sum(boot.verdict == each for boot in boots) for each in machines.VERDICTS}
    return Machines([Machine(*place, found) for place, found in rows.items()], ARCHITECTURES, totals)


def _laid_out(read: tuple[inputs.Source, Any], show: Callable[[Any], Shown]) -> Shown | None:
    """A document as the page shows it; None if there is none, or it is of another version, which its source
    says then."""
    source, document = read
    try:
        return None if document is None else show(document)
    except inputs.LAID_OUT_OTHERWISE:
        source.problem = f"{source.path.name} is of another version"
        return None


def render(results: Path) -> tuple[str, list[str]]:
    """The page, and what it could not show."""
    read = inputs.read(results)
    titles: dict[str, str] = {}
    found: dict[str, Any] = {}
    for arch, (source, model) in read.models.items():
        try:
            if model is None:
                continue
            titles |= {
                backend["name"]: backend["title"]
                if backend["inherits"] or backend["hypercalls"]
                else "hardware"
                for backend in model["backends"]
            }
            _matrix({arch: model})
            found[arch] = model
        except inputs.LAID_OUT_OTHERWISE:
            source.problem = f"{source.path.name} is of another version"
    matrix = _matrix(found) if found else None
    groups, machine = _laid_out(
        read.benchmarks, lambda document: (plots.groups(document), plots.machine(document))
    ) or ([], {})
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        style=Markup((TEMPLATES / "style.css").read_text()),  # our own
        script=Markup((TEMPLATES / "filter.js").read_text()),  # our own
        read=read,
        figures=[
            (figure, [(run, column(_column(run, figure, titles))) for run in figure.runs])
            for figure in (read.linked, read.bound)
        ],
        counts=_counts(read.linked),
        matrix=matrix,
        groups=groups,
        long=_laid_out(read.long, _long),
        lives=_laid_out(read.life, _lives),
        exits=_laid_out(read.exits, _exits),
        machines=_laid_out(read.machines, _machines),
        machine=machine,
        versions=inputs.versions(),
        binaries=inputs.binaries(),
    )
    return page, [source.absent for source in read.sources if source.absent]
