# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""No files of a folder lead to each other, by includes or by symbols; folders and the sample kernel's layers
stand on each other as docs/architecture.md and the README draw them."""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

from ci import house
from ci.backends import backends
from ci.build import tree
from ci.layers import circles, place, taken, uses
from ci.util import ARCHITECTURES, ROOT


@cache
def folders(arch: str) -> dict[str, dict[str, dict[str, str]]]:
    return taken(tree(arch))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_no_circle(arch: str) -> None:
    found = []
    for folder, units in folders(arch).items():
        for circle in circles(units):
            found += [
                f"{folder}/{unit} takes {what} of {other}"
                for unit in circle
                for other, what in units[unit].items()
                if other in circle
            ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_folders_are_seen(arch: str) -> None:
    """All that is compiled for a guest, with what its files take of each other."""
    seen = folders(arch)
    expected = {"runtime", "sample_kernel", "sample_kernel/user", "conformance", "examples/hello"}
    expected |= {f"backends/{name}" for name in backends(arch=arch) if name != "any"}
    if arch == "i386":
        expected |= {"runtime/bind", "runtime/image", "interop"}
    assert expected <= set(seen)
    assert seen["sample_kernel"]["threads"]["switch"] in ("header", "switch_context")
    assert "frames" in seen["sample_kernel"]["aspace"]
    assert seen["runtime"]["pc_loader"]


def by_symbols(folder: Path) -> None:
    (folder / "one.c").write_text("int two(void); int one(void); int one(void) { return two(); }\n")
    (folder / "arch/x/two.c").write_text("int one(void); int two(void); int two(void) { return one(); }\n")


def by_headers(folder: Path) -> None:
    (folder / "one.h").write_text('#include "two.h"\n')
    (folder / "arch/x/two.h").write_text('#pragma once\n  #  include "one.h"\n')
    (folder / "one.c").write_text('#include "one.h"\nint one;\n')
    (folder / "arch/x/two.c").write_text("int two;\n")


def by_both(folder: Path) -> None:
    (folder / "one.h").write_text("extern int one;\n")
    (folder / "one.c").write_text("int two(void); int one(void); int one(void) { return two(); }\n")
    (folder / "arch/x/two.c").write_text('#include "../../one.h"\nint two(void) { return 0; }\n')


def none(folder: Path) -> None:
    (folder / "one.c").write_text("int two(void); int one(void); int one(void) { return two(); }\n")
    (folder / "arch/x/two.c").write_text("int two(void) { return 0; }\n")


@pytest.mark.parametrize("write", [by_symbols, by_headers, by_both, none])
def test_a_circle_is_found(tmp_path: Path, write: Callable[[Path], None]) -> None:
    folder, build = tmp_path / "folder", tmp_path / "build"
    (folder / "arch/x").mkdir(parents=True)
    build.mkdir()
    write(folder)
    commands = []
    for source in (folder / "one.c", folder / "arch/x/two.c"):
        output = f"{source.stem}.o"
        command = f"gcc -I{folder} -I{folder}/arch/x -c {source} -o {output}"
        subprocess.run(command.split(), cwd=build, check=True)
        commands.append({"file": str(source), "output": output, "command": command})
    (build / "compile_commands.json").write_text(json.dumps(commands))
    expected = [] if write is none else [["one", "two"]]
    assert circles(taken(build, tmp_path)["folder"]) == expected


def test_circles_are_told_apart() -> None:
    units = {
        "a": {"b": ""},
        "b": {"c": ""},
        "c": {"b": "", "d": ""},
        "d": {"e": ""},
        "e": {"f": ""},
        "f": {"d": ""},
    }
    assert circles(units) == [["d", "e", "f"], ["b", "c"]]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_layers_of_the_sample_kernel(arch: str) -> None:
    """Each file is in one layer of the README's, and takes nothing of a layer above."""
    rows = house.layers()
    assert [row.names for row in rows] == [
        ("checks",),
        ("processes",),
        ("threads",),
        ("memory",),
        ("machine",),
    ]

    def layer(unit: str) -> int:
        at = [i for i, row in enumerate(rows) if any(fnmatchcase(unit, name) for name in row.files)]
        assert len(at) == 1, f"{unit} is in {len(at)} layers of sample_kernel/README.md"
        return at[0]

    up = [
        f"{unit} takes {what} of {other}"
        for unit, others in folders(arch)["sample_kernel"].items()
        for other, what in others.items()
        if layer(other) < layer(unit)
    ]
    assert not up, "\n".join(up)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_folders_of_the_house(arch: str) -> None:
    """Each takes what it needs of its own row or one above, but for the names that are left open."""
    rows = house.house()
    left_open: set[str] = set()
    wrong = []

    def row(file: Path) -> int | None:
        folder = file.relative_to(ROOT).parts[0]
        return next((i for i, one in enumerate(rows) if folder in one.names), None)

    for user, givers, what in uses(tree(arch)):
        at, found = row(user), [row(giver) for giver in givers]
        if at is None or any(other is None for other in found):
            # Whoever stands aside takes and gives nothing, but has C's own functions for itself.
            if {place(user)[0]} != {place(giver)[0] for giver in givers if row(giver) == at}:
                wrong.append(f"{user} takes {what} of {givers}")
        elif min(other for other in found if other is not None) > at:
            left_open.add(what)
            if what not in rows[at].files:
                wrong.append(f"{user} takes {what} of {', '.join(str(giver) for giver in givers)}")
    assert not wrong, "\n".join(wrong)
    if arch == ARCHITECTURES[0]:
        assert left_open == {name for one in rows for name in one.files}


def test_python_keeps_to_the_house() -> None:
    """The generator takes nothing of the rest, the tools take the generator alone."""
    own = {"ci", "tests", "tools", "backends", "vmigen", "vmi_bind", "vmi_lint", "vmi_rust"}
    for folder, allowed in (
        ("codegen/vmigen", set()),
        ("tools/vmi_bind", {"vmigen"}),
        ("tools/vmi_lint", {"vmigen"}),
        ("tools/vmi_rust", set()),
    ):
        for path in (ROOT / folder).rglob("*.py"):
            names = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
            assert names & own <= allowed | {path.parent.name}, path


def test_the_picture() -> None:
    """It has every folder and layer, fits a phone, follows the reader's theme and has no line too long."""
    drawn = ElementTree.fromstring(house.picture())
    assert house.PICTURE.read_text() == house.picture()
    texts = drawn.findall("{*}text")
    said = " ".join(text.text or "" for text in texts)
    for row in (*house.house(), *house.layers()):
        assert all(name in said for name in row.names)
    assert float(drawn.get("width", "")) <= 400
    assert all(len(text.text or "") <= house.LETTERS for text in texts)
    assert "prefers-color-scheme: dark" in house.picture()
    page = ROOT / "build/docs/html"
    assert (page / "house.svg").read_text() == house.picture()
    assert 'src="house.svg"' in (page / "guide-architecture.html").read_text()
