# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi build` where the specification, a backend or a template is wrong: the generator's own lines."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ci.backends import backends
from ci.lint import tracked

NAME = next(iter(backends()))
CONFIGURING = "vmi: configuring the build for i386: looking at compilers and specification"
BUILDING = "vmi: building into build/: looking at what has changed"


@pytest.fixture(scope="module")
def fresh(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that was never built, with the tools of this one."""
    tree = tmp_path_factory.mktemp("fresh") / "tree"
    for name in tracked():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, tree / name)
    (tree / ".venv").symlink_to(root / ".venv")
    return tree


def build(tree: Path, target: str = "", cwd: Path | None = None) -> tuple[int, list[str]]:
    """Status of `./vmi build`, or of the build of one file, and what was said."""
    command = [tree / "vmi", "build"]
    if target:
        code = f"""\
import sys
from ci.build import build
from ci.cli import WORDS, Word, main

WORDS["build"] = Word(lambda options: build({target!r}) or 0, "", "build one file")
sys.exit(main(["build"]))
"""
        command = [tree / ".venv/bin/python", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(
        command, cwd=cwd or tree, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_in_a_fresh_tree_and_in_one_that_was_configured(fresh: Path, tmp_path: Path) -> None:
    spec = fresh / "spec/vmi.yaml"
    right = spec.read_text()
    wrong = right.replace("ordinal: 17\n", "ordinal: 16\n")
    line = wrong[: wrong.index("ordinal: 16\n", wrong.index("ordinal: 16\n") + 1)].count("\n") + 1
    spec.write_text(wrong)
    said = f"spec/vmi.yaml:{line}:14: error: ordinal 16 is taken "
    status, lines = build(fresh)
    assert (status, lines[:-1]) == (1, [CONFIGURING])
    assert lines[-1].startswith(said)

    spec.write_text(right)
    assert build(fresh, "include/vmi/vmi.h") == (0, [CONFIGURING, BUILDING])
    spec.write_text(wrong)
    status, lines = build(fresh, "include/vmi/vmi.h")
    assert (status, lines[:-1]) == (1, [BUILDING])
    assert lines[-1].startswith(said)
    # From elsewhere the path is whole, so that it leads to the file.
    status, lines = build(fresh, "include/vmi/vmi.h", cwd=tmp_path)
    assert (status, lines[:-1]) == (1, [BUILDING])
    assert lines[-1].startswith(f"{fresh}/{said}")
    spec.write_text(right)


def generators(lines: list[str]) -> bool:
    """Whether there is nothing but the front door's and the generator's own lines."""
    return all(": error: " in line or line.startswith("vmi: ") for line in lines)


def test_a_backend_and_its_template(fresh: Path) -> None:
    description = fresh / "backends" / NAME / "backend.yaml"
    right = description.read_bytes()
    description.unlink()
    os.mkfifo(description)
    status, lines = build(fresh)
    assert status == 1 and generators(lines), lines
    assert any("Is a pipe, socket or device" in line for line in lines), lines
    description.unlink()
    description.write_bytes(right)

    template = description.parent / "templates/calls.c.j2"
    template.parent.mkdir(exist_ok=True)
    template.write_bytes("{{ banner }}\n/* caf\xe9 */\n".encode("latin-1"))
    status, lines = build(fresh)
    assert (status, lines[-1].partition(": error: ")[0]) == (1, f"{template}:2:7")
    assert generators(lines), lines
    shutil.rmtree(template.parent)


def test_a_backend_whose_name_is_taken(fresh: Path) -> None:
    folder = fresh / "backends/runtime"
    shutil.copytree(fresh / "backends" / NAME, folder)
    description = folder / "backend.yaml"
    description.write_text(description.read_text().replace(f"name: {NAME}", "name: runtime"))
    status, lines = build(fresh)
    assert status == 1 and generators(lines), lines
    assert any("name 'runtime' is reserved; " in line for line in lines), lines
    shutil.rmtree(folder)


def test_damaged_memory_of_the_last_configuration(fresh: Path) -> None:
    """Whatever is in it, the tree is configured anew."""
    (fresh / "build").mkdir(exist_ok=True)
    (fresh / "build/configured.json").write_bytes(b"\xff{")
    (fresh / "build/build.ninja").touch()
    status, lines = build(fresh, "include/vmi/vmi.h")
    assert (status, lines) == (0, [CONFIGURING, BUILDING])


def test_a_column_of_another_architecture(fresh: Path) -> None:
    """It is told in the generator's lines too, and once where it is wrong on each."""
    spec = fresh / "spec/vmi.yaml"
    right = spec.read_text()
    wrong = right.replace("x86_64: [rax]", "x86_64: [rxx]", 1)
    assert wrong != right
    line = right[: right.index("x86_64: [rax]")].count("\n") + 1
    spec.write_text(wrong)
    status, lines = build(fresh)
    spec.write_text(right)
    assert status == 1 and generators(lines), lines
    told = [text for text in lines if text.startswith(f"spec/vmi.yaml:{line}:")]
    assert any("rxx" in text for text in told) and len(told) == len(set(told)), lines
