# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the last runs have left in a results folder. What is missing or damaged is said in the page."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import ktap
from ..boot import BOUND_FIGURE, FIGURE
from ..build import tree as built
from ..conformance import DOCUMENT as CONFORMANCE
from ..life import DOCUMENT as LIFE
from ..long import DOCUMENT as LONG
from ..machines import DOCUMENT as MACHINES
from ..testing import JUNIT
from ..util import ARCHITECTURES, ROOT
from ..versions import tools, tree
from ..virtualization import DOCUMENT as EXITS

BENCHMARKS = ("bench.json", "bench-quick.json")
"""docs/benchmarks.md; the quick ones where there are no others."""
LAID_OUT_OTHERWISE = (AttributeError, KeyError, TypeError, ValueError)
"""What reading a JSON document of another version comes to."""


def relative(text: str) -> str:
    """Text without the folder of this tree: pages are shown to others."""
    return text.replace(f"{ROOT}/", "").replace(str(ROOT), ".")


@dataclass
class Source:
    """A file that a run leaves, and the word of the front door that makes it."""

    name: str
    path: Path
    word: str
    problem: str = ""

    @property
    def made(self) -> str:
        """When it was written, in UTC; empty if it is not there."""
        if not self.path.is_file():
            return ""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def absent(self) -> str:
        """Why there is nothing to show; empty if there is."""
        if self.problem:
            return f"{self.name}: {self.problem}; {self.word} makes it anew"
        return "" if self.path.is_file() else f"{self.name}: not run; {self.word} makes it"

    def read(self) -> Any:
        """The JSON document, or None."""
        if not self.path.is_file():
            return None
        try:
            return json.loads(self.path.read_text())
        except (OSError, ValueError):
            self.problem = f"{self.path.name} is damaged"
            return None


@dataclass
class Run:
    """One kernel in one configuration: a row of a figure's document (ci/figure.py)."""

    row: dict[str, Any]
    report: ktap.Report

    @property
    def name(self) -> str:
        return str(self.row["configuration"])

    @property
    def passed(self) -> bool:
        return bool(self.row["passed"])

    @property
    def console(self) -> str:
        return str(self.row.get("console", ""))

    @property
    def command(self) -> str:
        return relative(str(self.row["command"]))

    @property
    def on(self) -> dict[str, str]:
        return {**self.row["on"], **self.row["facts"]}

    @property
    def binding(self) -> dict[str, str]:
        return dict(self.row.get("binding", {}))

    def kind(self, *kinds: str) -> int:
        """Calls made of these kinds."""
        return sum(call.count for call in self.report.calls if call.kind in kinds)

    @property
    def calls(self) -> int:
        return sum(call.count for call in self.report.calls)

    @property
    def hypercalls(self) -> int:
        return sum(each.count for each in self.report.hypercalls)

    @property
    def results(self) -> dict[str, ktap.Test]:
        return {test.name: test for test in self.report.tests}


@dataclass
class Figure:
    """All runs of one kernel."""

    source: Source
    runs: list[Run] = field(default_factory=list)
    objects: dict[str, str] = field(default_factory=dict)
    objects_sha256: str = ""

    @property
    def checks(self) -> list[str]:
        """Names of all checks, in the order of the first run that has them."""
        return list(dict.fromkeys(test.name for run in self.runs for test in run.report.tests))


def read_figure(source: Source) -> Figure:
    document = source.read()
    figure = Figure(source)
    try:
        for row in document["rows"] if document is not None else ():
            report = ktap.Report(
                tests=[ktap.Test(**test) for test in row["checks"]],
                boot=row["boot"],
                calls=[ktap.Call(**call) for call in row["calls"]],
                hypercalls=[ktap.Hypercall(**each) for each in row["hypercalls"]],
            )
            figure.runs.append(Run(row, report))
        if document is not None:
            figure.objects, figure.objects_sha256 = document["objects"], document["objects_sha256"]
    except LAID_OUT_OTHERWISE:
        source.problem = f"{source.path.name} is of another version"
        figure.runs.clear()
    return figure


@dataclass
class Case:
    """A test of the build machine that did not pass."""

    name: str
    result: str
    message: str


@dataclass
class Tests:
    """The last run of pytest."""

    source: Source
    by_file: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    not_passed: list[Case] = field(default_factory=list)

    @property
    def total(self) -> Counter[str]:
        return sum(self.by_file.values(), Counter())


def read_tests(source: Source) -> Tests:
    tests = Tests(source)
    if not source.path.is_file():
        return tests
    try:
        cases = list(ElementTree.parse(source.path).getroot().iter("testcase"))
    except ElementTree.ParseError:
        source.problem = f"{source.path.name} is damaged"
        return tests
    for case in cases:
        file = case.get("classname", "").replace(".", "/")
        result, message = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                result, message = (
                    "failed",
                    relative(f"{child.get('message', '')}\n{child.text or ''}".strip()),
                )
            elif child.tag == "skipped" and result == "passed":
                result, message = "skipped", relative(child.get("message", ""))
        tests.by_file.setdefault(file, Counter())[result] += 1
        tests.seconds[file] = tests.seconds.get(file, 0.0) + float(case.get("time", 0))
        if result != "passed":
            tests.not_passed.append(Case(f"{file}: {case.get('name')}", result, message))
    return tests


def versions() -> dict[str, str]:
    """What the tree is, and the tools that build and run it."""
    commit = tree()
    return {**({"this tree (git)": commit} if commit else {}), **tools()}


def binaries() -> list[tuple[str, int, str]]:
    """Kernels, libraries and provider images of both builds: name, bytes, SHA-256."""
    found = []
    for folder in map(built, ARCHITECTURES):
        for pattern in ("*/*.elf", "*/*/*.elf", "backends/libvmi-*.a", "backends/*.rom"):
            for path in sorted(folder.glob(pattern)):
                if path.name.endswith("-image.elf") or path.parent.name == "refused":
                    continue
                data = path.read_bytes()
                name = str(path.relative_to(folder.parent))
                found.append((name, len(data), hashlib.sha256(data).hexdigest()))
    return found


@dataclass
class Inputs:
    linked: Figure
    bound: Figure
    conformance: Figure
    tests: Tests
    benchmarks: tuple[Source, Any]
    models: dict[str, tuple[Source, Any]]
    """By architecture."""
    long: tuple[Source, Any]
    life: tuple[Source, Any]
    exits: tuple[Source, Any]
    machines: tuple[Source, Any]

    @property
    def kernels(self) -> list[Figure]:
        return [self.linked, self.bound, self.conformance]

    @property
    def sources(self) -> list[Source]:
        return [
            *(figure.source for figure in self.kernels),
            *(source for source, _ in self.models.values()),
            self.benchmarks[0],
            self.tests.source,
            self.long[0],
            self.life[0],
            self.exits[0],
            self.machines[0],
        ]


def read(results: Path) -> Inputs:
    def figure(name: str, path: Path, word: str) -> Figure:
        return read_figure(Source(name, results / path.name, word))

    measured = [results / name for name in BENCHMARKS if (results / name).is_file()]
    benchmarks = Source("Benchmarks", (measured or [results / BENCHMARKS[0]])[0], "./vmi bench")
    long = Source("Long tests", results / LONG.name, "./vmi test --long")
    life = Source("Life", results / LIFE.name, "./vmi life")
    exits = Source("Exits", results / EXITS.name, "./vmi exits")
    machines = Source("Machines", results / MACHINES.name, "./vmi test")
    models = {
        arch: Source(f"Support matrix, {arch}", built(arch) / "generated/model.json", "./vmi build")
        for arch in ARCHITECTURES
    }
    return Inputs(
        figure("Sample kernel, linked with each library", FIGURE, "./vmi boot"),
        figure("Sample kernel, bound at boot", BOUND_FIGURE, "./vmi boot any"),
        figure("Conformance kernel", CONFORMANCE, "./vmi conformance"),
        read_tests(Source("Tests", results / JUNIT.name, "./vmi test")),
        (benchmarks, benchmarks.read()),
        {arch: (source, source.read()) for arch, source in models.items()},
        (long, long.read()),
        (life, life.read()),
        (exits, exits.read()),
        (machines, machines.read()),
    )
