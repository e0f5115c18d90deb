# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a long command is doing, for whoever waits.

At a terminal the last line of the screen says it, with the seconds so far; lines of progress go above it.
Where there is no terminal nothing is drawn: then each step's beginning and end are lines of their own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator

from . import util
from .util import progress

TICK_SECONDS = 0.5
_PLAN = re.compile(r"1\.\.(\d+)$")


class Step:
    """One thing that takes a while: `name: doing, N s`."""

    def __init__(self, name: str, doing: str) -> None:
        self.name = name
        self.doing = doing
        self.started = time.monotonic()

    def text(self) -> str:
        return f"{self.name}: {self.doing}, {time.monotonic() - self.started:.0f} s"

    def line(self, line: str) -> None:
        """Takes a line of what does it, which may say how far it is."""


class Checks(Step):
    """A kernel that reports checks: how many it has done."""

    planned = passed = failed = 0

    def line(self, line: str) -> None:
        if plan := _PLAN.match(line):
            self.planned = int(plan[1])
        elif line.startswith("ok "):
            self.passed += 1
        elif line.startswith("not ok "):
            self.failed += 1
        if self.planned:
            failed = f", {self.failed} failed" if self.failed else ""
            self.doing = f"{self.passed + self.failed} of {self.planned} checks{failed}"


def at_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


relay: Callable[[str], None] | None = None
"""Where a step's text goes in a part of a command that has no terminal of its own (ci/side_by_side.py)."""


@contextlib.contextmanager
def line(text: Callable[[], str]) -> Iterator[Callable[[], None]]:
    """Keep a line, where there is something to say, on the screen below all others; what is yielded draws it
    anew. Without a terminal it does nothing."""
    if not at_terminal():
        yield lambda: None
        return

    on_screen = ""

    def put(new: str) -> None:
        nonlocal on_screen
        if new or on_screen:
            sys.stderr.write(f"\r\x1b[K{new}")
            sys.stderr.flush()
        on_screen = new

    def draw() -> None:
        with util.SCREEN:
            put(text()[: shutil.get_terminal_size().columns - 1])

    def erase() -> None:
        put("")

    with util.SCREEN:
        util.around.append((erase, draw))
    draw()
    try:
        yield draw
    finally:
        with util.SCREEN:
            util.around.pop()
            erase()


@contextlib.contextmanager
def ticking(tick: Callable[[], None]) -> Iterator[None]:
    """Call something all the time meanwhile."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(TICK_SECONDS):
            tick()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def shown(step: Step) -> Iterator[None]:
    """Keep a step's line on the screen while it is done."""
    if relay is not None:
        send = relay
        send(step.text())
        try:
            with ticking(lambda: send(step.text())):
                yield
        finally:
            send("")
    elif at_terminal():
        with line(step.text) as draw, ticking(draw):
            yield
    else:
        progress(f"{step.name}: {step.doing}")
        yield
