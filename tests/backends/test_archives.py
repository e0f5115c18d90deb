# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""A library defines each symbol once. Which of two definitions a linker takes from an archive depends on what
it has looked for before: a file that replaces one of a parent's might not be in the kernel, and nobody would
see."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from ci.backends import backends
from ci.build import tree
from ci.util import ARCHITECTURES

LIBRARIES = [(name, arch) for arch in ARCHITECTURES for name in backends(arch=arch)]


def defined_twice(archive: Path) -> dict[str, list[str]]:
    """Global symbols with the members that define them, where these are more than one; weak ones aside."""
    done = subprocess.run(
        ["nm", "-A", "-g", "--defined-only", str(archive)], capture_output=True, text=True, check=True
    )
    members: dict[str, list[str]] = defaultdict(list)
    for line in done.stdout.splitlines():
        where, kind, symbol = line.split()
        if kind not in "WVw":
            members[symbol].append(where.split(":")[1])
    return {symbol: found for symbol, found in members.items() if len(found) > 1}


@pytest.mark.parametrize(("name", "arch"), LIBRARIES, ids=map("-".join, LIBRARIES))
def test_library_defines_nothing_twice(name: str, arch: str) -> None:
    assert defined_twice(tree(arch) / f"backends/libvmi-{name}.a") == {}


def test_second_definition_is_found(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.c").write_text(
            f"int both(void); int both(void) {{ return 1; }}\nint {name};\n"
            "__attribute__((weak)) int weak;\nstatic int own;\nint *p_" + name + " = &own;\n"
        )
        subprocess.run(["gcc", "-c", f"{name}.c"], cwd=tmp_path, check=True)
    subprocess.run(["ar", "rc", "lib.a", "one.o", "two.o"], cwd=tmp_path, check=True)
    assert defined_twice(tmp_path / "lib.a") == {"both": ["one.o", "two.o"]}
