# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The allow-list: instructions that may stay, each with the reason why."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from vmigen import document, schema
from vmigen.problems import Place, Problems

from .problems import InputError

SCHEMA = Path(__file__).resolve().parent / "allow.schema.json"


@dataclass
class Entry:
    """One entry; `used` counts what it let pass."""

    place: Place
    symbol: str
    instruction: str
    file: str
    reason: str
    used: int = 0

    def matches(self, symbol: str, instruction: str, files: tuple[str, ...]) -> bool:
        """Whether a finding is meant."""
        return (
            fnmatchcase(symbol, self.symbol)
            and fnmatchcase(instruction, self.instruction)
            and any(fnmatchcase(file, self.file) for file in files)
        )


def read(path: Path) -> list[Entry]:
    """The entries of a file; every mistake in it is told with its line."""
    problems = Problems()
    found = document.load(path, problems)
    if found is not None:
        schema.check(found, schema.load_schema(SCHEMA), problems)
    if problems or found is None:
        raise InputError(str(problems))
    return [
        Entry(
            found["allow"].place_of(i),
            item["symbol"],
            item.get("instruction", "*"),
            item.get("file", "*"),
            item["reason"],
        )
        for i, item in enumerate(found["allow"])
    ]
