# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Wrong specifications and backends: each gets exactly the messages that stand in it.

A file of `bad/` ends with comments `#~ error LINE:COLUMN: text`, one per message, in order. What is wrong on
another architecture than i386 alone names it before them, `#~ arch NAME`. Files in `bad/specs` are
specifications; folders in `bad/backends` are backends of the small specification, beside its `bare` backend.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from vmigen_runs import HERE, SMALL, Vmigen, process, small

SPECS = sorted((HERE / "bad" / "specs").glob("*.yaml"))
BACKENDS = sorted((HERE / "bad" / "backends").glob("*/backend.yaml"))


def expected(path: Path) -> list[str]:
    """The messages that the file says it gets."""
    return [f"{path}:{text}" for text in re.findall(r"^#~ error (.*)$", path.read_text(), re.MULTILINE)]


def arch(path: Path) -> str:
    """The architecture that the file is checked for."""
    named = re.search(r"^#~ arch (.*)$", path.read_text(), re.MULTILINE)
    return named[1] if named else "i386"


def as_messages(text: str) -> list[str]:
    """What was printed, without the word between place and text."""
    return [line.replace(": error: ", ": ", 1) for line in text.splitlines()]


def test_the_corpus_is_large() -> None:
    assert len(SPECS) >= 110
    assert len(BACKENDS) >= 50
    for paths in (SPECS, BACKENDS):
        assert {arch(path) for path in paths} == {"i386", "x86_64"}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specification(path: Path, vmigen: Vmigen, tmp_path: Path) -> None:
    run = vmigen("generate", "--arch", arch(path), "--spec", path, "--out", tmp_path / "out")
    assert expected(path)
    assert as_messages(run.err) == expected(path)
    assert run.status == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", BACKENDS, ids=lambda path: path.parent.name)
def test_backend(path: Path, vmigen: Vmigen, tmp_path: Path) -> None:
    run = vmigen("generate", "--arch", arch(path), *small("bare"), path.parent, "--out", tmp_path / "out")
    assert expected(path)
    assert as_messages(run.err) == expected(path)
    assert run.status == 1
    assert not (tmp_path / "out").exists()


def test_messages_say_what_was_expected_and_how_to_mend_it() -> None:
    for path in (*SPECS, *BACKENDS):
        for message in expected(path):
            assert len(message.split("; ")) >= 3, message


def test_faults_in_all_files_are_told_in_one_sorted_run(vmigen: Vmigen) -> None:
    spec = next(path for path in SPECS if path.stem == "several-at-once")
    backend = next(path for path in BACKENDS if path.parent.name == "way_unknown")
    run = vmigen("check", "--spec", spec, "--backends", SMALL / "backends" / "bare", backend.parent)
    assert as_messages(run.err) == sorted(expected(backend)) + expected(spec)
    assert run.status == 1


def test_two_backends_that_inherit_from_each_other(vmigen: Vmigen, tmp_path: Path) -> None:
    for name, parent in (("one", "two"), ("two", "one")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backend.yaml").write_text(
            f"name: {name}\ntitle: T\nsummary: S\narchitectures: [i386]\n"
            f"inherits: {parent}\ndefaults: inherited\n"
        )
    run = vmigen("check", *small(), tmp_path / "one", tmp_path / "two")
    assert run.err == (
        f"{tmp_path}/two/backend.yaml:5:11: error: inheritance in a circle (one -> two -> one); "
        "expected a chain that ends; remove one `inherits`\n"
    )
    assert run.status == 1


def test_a_backend_given_twice(vmigen: Vmigen) -> None:
    run = vmigen("check", *small("bare", "bare"))
    assert run.err.startswith(f"{SMALL}/backends/bare/backend.yaml:3:7: error: backend 'bare' is also in ")
    assert run.status == 1


@pytest.mark.parametrize(
    ("data", "place", "text"),
    [
        (b"", "1:1", "the file is empty"),
        (b"# only a comment\n", "1:1", "the file holds nothing"),
        (b"- a\n- b\n", "1:1", "the file holds a list"),
        (b"api: caf\xe9\n", "1:9", "byte 0xe9 is not UTF-8"),
        (b"a: 1\nb: \x00\x01\n", "2:4", "character U+0000 is not text"),
        (b"\x7fELF\x01\x01\x01\x00", "1:1", "character U+007F is not text"),
        (b"api: 1\napi: 2\n", "2:1", "key 'api' is given twice (first on line 1)"),
        (b"a: " + b"[" * 200, "1:36", "nested more than 32 levels deep"),
        (b"? [a]\n: b\n", "1:3", "a key that is not a plain text"),
        ("api: ‮\n".encode(), "1:6", "'api' is the text ' '"),
    ],
)
def test_not_a_specification(data: bytes, place: str, text: str, vmigen: Vmigen, tmp_path: Path) -> None:
    path = tmp_path / "vmi.yaml"
    path.write_bytes(data)
    run = vmigen("check", "--spec", path)
    assert (
        f"{path}:{place}: error: {text}; expected" in run.err
        or f"{path}:{place}: error: {text}; the format" in run.err
    )
    assert run.status == 1


def test_unreadable_files(vmigen: Vmigen, tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    for path, why in (
        (tmp_path / "none.yaml", "No such file"),
        (tmp_path, "Is a directory"),
        (loop, "Too many levels"),
    ):
        run = vmigen("check", "--spec", path)
        assert run.err.startswith(f"{path}:1:1: error: cannot read the file ({why}")
        assert run.err.count("\n") == 1
        assert run.status == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(vmigen: Vmigen, tmp_path: Path) -> None:
    path = tmp_path / "vmi.yaml"
    path.write_text("api: 1\n")
    path.chmod(0)
    run = vmigen("check", "--spec", path)
    assert run.err.startswith(f"{path}:1:1: error: cannot read the file (Permission denied)")
    assert run.status == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "COMMAND"),
        (["render"], "invalid choice: 'render'"),
        (["generate"], "required: --out"),
        (
            ["check", "--arch", "arm64", *small()],
            "architecture 'arm64' is planned, not supported; expected i386, x86_64",
        ),
        (["check", "--arch", "vax"], "unknown architecture 'vax'; expected one of i386, x86_64"),
        (["check", "--colour"], "unrecognized arguments: --colour"),
        (["list-backends", "/nowhere"], "cannot read '/nowhere'"),
    ],
)
def test_misuse_is_one_line_and_status_2(arguments: list[str], text: str) -> None:
    run = process(*arguments)
    assert text in run.err
    assert run.err.count("\n") == 1
    assert run.status == 2
