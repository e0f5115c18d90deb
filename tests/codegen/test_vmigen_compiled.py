# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Compiled templates are kept, and make no difference to what is generated."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from vmigen_runs import PROJECT, process, small, tree

NONE_COMPILED = """
import jinja2, sys

def refuse(*arguments, **named):
    raise AssertionError("a template is compiled")

jinja2.Environment.compile = refuse
from vmigen.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def codegen(tmp_path: Path) -> Path:
    """A copy of the generator that has compiled nothing yet, with the schemas beside it."""
    for part in ("spec", "codegen"):
        shutil.copytree(PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "codegen"


def generate(codegen: Path, keeps: bool = True) -> dict[str, bytes]:
    """What the copy generates; `keeps`: Python may write what it has compiled."""
    out = codegen.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    environment = {"PYTHONPATH": str(codegen), "PYTHONDONTWRITEBYTECODE": "" if keeps else "1"}
    run = process("generate", *small("bare"), "--out", out, **environment)
    assert (run.status, run.err) == (0, "")
    return tree(out)


def kept(codegen: Path) -> list[Path]:
    return sorted((codegen / "vmigen/templates/__pycache__").glob("*.cache"))


def test_kept_and_used(codegen: Path) -> None:
    first = generate(codegen)
    assert len(kept(codegen)) > 5
    assert generate(codegen) == first
    again = subprocess.run(
        [sys.executable, "-c", NONE_COMPILED, "generate", *small("bare"), "--out", str(codegen / "again")],
        env={**os.environ, "PYTHONPATH": str(codegen)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (again.returncode, again.stderr) == (0, "")
    assert tree(codegen / "again") == first


def test_an_edit_is_seen(codegen: Path) -> None:
    before = generate(codegen)
    with (codegen / "vmigen/templates/stubs.S.j2").open("a") as stream:
        stream.write("# an edit\n")
    after = generate(codegen)
    edited = {name for name, text in after.items() if text.endswith(b"# an edit\n")}
    assert edited and edited == {name for name, text in after.items() if before[name] != text}


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_none(codegen: Path, damage: bytes | None) -> None:
    """None: the first half of what was there."""
    first = generate(codegen)
    for path in kept(codegen):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert generate(codegen) == first


def test_nothing_is_kept_where_that_is_not_wanted_or_cannot_be(codegen: Path) -> None:
    first = generate(codegen, keeps=False)
    folder = codegen / "vmigen/templates/__pycache__"
    assert not folder.exists()
    folder.write_text("no folder")
    assert generate(codegen) == first
