# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Problems a person can mend, each with its place."""

from __future__ import annotations

import os
from dataclasses import dataclass, field


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
        text = "".join(c if c.isprintable() else " " for c in " ".join(self.text.split()))
        return f"{self.place}: error: {text}"


@dataclass
class Problems:
    """All problems of one run."""

    found: set[Problem] = field(default_factory=set)

    def add(self, place: Place, found: str, expected: str, mend: str) -> None:
        """Note a problem in its three parts."""
        self.found.add(Problem(place, f"{found}; {expected}; {mend}"))

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in sorted(self.found))


class Stop(Exception):
    """The run cannot go on: one message, and the exit status it ends with."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def reason(error: OSError) -> str:
    """An operating system's reason in words: `No such file or directory`."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
