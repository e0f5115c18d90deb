# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""How much of the tree is for one architecture alone, and how much for all, in lines:

    .venv/bin/python -m tests.sizes

A line is one architecture's if its file is named after that or lies in a folder that is (`arch/i386/`,
`x86_64.py`), if `#ifdef __x86_64__` or its `#else` leaves it to that one, or if in YAML it names that one
alone or lies under a key that does. All other lines are shared. Lines of comments count, empty ones do not.
Left aside are tests, and folders without a line that is one architecture's."""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from ci.lint import tracked
from ci.util import ARCHITECTURES, ROOT

SHARED = "shared"
KINDS = {".c": "C", ".h": "C", ".S": "assembly", ".inc": "assembly", ".ld": "assembly", ".yaml": "YAML"}
_CONDITION = re.compile(r"#\s*(ifdef|ifndef|if|elif|else|endif)\b(.*)")
_MACROS = {f"__{arch}__": arch for arch in ARCHITECTURES}


def other(arch: str) -> str:
    """The architecture that is left where it is not this one, if there are two; else whoever is left."""
    left = [one for one in ARCHITECTURES if one != arch]
    return left[0] if len(left) == 1 else SHARED


def of_code(lines: Sequence[str]) -> Iterator[str]:
    """Whose each line of C or assembly is."""
    stack: list[str] = []
    for line in lines:
        found = _CONDITION.match(line.strip())
        if found and found[1] in ("ifdef", "ifndef", "if"):
            named = next((arch for macro, arch in _MACROS.items() if macro in found[2]), None)
            negated = found[1] == "ifndef" or "!" in found[2]
            stack.append(SHARED if named is None else other(named) if negated else named)
        elif found and found[1] in ("else", "elif") and stack and stack[-1] != SHARED:
            stack[-1] = other(stack[-1])
        yield next((arch for arch in reversed(stack) if arch != SHARED), SHARED)
        if found and found[1] == "endif" and stack:
            stack.pop()


def of_yaml(lines: Sequence[str]) -> Iterator[str]:
    """Whose each line of YAML is."""
    within: tuple[int, str] | None = None
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if within and line.strip() and depth <= within[0]:
            within = None
        named = [arch for arch in ARCHITECTURES if re.search(rf"\b{arch}\b", line)]
        if within is None and line.strip() in [f"{arch}:" for arch in named]:
            within = depth, named[0]
        yield within[1] if within else named[0] if len(named) == 1 else SHARED


def of_file(path: PurePosixPath, text: str) -> Counter[str]:
    """Lines of a file, by whose they are."""
    lines = text.splitlines()
    named = next((arch for arch in ARCHITECTURES if arch in (*path.parts[:-1], path.stem)), None)
    if named:
        owners: Iterator[str] = iter([named] * len(lines))
    elif path.suffix == ".yaml":
        owners = of_yaml(lines)
    else:
        owners = of_code(lines)
    return Counter(owner for line, owner in zip(lines, owners, strict=True) if line.strip())


def folder_of(path: PurePosixPath) -> str:
    """The folder that a file is counted for."""
    return "/".join(path.parts[:2]) if path.parts[0] == "backends" else path.parts[0]


def sizes() -> dict[tuple[str, str], Counter[str]]:
    """Lines of each folder and language, by whose they are."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for name in tracked():
        path = PurePosixPath(name)
        kind = KINDS.get(path.suffix) or (
            "Python" if name.startswith("codegen/") and path.suffix == ".py" else ""
        )
        if not kind or len(path.parts) < 2 or "tests" in path.parts or path.parts[0] in ("docs", "debian"):
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        found.setdefault((folder_of(path), kind), Counter()).update(of_file(path, text))
    split = {folder for (folder, _), lines in found.items() if any(lines[arch] for arch in ARCHITECTURES)}
    return {key: lines for key, lines in sorted(found.items()) if key[0] in split}


def table() -> str:
    """The same as a table in Markdown, with the sum of each language."""
    columns = (SHARED, *ARCHITECTURES)
    found = sizes()
    rows = [
        (folder, kind, *(str(lines[column]) for column in columns)) for (folder, kind), lines in found.items()
    ]
    for kind in dict.fromkeys(kind for _, kind in found):
        total = sum((lines for key, lines in found.items() if key[1] == kind), Counter())
        rows.append(("all", kind, *(str(total[column]) for column in columns)))
    head = ("folder", "lines of", *columns)
    marks = ("---", "---", *("--:" for _ in columns))
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *rows))


def main(arguments: Sequence[str]) -> int:
    assert __doc__
    parser = argparse.ArgumentParser(prog="python -m tests.sizes", description=__doc__.split(":")[0])
    parser.parse_args(arguments)
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
