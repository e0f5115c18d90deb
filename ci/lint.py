# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi lint-tree`: the form of the tree. It changes nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from .build import stale_pages
from .util import ROOT, progress

LICENCE = "SPDX-License-Identifier: MIT OR GPL-2.0-only"
# The licences themselves, and formats that know no comments.
UNMARKED = ("LICENSES/", "LICENSE", "debian/changelog", "debian/source/format")


def tracked() -> list[str]:
    """Files of the tree, as git has them or would take them."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    return sorted(name for name in set(listing.split("\0")) if name and (ROOT / name).is_file())


def check(name: str, command: Sequence[str]) -> bool:
    """Run one tool over its files; shows what it finds."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr).rstrip())
    progress(f"lint: {name}: {'problems' if done.returncode else 'clean'}")
    return done.returncode == 0


def licences(names: Sequence[str]) -> bool:
    """Whether every file says its licence near its beginning."""
    bad = []
    for name in names:
        # JSON has no comments; files of the project's own that matter say it in "$comment".
        if name.startswith(UNMARKED) or (name.endswith(".json") and is_fixture(name)):
            continue
        head = (ROOT / name).read_bytes()[:400]
        if LICENCE.encode() not in head:
            bad.append(name)
            print(f"{name}:1: no line `{LICENCE}`")
    progress(f"lint: licence lines: {'problems' if bad else 'clean'}")
    return not bad


def pages() -> bool:
    """Whether the rendered pages of docs/ are what the specification says now."""
    stale = sorted(stale_pages())
    for path in stale:
        print(f"{path.relative_to(ROOT)}:1: not as it is rendered now; ./vmi regenerate brings it up to date")
    progress(f"lint: rendered pages: {'problems' if stale else 'clean'}")
    return not stale


def is_fixture(name: str) -> bool:
    """What a test compares with: as it was generated, or wrong on purpose."""
    return name.startswith("tests/") and ("/golden/" in name or "/bad/" in name)


def is_shell(name: str) -> bool:
    if name.endswith(".sh"):
        return True
    with open(ROOT / name, "rb") as file:
        return file.readline().startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))


def results() -> dict[str, bool]:
    """Each check and whether it found nothing."""
    names = tracked()
    c = [name for name in names if name.endswith((".c", ".h")) and not is_fixture(name)]
    python = [name for name in names if name.endswith(".py")]
    shell = [name for name in names if is_shell(name)]
    # Tests are checked by ruff alone: fixtures' types say little, and mypy's time is better spent.
    # Rigs are all called rig.py, so each is a program of its own to mypy.
    packages = [name for name in python if name.startswith(("ci/", "codegen/", "tools/"))]
    alone = [name for name in python if name.startswith(("backends/", "include/"))]
    done = {"licence lines": licences(names), "rendered pages": pages()}
    if c:
        done["clang-format"] = check("clang-format", ["clang-format", "--dry-run", "-Werror", *c])
    if shell:
        done["shellcheck"] = check("shellcheck", ["shellcheck", *shell])
    done["ruff"] = check("ruff", ["ruff", "check", "--quiet", *python])
    done["mypy"] = check("mypy", ["mypy", "--no-error-summary", *packages])
    for name in alone:
        done[f"mypy {name}"] = check(f"mypy {name}", ["mypy", "--no-error-summary", name])
    return done


def lint() -> int:
    return 0 if all(results().values()) else 1
