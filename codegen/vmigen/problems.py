# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Problems a person can mend, each with its place."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

SHOWN = 100
"""So many problems are shown; the rest is counted."""


def shortened(text: str, word: int = 1024, whole: int = 4096) -> str:
    """A message in which a word, or all of it, that is far too long is cut."""

    def cut(long: str) -> str:
        return f"{long[:60]}... ({len(long)} characters)"

    text = re.sub(rf"\S{{{word + 1},}}", lambda found: cut(found[0]), text)
    return text if len(text) <= whole else f"{text[:whole]}... ({len(text)} characters)"


def one_line(text: str) -> str:
    """A message as one line of bounded length, without control characters."""
    return "".join(c if c.isprintable() else " " for c in " ".join(shortened(text).split()))


@dataclass(frozen=True, order=True)
class Place:
    """A place in a file, counted from 1; line 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{max(self.line, 1)}:{max(self.column, 1)}"


@dataclass(frozen=True, order=True)
class Problem:
    """What was found at a place; what was expected; how to mend it."""

    place: Place
    text: str

    def __str__(self) -> str:
        # One problem is one line, whatever text of a person's it quotes.
        return one_line(f"{self.place}: error: {self.text}")


@dataclass
class Problems:
    """All problems of one run."""

    found: set[Problem] = field(default_factory=set)

    def add(self, place: Place, found: str, expected: str, mend: str) -> None:
        """Note a problem in its three parts."""
        self.found.add(Problem(place, f"{shortened(found, 255, 1000)}; {expected}; {mend}"))

    @property
    def many(self) -> bool:
        """Whether there are more than are shown, so that hints for further ones are not worth their time."""
        return len(self.found) > SHOWN

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        lines = [str(problem) for problem in sorted(self.found)[:SHOWN]]
        if self.many:
            lines.append(f"{len(self.found)} problems; the first {SHOWN} are shown")
        return "\n".join(lines)


class Stop(Exception):
    """The run cannot go on: one message, and the exit status it ends with."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def reason(error: OSError) -> str:
    """An operating system's reason in words: `No such file or directory`."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
