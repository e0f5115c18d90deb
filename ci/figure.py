# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The figure: one kernel, one row per configuration it was booted in."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .build import tree
from .ktap import Report
from .rig import LIMITED_KERNEL, Configuration, Outcome, as_dict
from .util import ARCHITECTURES, ROOT, UserError


@dataclass
class Row:
    """One configuration's run."""

    configuration: Configuration
    backend: str
    architecture: str
    on: dict[str, str]
    """What it ran on, component by component."""
    facts: dict[str, str]
    """What the rig adds."""
    outcome: Outcome
    report: Report
    goals: Mapping[str, int] = field(default_factory=dict)
    """Of hypercalls per round of a workload (ci.rig.Rig.hypercall_goals)."""
    findings: Sequence[str] = ()
    """What is wrong outside the kernel, on its disk."""

    @property
    def name(self) -> str:
        """Of the configuration, and of the architecture unless that is the first."""
        return named(self.configuration.name, self.architecture)

    @property
    def limited(self) -> str:
        """Why whole kernels of this architecture cannot run so; empty if they can."""
        return self.configuration.given(self.architecture)[1]

    @property
    def kernel(self) -> str:
        """What it ran is called so."""
        return LIMITED_KERNEL if self.limited else "sample"

    @property
    def failures(self) -> list[str]:
        """Why this run does not pass: the console and the machine's end must both say that it does."""
        return [*([] if self.outcome.clean else [self.outcome.end]), *self.report.failures(), *self.findings]

    @property
    def binding(self) -> dict[str, str]:
        """What the kernel bound itself to when it started, and what its call sites became; empty for a kernel
        that was linked with its library."""
        return self.report.binding

    @property
    def binary(self) -> str:
        """SHA-256 of the kernel's file."""
        return hashlib.sha256(self.outcome.guest.kernel.read_bytes()).hexdigest()

    @property
    def ran_on(self) -> str:
        """Its components with their versions."""
        return ", ".join(
            f"{name} {version}" for name, version in self.on.items() if not name.startswith("why")
        )

    @property
    def per_workload(self) -> str:
        """Hypercalls per round of each workload; empty if the kernel ran none."""
        return ", ".join(
            f"{each.name} {beside_goal(each.per_round, self.goals.get(each.name))}"
            for each in self.report.workloads
        )

    def cells(self) -> dict[str, str]:
        """The row as the page shows it, with all details."""
        report = self.report
        checks = f"{report.count('pass')} passed"
        if report.count("fail"):
            checks += f", {report.count('fail')} failed"
        if report.count("skip"):
            checks += f", {report.count('skip')} skipped"
        hypercalls = [f"{h.name} {h.count}" for h in report.hypercalls if h.count]
        rpl = report.boot.get("rpl")
        ran = [self.ran_on, *(f"{name} {value}" for name, value in self.facts.items())]
        if self.limited:
            ran.append(f"only the {self.kernel} kernel, because {self.limited}")
        bound = {}
        if self.binding:
            bound = {
                "binary": f"sha256 {self.binary}",
                "bound to": f"{self.binding['provider']} ({self.binding['source']})",
                "sites": ", ".join(f"{self.binding[kind]} {kind}" for kind in ("instruction", "call", "nop")),
            }
        return {
            "configuration": self.configuration.name,
            "architecture": self.architecture,
            "what ran": ", ".join(ran),
            **bound,
            "kernel ring": rpl or "?",
            "checks": checks if not self.failures else f"FAILED: {self.failures[0]} ({checks})",
            "calls by kind": ", ".join(f"{kind} {count}" for kind, count in report.by_kind().items()) or "-",
            "hypercalls": ", ".join(hypercalls) or "-",
            "hypercalls per": self.per_workload or "-",
        }

    def as_dict(self) -> dict[str, Any]:
        report = self.report
        return {
            "configuration": self.name,
            "title": self.configuration.title,
            "backend": self.backend,
            "architecture": self.architecture,
            "on": self.on,
            "facts": self.facts,
            "limited": self.limited,
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


def named(name: str, arch: str) -> str:
    """What belongs to a configuration and an architecture is called by both, or by the configuration alone
    where that is the first architecture."""
    return name if arch == ARCHITECTURES[0] else f"{name}-{arch}"


def kernel_objects(kernel: str = "sample", arch: str = ARCHITECTURES[0]) -> dict[str, str]:
    """The kernel's own objects, the same in every link of an architecture, with the SHA-256 of each."""
    folders = sorted(tree(arch).glob(f"*/lib{kernel}-kernel.a.p"))
    if len(folders) != 1:
        raise UserError(f"the build has no objects of the {kernel} kernel; ./vmi build makes them")
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folders[0].glob("*.o"))
    }


def every_object(rows: Sequence[Row], kernel: str = "sample") -> dict[str, str]:
    """Those of each architecture that rows are of, by ARCHITECTURE/OBJECT."""
    return {
        f"{arch}/{name}": digest
        for arch in dict.fromkeys(row.architecture for row in rows)
        for name, digest in kernel_objects(kernel, arch).items()
    }


def common_hash(objects: dict[str, str]) -> str:
    """One hash for all objects: SHA-256 over their names and hashes in the manner of sha256sum(1)."""
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(objects.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


WIDTH = 100
"""Columns that what is printed for people stays within."""


def wrapped(text: str, indent: str, width: int = WIDTH) -> list[str]:
    """A text's lines, all but the first with an indentation."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def columns(row: Row) -> dict[str, str]:
    """A row of the table for a terminal, by its heads; `cells` has the details."""
    report, outcome = row.report, row.outcome
    bound = {"bound to": row.binding.get("provider", "?")} if row.binding else {}
    return {
        "configuration": row.configuration.name,
        "arch": row.architecture,
        **bound,
        "kernel": row.kernel,
        "ring": report.boot.get("rpl", "?"),
        **{f"{status}ed" if status != "skip" else "skipped": str(report.count(status))
           for status in ("pass", "fail", "skip")},
        "calls": str(sum(call.count for call in report.calls)),
        "hypercalls": str(sum(each.count for each in report.hypercalls)),
        "seconds": f"{outcome.seconds:.1f}",
        "verdict": "FAILED" if row.failures else "limited" if row.limited else "passed",
    }  # fmt: skip


TO_THE_LEFT = ("configuration", "arch", "bound to", "kernel", "verdict", "tests", "what")


def as_table(table: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of a table, names to the left and numbers to the right."""
    heads = list(dict.fromkeys(head for row in table for head in row))
    widths = {head: max(len(head), *(len(row.get(head, "-")) for row in table)) for head in heads}
    return [
        "  ".join(
            cell.ljust(widths[head]) if head in TO_THE_LEFT else cell.rjust(widths[head])
            for head, cell in ((head, row.get(head, "-")) for head in heads)
        ).rstrip()
        for row in ({head: head for head in heads}, *table)
    ]


def as_text(rows: list[Row], objects: dict[str, str]) -> str:
    """The figure for a terminal."""
    lines = as_table([columns(row) for row in rows])
    for row in rows:
        if row.failures:
            lines += ["", *wrapped(f"{row.name} FAILED: {row.failures[0]}", "    ")]
    lines.append("")
    for row in rows:
        lines += wrapped(f"{row.name} ran on {row.ran_on}", "    ")
        if row.limited:
            why = f"    only the {row.kernel} kernel, because {row.limited}"
            lines += wrapped(why, "    ")
    goals = [row for row in rows if row.goals and row.per_workload]
    lines += [""] * bool(goals)
    for row in goals:
        lines += wrapped(f"{row.name}, hypercalls per {row.per_workload}", "    ")
    if rows and rows[0].binding:
        lines += ["", "one kernel for all, sha256", f"    {rows[0].binary}"]
    lines += ["", f"kernel objects: {len(objects)}, the same in every link, sha256 over all of them",
              f"    {common_hash(objects)}"]  # fmt: skip
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
        "The sample kernel, compiled once for an architecture and linked with each library in turn, as "
        "`./vmi boot` last ran it.",
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
