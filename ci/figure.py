# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The figure: one kernel, one row per configuration it was booted in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .ktap import Report
from .rig import Configuration, Outcome, as_dict
from .util import BUILD, ROOT, UserError


@dataclass
class Row:
    """One configuration's run."""

    configuration: Configuration
    backend: str
    on: dict[str, str]
    """What it ran on, component by component."""
    facts: dict[str, str]
    """What the rig adds."""
    outcome: Outcome
    report: Report
    goals: Mapping[str, int] = field(default_factory=dict)
    """Of hypercalls per round of a workload (ci.rig.Rig.hypercall_goals)."""

    @property
    def failures(self) -> list[str]:
        """Why this run does not pass: the console and the machine's end must both say that it does."""
        return ([] if self.outcome.clean else [self.outcome.end]) + self.report.failures()

    @property
    def binding(self) -> dict[str, str]:
        """What the kernel bound itself to when it started, and what its call sites became; empty for a kernel
        that was linked with its library."""
        return self.report.binding

    @property
    def binary(self) -> str:
        """SHA-256 of the kernel's file."""
        return hashlib.sha256(self.outcome.guest.kernel.read_bytes()).hexdigest()

    def cells(self) -> dict[str, str]:
        """The row as the table shows it."""
        report = self.report
        checks = f"{report.count('pass')} passed"
        if report.count("fail"):
            checks += f", {report.count('fail')} failed"
        if report.count("skip"):
            checks += f", {report.count('skip')} skipped"
        hypercalls = [f"{h.name} {h.count}" for h in report.hypercalls if h.count]
        rpl = report.boot.get("rpl")
        ran = [f"{name} {version}" for name, version in self.on.items() if not name.startswith("why")]
        ran += [f"{name} {value}" for name, value in self.facts.items()]
        if self.configuration.limited:
            ran.append(f"only the {self.configuration.kernel} kernel, because {self.configuration.limited}")
        rounds = [
            f"{each.name} {beside_goal(each.per_round, self.goals.get(each.name))}"
            for each in report.workloads
        ]
        bound = {}
        if self.binding:
            bound = {
                "binary": f"sha256 {self.binary}",
                "bound to": f"{self.binding['provider']} ({self.binding['source']})",
                "sites": ", ".join(f"{self.binding[kind]} {kind}" for kind in ("instruction", "call", "nop")),
            }
        return {
            "configuration": self.configuration.name,
            "what ran": ", ".join(ran),
            **bound,
            "kernel ring": rpl or "?",
            "checks": checks if not self.failures else f"FAILED: {self.failures[0]} ({checks})",
            "calls by kind": ", ".join(f"{kind} {count}" for kind, count in report.by_kind().items()) or "-",
            "hypercalls": ", ".join(hypercalls) or "-",
            "hypercalls per": ", ".join(rounds) or "-",
        }

    def as_dict(self) -> dict[str, Any]:
        report = self.report
        return {
            "configuration": self.configuration.name,
            "title": self.configuration.title,
            "backend": self.backend,
            "on": self.on,
            "facts": self.facts,
            "limited": self.configuration.limited,
            "boot": report.boot,
            "binding": self.binding,
            "binary_sha256": self.binary,
            "passed": not self.failures,
            "failures": self.failures,
            "checks": [vars(test) for test in report.tests],
            "calls": [vars(call) for call in report.calls],
            "hypercalls": [vars(hypercall) for hypercall in report.hypercalls],
            "workloads": [{**vars(each), "goal": self.goals.get(each.name)} for each in report.workloads],
            **as_dict(self.outcome),
            "console": self.outcome.console,
        }


def beside_goal(hypercalls: float, goal: int | None) -> str:
    """Hypercalls per round of a workload as tables have them: with the goal, and whether it is missed."""
    text = f"{hypercalls:.2f}".rstrip("0").rstrip(".")
    if goal is None:
        return text
    return f"{text} ({f'goal {goal}' if hypercalls <= goal else f'MISSES its goal of {goal}'})"


def kernel_objects(kernel: str = "sample") -> dict[str, str]:
    """The kernel's own objects, the same in every link, with the SHA-256 of each."""
    folders = sorted(BUILD.glob(f"*/lib{kernel}-kernel.a.p"))
    if len(folders) != 1:
        raise UserError(f"the build has no objects of the {kernel} kernel; ./vmi build makes them")
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folders[0].glob("*.o"))
    }


def common_hash(objects: dict[str, str]) -> str:
    """One hash for all objects: SHA-256 over their names and hashes in the manner of sha256sum(1)."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(objects.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def as_text(rows: list[Row], objects: dict[str, str]) -> str:
    """The table for a terminal: a block per row, because rows are wide."""
    lines = []
    for row in rows:
        cells = row.cells()
        width = max(len(name) for name in cells)
        lines += [f"{name:<{width}}  {value}" for name, value in cells.items()]
        lines.append("")
    lines.append(f"kernel objects: {len(objects)}, the same in every link, sha256 {common_hash(objects)}")
    return "\n".join(lines) + "\n"


def as_markdown(rows: list[Row], objects: dict[str, str]) -> str:
    """docs/figure-7-6.md."""
    table = [row.cells() for row in rows]
    heads = list(table[0])
    lines = [
        "<!-- SPDX-License-Identifier: MIT OR GPL-2.0-only -->",
        "<!-- Written by ./vmi boot; do not edit. -->",
        "# One kernel in every configuration",
        "",
        "The sample kernel, compiled once and linked with each library in turn, as `./vmi boot` last ran it.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + " --- |" * len(heads),
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row.values()) + " |" for row in table),
        "",
        f"Kernel objects in every link: {len(objects)}; SHA-256 over all of them: `{common_hash(objects)}`.",
        "",
        "| object | SHA-256 |",
        "| --- | --- |",
        *(f"| {name} | `{digest}` |" for name, digest in sorted(objects.items())),
        "",
    ]
    return "\n".join(lines)


def as_json(rows: list[Row], objects: dict[str, str]) -> str:
    figure = {
        "objects": objects,
        "objects_sha256": common_hash(objects),
        "rows": [row.as_dict() for row in rows],
    }
    return json.dumps(figure, indent=2) + "\n"


def log_path(path: Path) -> str:
    """A log's path as a person would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
