# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the files of a folder take of each other, by what the build has made: the symbols that an object
leaves to others, and the headers that a file includes.

A unit is what has one name in one folder: `NAME.c`, `NAME.h` and `NAME.S`, also below `arch/ARCH/`, which is
part of its folder. Units of a folder are ordered: none leads back to itself."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from .util import ROOT, UserError

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)

Units = Mapping[str, Mapping[str, str]]
"""Of each unit of a folder the others that it takes something of, and what: a symbol, or `"header"`."""


class Compiled(NamedTuple):
    """An object of the build."""

    source: Path
    """In the tree."""
    object: Path
    searched: tuple[Path, ...]
    """Where quoted headers are looked for, after the file's own folder."""


def place(source: Path, root: Path = ROOT) -> tuple[str, str]:
    """The folder that a file of the tree belongs to, and its unit there."""
    path = PurePosixPath(source.relative_to(root))
    folder = path.parent
    if folder.parent.name == "arch":
        folder = folder.parent.parent
    return str(folder), path.stem


def compiled(build: Path, root: Path = ROOT) -> list[Compiled]:
    """Objects whose sources are in the tree, as a build directory knows them."""
    found = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = (build / entry["file"]).resolve()
        if not source.is_relative_to(root) or source.is_relative_to(build):
            continue
        paths = (build / word[2:] for word in entry["command"].split() if word.startswith("-I"))
        found.append(Compiled(source, build / entry["output"], tuple(path.resolve() for path in paths)))
    return found


@cache
def _included(file: Path) -> tuple[str, ...]:
    return tuple(_INCLUDE.findall(file.read_text(encoding="utf-8")))


def headers(file: Path, searched: Iterable[Path]) -> Iterator[Path]:
    """Headers that a file includes itself."""
    for name in _included(file):
        for folder in (file.parent, *searched):
            header = folder / name
            if header.is_file():
                yield header.resolve()
                break


def _symbols(objects: Iterable[Compiled]) -> tuple[dict[Path, set[str]], dict[Path, set[str]]]:
    """What each object defines for others and what it leaves to them."""
    defined: dict[Path, set[str]] = defaultdict(set)
    wanted: dict[Path, set[str]] = defaultdict(set)
    listing = subprocess.run(
        ["nm", "--extern-only", "--print-file-name", "--format=posix", *(one.object for one in objects)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listing.returncode:
        raise UserError(f"{listing.stderr.splitlines()[0]}; ./vmi build makes what is missing")
    for line in listing.stdout.splitlines():
        name, rest = line.split(": ", 1)
        symbol, kind = rest.split()[:2]
        (wanted if kind in "Uvw" else defined)[Path(name)].add(symbol)
    return defined, wanted


def uses(build: Path, root: Path = ROOT) -> Iterator[tuple[Path, set[Path], str]]:
    """What each file of the tree at `root` takes of others: the file, who gives it (several, if programs have
    it of different files), and what it is: a symbol, or `"header"`."""
    objects = compiled(build, root)
    defined, wanted = _symbols(objects)
    givers: dict[str, set[Path]] = defaultdict(set)
    for one in objects:
        for symbol in defined[one.object]:
            givers[symbol].add(one.source)
    seen: set[tuple[Path, tuple[Path, ...]]] = set()
    for one in objects:
        for symbol in wanted[one.object]:
            if symbol in givers:
                yield one.source, givers[symbol], symbol
        left = [one.source]
        while left:
            file = left.pop()
            if (file, one.searched) in seen:
                continue
            seen.add((file, one.searched))
            for header in headers(file, one.searched):
                if header.is_relative_to(root) and not header.is_relative_to(build):
                    yield file, {header}, "header"
                    left.append(header)


def taken(build: Path, root: Path = ROOT) -> dict[str, dict[str, dict[str, str]]]:
    """Of each folder its units, as they are compiled in a build directory of the tree at `root`."""
    folders: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
    for one in compiled(build, root):
        folder, unit = place(one.source, root)
        folders[folder][unit] = {}
    for user, givers, what in uses(build, root):
        folder, unit = place(user, root)
        for other, giver in (place(file, root) for file in givers):
            if other == folder and giver != unit:
                folders[folder][unit].setdefault(giver, what)
    return {folder: {unit: dict(of) for unit, of in units.items()} for folder, units in folders.items()}


def circles(units: Units) -> list[list[str]]:
    """Units that lead back to themselves, those of one circle together (Tarjan's strongly connected
    components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(unit: str) -> None:
        order[unit] = low[unit] = len(order)
        stack.append(unit)
        for other in units.get(unit, ()):
            if other not in order:
                visit(other)
                low[unit] = min(low[unit], low[other])
            elif other in stack:
                low[unit] = min(low[unit], order[other])
        if low[unit] == order[unit]:
            at = stack.index(unit)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for unit in sorted(units):
        if unit not in order:
            visit(unit)
    return found
