# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a kernel says about itself: KTAP and the comment lines of docs/architecture.md, "Guest output".

KTAP is the kernel's dialect of the Test Anything Protocol (Linux, Documentation/dev-tools/ktap.rst).
A console carries other lines too (a hypervisor's, a loader's); they are passed over.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

_TEST = re.compile(r"(ok|not ok) (\d+)(?: -)?(?: ([^#]*?))?\s*(?:# *(.*))?$")
_PAIR = re.compile(r"(\w+)=(\S+)")


@dataclass(frozen=True)
class Test:
    number: int
    name: str
    status: str
    """`pass`, `fail` or `skip`."""
    reason: str

    @property
    def asked(self) -> bool:
        """Whether the kernel was to make it (the sample kernel's option `checks`)."""
        return self.reason != "not asked for"


@dataclass(frozen=True)
class Call:
    """One VMI call: how this library does it and how often the kernel made it."""

    name: str
    ordinal: int
    kind: str
    count: int
    how: str
    conditional: bool = False
    """A hypercall is made under circumstances only, and most calls may need none."""


@dataclass(frozen=True)
class Hypercall:
    name: str
    number: int
    count: int


@dataclass(frozen=True)
class Workload:
    """What a kernel does all day, and the hypercalls of all its rounds."""

    name: str
    rounds: int
    hypercalls: int

    @property
    def per_round(self) -> float:
        return self.hypercalls / self.rounds


@dataclass
class Report:
    """A console, understood."""

    started: bool = False
    plan: int | None = None
    tests: list[Test] = field(default_factory=list)
    boot: dict[str, str] = field(default_factory=dict)
    binding: dict[str, str] = field(default_factory=dict)
    """What a kernel without a linked library bound itself to; said before its first line."""
    calls: list[Call] = field(default_factory=list)
    hypercalls: list[Hypercall] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    result: dict[str, int] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    """Other comment lines by their first word."""
    errors: list[str] = field(default_factory=list)
    """Where the console does not keep the protocol."""

    def count(self, status: str) -> int:
        return sum(test.status == status for test in self.tests)

    def failures(self) -> list[str]:
        """Why this console does not pass; empty if it does."""
        failed = [
            f"not ok {test.number} {test.name}" + (f": {test.reason}" if test.reason else "")
            for test in self.tests
            if test.status == "fail"
        ]
        return failed + self.errors

    def by_kind(self) -> dict[str, int]:
        """Calls made, by how they are done."""
        kinds: Counter[str] = Counter()
        for call in self.calls:
            kinds[f"{call.kind} if needed" if call.conditional else call.kind] += call.count
        return dict(sorted(kinds.items()))


def parse(console: str) -> Report:
    """Read a console; what breaks the protocol is listed in `errors`, nothing raises."""
    report = Report()
    for line in console.splitlines():
        line = line.rstrip()
        if line == "KTAP version 1":
            if report.started:
                report.errors.append("KTAP starts twice: the kernel was started again")
            report.started = True
        elif not report.started and not line.startswith("# bind "):
            continue
        elif found := re.fullmatch(r"1\.\.(\d+)", line):
            if report.plan is not None:
                report.errors.append("two plans")
            report.plan = int(found[1])
        elif found := _TEST.match(line):
            _test(report, found)
        elif line.startswith("# "):
            try:
                _comment(report, line[2:])
            except (ValueError, KeyError):
                report.errors.append(f"malformed line: {line}")
    _check(report)
    return report


def _test(report: Report, found: re.Match[str]) -> None:
    number, name, comment = int(found[2]), found[3] or "", found[4] or ""
    if number != len(report.tests) + 1:
        report.errors.append(f"test {number} where {len(report.tests) + 1} was expected")
    status = "pass" if found[1] == "ok" else "fail"
    if status == "pass" and re.match(r"skip\b", comment, re.IGNORECASE):
        status, comment = "skip", comment[4:].strip()
    report.tests.append(Test(number, name, status, comment))


def _comment(report: Report, comment: str) -> None:
    word, _, rest = comment.partition(" ")
    if word == "boot":
        report.boot = dict(_PAIR.findall(rest))
    elif word == "bind" and rest.startswith("provider="):
        report.binding = dict(_PAIR.findall(rest))
    elif word == "call":
        pairs, _, how = rest.partition(" how=")
        values = dict(_PAIR.findall(pairs))
        name = pairs.split(" ", 1)[0]
        report.calls.append(
            Call(
                name,
                int(values["ordinal"]),
                values["kind"],
                int(values["count"]),
                how,
                "conditional" in values,
            )
        )
    elif word == "hypercall":
        values = dict(_PAIR.findall(rest))
        report.hypercalls.append(
            Hypercall(rest.split(" ", 1)[0], int(values["number"], 0), int(values["count"]))
        )
    elif word == "workload":
        values = dict(_PAIR.findall(rest))
        report.workloads.append(
            Workload(rest.split(" ", 1)[0], int(values["rounds"]), int(values["hypercalls"]))
        )
    elif word == "result":
        report.result = {key: int(value) for key, value in _PAIR.findall(rest)}
    else:
        report.notes.setdefault(word, []).append(rest)


def _check(report: Report) -> None:
    if not report.started:
        report.errors.append("no KTAP on the console")
        return
    if report.plan is None:
        report.errors.append("no plan (1..N)")
    elif report.plan != len(report.tests):
        report.errors.append(f"{len(report.tests)} of {report.plan} planned tests reported")
    if not report.result:
        report.errors.append("no result line")
    else:
        counted = {status: report.count(status) for status in ("pass", "fail", "skip")}
        if report.result != counted:
            report.errors.append(f"the result line says {report.result}, the tests say {counted}")
