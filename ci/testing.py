# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi test`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from .boot import choose
from .build import build
from .lava import signal
from .lint import results as lint_results
from .rig import discover
from .util import RESULTS, ROOT, progress, tied

JUNIT = RESULTS / "junit.xml"


def workers() -> list[str]:
    """Arguments of pytest for a whole run: one worker per processor, as far as there are rigs for them."""
    count = min(len(os.sched_getaffinity(0)), len(discover(progress)))
    return ["-n", str(count), "--no-loadscope-reorder"] if count > 1 else []


def pytest(arguments: Sequence[str], skip: Sequence[str]) -> int:
    """Run pytest as a child, with its own output."""
    RESULTS.mkdir(exist_ok=True)
    JUNIT.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", f"--junitxml={JUNIT}", "-o", "junit_logging=all"]
    command += arguments or workers()
    environment = {**os.environ, "VMI_SKIP": " ".join(skip)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=tied()) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # pytest has had the signal as well, and ends what it has opened.
            child.wait()
            raise


def cases() -> list[tuple[str, str]]:
    """Names and results (pass, fail, skip) of the last pytest run."""
    found = []
    if JUNIT.is_file():
        for case in ElementTree.parse(JUNIT).getroot().iter("testcase"):
            result = "pass"
            for child in case:
                if child.tag in ("failure", "error"):
                    result = "fail"
                elif child.tag == "skipped" and result == "pass":
                    result = "skip"
            found.append((f"{case.get('classname')}.{case.get('name')}", result))
    return found


def test(skip: Sequence[str], lava: bool, arguments: Sequence[str]) -> int:
    """Lint and all tests, or the tests that pytest's arguments choose."""
    started = time.monotonic()
    skipped = [configuration.name for _, configuration in choose(discover(progress), skip)] if skip else []
    for name in skipped:
        progress(f"configuration {name} is left out, as asked")
    done = [] if arguments else [
        (f"lint.{name}", "pass" if clean else "fail") for name, clean in lint_results().items()
    ]  # fmt: skip
    build()
    build("languages")
    status = pytest(arguments, skipped)
    done += cases()
    if lava:
        for name, result in done:
            print(signal(name, result))
    count = {result: sum(each == result for _, each in done) for result in ("pass", "fail", "skip")}
    line = f"{count['pass']} passed, {count['fail']} failed"
    if count["skip"]:
        line += f", {count['skip']} skipped"
    if skipped:
        line += f", left out: {' '.join(skipped)}"
    print(f"vmi test: {line} in {time.monotonic() - started:.0f} s")
    return 1 if status or count["fail"] else 0
