# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""docs/long-tests.md: of which commit each part of the long tests was run last, whole and in part. It is in
the tree, so that a release can tell for each part how much of what it tests has changed since. Being a
document it is no part of the tree that results count for (long.py)."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from .util import ROOT, UserError, write_if_changed

RECORD = ROOT / "docs/long-tests.md"
HEADS = ("part", "commit", "pieces", "of", "failed", "hours", "what was done", "tools")
TOOLS = ("compiler", "other compiler", "linker", "QEMU")
"""Those whose versions are told, by versions.tools()'s names."""
DIGITS = 12
"""Of a commit's hash."""


@dataclass(frozen=True)
class Entry:
    """A run of a part."""

    part: str
    commit: str
    done: int
    planned: int
    failed: int
    hours: str
    counts: str
    tools: str

    @property
    def whole(self) -> bool:
        return self.done == self.planned

    def row(self) -> str:
        return f"| {' | '.join(str(value) for value in astuple(self))} |"


def read(path: Path) -> list[Entry]:
    """What is recorded; UserError if a row is not as this program writes it."""
    _, there, table = path.read_text(encoding="utf-8").partition(_head())
    if not there:
        raise UserError(f"{path.name} has no table with the head `{_head().splitlines()[0]}`")
    entries = []
    for line in filter(None, table.splitlines()):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != len(HEADS) or not all(re.fullmatch(r"\d+", cell) for cell in cells[2:5]):
            raise UserError(f"{path.name}: expected {len(HEADS)} cells, numbers third to fifth: {line}")
        done, planned, failed = map(int, cells[2:5])
        entries.append(Entry(cells[0], cells[1], done, planned, failed, cells[5], cells[6], cells[7]))
    return entries


def _head() -> str:
    return f"| {' | '.join(HEADS)} |\n| --- | --- | --: | --: | --: | --: | --- | --- |\n"


def write(path: Path, entries: Sequence[Entry]) -> None:
    before = path.read_text(encoding="utf-8").partition(_head())[0]
    write_if_changed(path, before + _head() + "".join(f"{entry.row()}\n" for entry in entries))


def entries_of(document: Mapping[str, Any]) -> list[Entry]:
    """Of results/long.json: an entry for each part of which something was done."""
    if document["changed"]:
        raise UserError("these results are of files that no commit has; commit them, then run the tests")
    versions = []
    for name in TOOLS:
        said = str(document["tools"].get(name, ""))
        if number := re.search(r"\d+(?:\.\d+)+", said):
            versions.append(f"{name if name == 'QEMU' else _program(said)} {number[0]}")
    return [
        Entry(
            name, str(document["commit"])[:DIGITS], part["done"], part["planned"], part["failed"],
            f"{part['seconds'] / 3600:.1f}",
            figures(part), ", ".join(versions),
        )
        for name, part in sorted(document["parts"].items())
        if part["done"]
    ]  # fmt: skip


def figures(part: Mapping[str, Any]) -> str:
    """Of a part in results/long.json: what was done, then how far it came."""
    numbers = {**part["counts"], **part.get("reached", {})}
    return ", ".join(f"{number:,} {what}" for what, number in numbers.items())


def _program(said: str) -> str:
    """A tool by what it says of itself."""
    return next((name for name in ("clang", "gcc", "ld") if re.search(rf"\b{name}\b", said)), "?")


def merged(old: Sequence[Entry], new: Sequence[Entry]) -> list[Entry]:
    """A whole run takes the place of all earlier ones of its part; one in part that of one in part."""
    kept = {(entry.part, entry.whole): entry for entry in old}
    for entry in new:
        kept[entry.part, entry.whole] = entry
        if entry.whole:
            kept.pop((entry.part, False), None)
    return [kept[key] for key in sorted(kept, key=lambda key: (key[0], not key[1]))]


def changed(commit: str, what: Sequence[str], root: Path = ROOT) -> list[str] | None:
    """Files of these folders, without documents, that are not as the commit has them; None if git does not
    know the commit."""
    command = ["git", "diff", "--name-only", commit, "--", *what, ":(exclude)*.md"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.splitlines()


def age(part: str, what: Sequence[str], entries: Sequence[Entry]) -> tuple[str, str]:
    """The commit of a part's last whole run, and how many files have changed since."""
    found = next((entry for entry in entries if entry.part == part and entry.whole), None)
    if not found:
        return "none", "-"
    since = changed(found.commit, what)
    return found.commit, "commit unknown" if since is None else str(len(since))
