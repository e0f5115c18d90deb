# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Parts of a command that need nothing of each other, each in a process of its own, several at a time.

What they say is said by the command itself: lines whole and in one piece, what they are doing on the one line
that a terminal shows last. None outlives the command, in whatever way it ends.
"""

from __future__ import annotations

import contextlib
import functools
import io
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, TextIO, TypeVar

from . import status, util
from .util import Progress, UserError, above, die_with

T = TypeVar("T")
Task = Callable[[Progress], T]
"""Gets what says a line to the command's own report, which several parts may have to say."""

MOST = 4
"""More at once would need more memory than machines have to spare: a rig has 1 to 2 GiB."""

OUT, ERR, SAID, DOING, DONE, FAILED = range(6)
"""What a part sends: text for standard output or error, a line to report, what it is doing, its result, an
exception."""

_fork = multiprocessing.get_context("fork")  # the parts are closures over what the command has found out


def at_once() -> int:
    """How many parts are worked on together."""
    return min(MOST, len(os.sched_getaffinity(0)))


Send = Callable[[int, Any], None]


class _Lines(io.TextIOBase):
    """A part's standard output or error: whole lines, and those that belong together in one piece."""

    def __init__(self, send: Send, kind: int) -> None:
        self.to_command = send
        self.kind = kind
        self.held = False
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        if not self.held:
            self.send(self.text.rfind("\n") + 1)
        return len(text)

    def send(self, size: int) -> None:
        if size:
            self.to_command(self.kind, self.text[:size])
        self.text = self.text[size:]

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        self.held = False
        self.send(len(self.text))


def _work(task: Task[Any], pipe: Connection, parent: int, terminal: bool) -> None:
    die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command gets it too, and ends all parts
    sending = threading.Lock()

    def send(kind: int, what: Any) -> None:
        with sending:
            pipe.send((kind, what))

    out, err = _Lines(send, OUT), _Lines(send, ERR)
    sys.stdout, sys.stderr = out, err
    util.around[:] = [(err.hold, err.release)]
    if terminal:
        status.relay = functools.partial(send, DOING)
    try:
        last = (DONE, task(functools.partial(send, SAID)))
    except Exception as error:
        last = (FAILED, error)
    for lines in (out, err):
        lines.release()
    send(*last)


class _Part:
    def __init__(self, number: int, task: Task[Any]) -> None:
        self.number = number
        self.doing = ""
        self.pipe, theirs = _fork.Pipe(duplex=False)
        arguments = (task, theirs, os.getpid(), status.at_terminal())
        self.process = _fork.Process(target=_work, args=arguments, daemon=False)
        self.process.start()
        theirs.close()

    def receive(self) -> tuple[int, Any]:
        try:
            kind, what = self.pipe.recv()
        except EOFError:
            self.process.join()
            ended = UserError(f"a part of the command ended by itself, with {self.process.exitcode}")
            return FAILED, ended
        return kind, what

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _say(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return  # closed by whoever started the command
    with above(), contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


def side_by_side(tasks: Sequence[Task[T]], report: Progress) -> list[T]:
    """Their results, in their order; they begin in that order, too. The first exception of one ends all."""
    results: dict[int, T] = {}
    left = list(enumerate(tasks))
    parts: list[_Part] = []
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # else each part would have what is in there, too
    try:
        with status.line(lambda: " | ".join(part.doing for part in parts if part.doing)) as draw:
            while left or parts:
                while left and len(parts) < at_once():
                    parts.append(_Part(*left.pop(0)))
                ready = wait([part.pipe for part in parts], status.TICK_SECONDS)
                for part in [part for part in parts if part.pipe in ready]:
                    kind, what = part.receive()
                    if kind in (OUT, ERR):
                        _say(sys.stdout if kind == OUT else sys.stderr, what)
                    elif kind == SAID:
                        report(what)
                    elif kind == DOING:
                        part.doing = what
                    elif kind == FAILED:
                        raise what
                    else:
                        results[part.number] = what
                        parts.remove(part)
                        part.end()
                draw()
    finally:
        for part in parts:
            part.end()
    return [results[number] for number in range(len(tasks))]
