# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi test`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import figure, machines
from .boot import choose
from .build import build, build_all
from .lava import signal
from .lint import results as lint_results
from .rig import discover
from .status import Step, at_terminal, shown
from .util import ARCHITECTURES, RESULTS, ROOT, progress, tied

JUNIT = RESULTS / "junit.xml"
LOG = RESULTS / "test/pytest.log"


def workers() -> list[str]:
    """Arguments of pytest for a whole run: one worker per processor, as far as there are rigs for them."""
    count = min(len(os.sched_getaffinity(0)), len(discover(progress)))
    return ["-n", str(count), "--no-loadscope-reorder"] if count > 1 else []


def pytest(arguments: Sequence[str], skip: Sequence[str]) -> int:
    """Run pytest as a child: with its own output where somebody chose tests, else with a line of how far it
    is and its output in a file, of which failures are shown."""
    RESULTS.mkdir(exist_ok=True)
    JUNIT.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"--junitxml={JUNIT}", "-o", "junit_logging=all"]
    environment = {**os.environ, "VMI_SKIP": " ".join(skip)}
    if arguments:
        chosen = [*command, *arguments]
        with subprocess.Popen(chosen, cwd=ROOT, env=environment, text=True, preexec_fn=tied()) as child:
            return ended(child)
    LOG.parent.mkdir(parents=True, exist_ok=True)
    machines.forget("ordinary")
    step = Tests("tests", "collecting")
    with (
        shown(step),
        open(LOG, "w", encoding="utf-8") as log,
        subprocess.Popen(
            [*command, "--verbose", "--color=no", *workers()], cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            preexec_fn=tied(),
        ) as child,
    ):  # fmt: skip
        assert child.stdout
        try:
            for line in child.stdout:
                log.write(line)
                log.flush()
                step.line(line)
        finally:
            ended(child)
    if child.returncode:
        print(failures_of(LOG.read_text(encoding="utf-8")), end="")
    return child.returncode


def ended(child: subprocess.Popen[str]) -> int:
    """Wait for pytest; at Ctrl-C too, which it has had as well, for it ends what it has opened."""
    try:
        return child.wait()
    except KeyboardInterrupt:
        child.wait()
        raise


_RESULT = re.compile(r"\b(PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
_PERCENT = re.compile(r"\[ *(\d+)%\]")


class Tests(Step):
    """How far pytest is, by its verbose lines; without a terminal a line of progress for each tenth."""

    done = failed = told = 0

    def line(self, line: str) -> None:
        percent = _PERCENT.search(line)
        if not percent or not (result := _RESULT.search(line)):
            return
        self.done += 1
        self.failed += result[1] in ("FAILED", "ERROR")
        failed = f", {self.failed} failed" if self.failed else ""
        self.doing = f"{percent[1]} %, {self.done} done{failed}"
        if int(percent[1]) // 10 > self.told and not at_terminal():
            self.told = int(percent[1]) // 10
            progress(self.text())


def failures_of(output: str) -> str:
    """What pytest says of failures, from there to its end; all of it if it did not come so far."""
    found = re.search(r"^=+ (ERRORS|FAILURES) =+$", output, re.MULTILINE)
    return output[found.start() :] if found else output


@dataclass(frozen=True)
class Case:
    """One test of the last pytest run."""

    group: str
    """The folder it is in."""
    name: str
    result: str
    """pass, fail or skip."""
    seconds: float


def cases(junit: Path = JUNIT) -> list[Case]:
    """All tests of the last pytest run, or of the one that has left that file."""
    found = []
    if junit.is_file():
        for case in ElementTree.parse(junit).getroot().iter("testcase"):
            result = "pass"
            for child in case:
                if child.tag in ("failure", "error"):
                    result = "fail"
                elif child.tag == "skipped" and result == "pass":
                    result = "skip"
            place = case.get("classname", "")
            found.append(
                Case("/".join(place.split(".")[:2]), f"{place}.{case.get('name')}", result,
                     float(case.get("time", 0)))
            )  # fmt: skip
    return found


def as_table(done: Sequence[Case]) -> list[str]:
    """A row for each folder."""
    rows = []
    for group in dict.fromkeys(case.group for case in done):
        own = [case for case in done if case.group == group]
        counts = {
            head: str(sum(case.result == result for case in own))
            for head, result in (("passed", "pass"), ("failed", "fail"), ("skipped", "skip"))
        }
        rows.append({"tests": group, **counts, "seconds": f"{sum(case.seconds for case in own):.0f}"})
    return figure.as_table(rows) if rows else []


def failed_lines(done: Sequence[Case]) -> list[str]:
    """The names of what failed, in the order in which it ran: what pytest says of them can be long."""
    return [f"failed: {case.name}" for case in done if case.result == "fail"]


def test(skip: Sequence[str], lava: bool, arguments: Sequence[str]) -> int:
    """Lint and all tests, or the tests that pytest's arguments choose."""
    started = time.monotonic()
    skipped = [configuration.name for _, configuration in choose(discover(progress), skip)] if skip else []
    for name in skipped:
        progress(f"configuration {name} is left out, as asked")
    done = (
        []
        if arguments
        else [
            Case("lint", f"lint.{name}", "pass" if clean else "fail", 0.0)
            for name, clean in lint_results().items()
        ]
    )
    build_all()
    for arch in ARCHITECTURES:
        build("languages", arch=arch)
    status = pytest(arguments, skipped)
    done += cases()
    if lava:
        for case in done:
            print(signal(case.name, case.result))
    if not arguments:
        print("\n".join(["", *as_table(done), "", *failed_lines(done)]))
        print(f"pytest's own output: {LOG.relative_to(ROOT)}; consoles: {RESULTS.relative_to(ROOT)}/test/")
    count = {result: sum(case.result == result for case in done) for result in ("pass", "fail", "skip")}
    line = f"{count['pass']} passed, {count['fail']} failed"
    if count["skip"]:
        line += f", {count['skip']} skipped"
    if skipped:
        line += f", left out: {' '.join(skipped)}"
    print(f"vmi test: {line} in {time.monotonic() - started:.0f} s")
    return 1 if status or count["fail"] else 0
