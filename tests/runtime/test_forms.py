# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Forms of calls by processor feature: which one an entry point becomes, on processors that are played."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "build-x86_64/include"
ROOM = 32

BEST, NEXT, FAR, ABOVE = "7,0,1,14", "80000001,0,3,1f", "7,1,0,0", "7,0,1,14"
LAST_BIT = "7,1,0,1"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runtime/forms.c with a table of the test's own (forms.S); i386 has no C library to do it with."""
    out = tmp_path_factory.mktemp("forms") / "forms"
    here = Path(__file__).resolve().parent
    command = [
        "gcc",
        "-m64",
        "-static",
        "-no-pie",
        "-fno-pie",
        "-O1",
        "-fcf-protection=none",
        "-DVMI_ALLOW_SSE",
        "-Wall",
        "-Wextra",
        "-Werror",
        f"-I{INCLUDE}",
        f"-I{ROOT / 'runtime'}",
        f"-I{ROOT / 'runtime/arch/x86_64'}",
        "-o",
        str(out),
        str(here / "forms.c"),
        str(here / "forms.S"),
        str(ROOT / "runtime/forms.c"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def chosen(program: Path, *features: str) -> tuple[list[bytes], list[int], list[str]]:
    """The entry points' code, what each returns; CR0, how often code was made writable, and CR4."""
    done = subprocess.run([str(program), *features], capture_output=True, text=True, timeout=60, check=True)
    *entries, answers, registers = done.stdout.splitlines()
    return [bytes.fromhex(each) for each in entries], [int(n) for n in answers.split()], registers.split()


UNTOUCHED, WRITTEN = ["0x80010033", "0", "0xa0"], ["0x80010033", "1", "0xa0"]


def test_none_of_the_features(program: Path) -> None:
    """What was linked stays, and nothing is made writable."""
    _, answers, registers = chosen(program)
    assert answers == [1, 10, 100, 1000]
    assert registers == UNTOUCHED


def test_the_first_whose_feature_is_there(program: Path) -> None:
    assert chosen(program, BEST)[1] == [3, 10, 100, 1000]
    assert chosen(program, NEXT)[1] == [2, 10, 100, 1000]
    entries, answers, registers = chosen(program, NEXT, BEST)
    assert answers == [3, 10, 100, 1000]
    assert entries[0] == (b"\xb8\x03\0\0\0\xc3").ljust(ROOM, b"\xcc"), "nothing is left of what was there"
    assert registers == WRITTEN


def test_a_form_that_cannot_be_copied_is_jumped_to(program: Path) -> None:
    entries, answers, registers = chosen(program, FAR)
    assert answers == [1, 11, 100, 1000]
    assert entries[1][0] == 0xE9
    assert entries[1][5:] == (ROOM - 5) * b"\xcc"
    assert registers == WRITTEN


def test_a_leaf_above_the_highest_has_no_features(program: Path) -> None:
    """A processor answers it as if it were the highest, whose bit is set here."""
    assert chosen(program, ABOVE)[1][2] == 100


# Chosen again, on another processor

ALL = (BEST, NEXT, FAR, LAST_BIT)
KINDS = [(), (BEST,), (NEXT,), (FAR,), (LAST_BIT,), ALL]


@pytest.mark.parametrize("after", KINDS)
@pytest.mark.parametrize("before", KINDS)
def test_chosen_again_as_if_first(program: Path, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    entries, answers, registers = chosen(program, *before, "next", *after)
    first, first_answers, _ = chosen(program, *after)
    assert answers == first_answers
    # The linker's short jump becomes a long one where it is put back.
    assert entries[:3] == first[:3]
    assert registers == (UNTOUCHED if before == after else WRITTEN)


def test_features_that_are_left_out(program: Path) -> None:
    assert chosen(program, *ALL, "without=1")[1] == [2, 11, 100, 3]
    assert chosen(program, *ALL, "without=3")[1] == [1, 11, 100, 3]
    assert chosen(program, *ALL, "without=80000000")[1] == [3, 11, 100, 1000]
    assert chosen(program, *ALL, "next", *ALL, "without=ffffffff")[1] == [1, 10, 100, 1000]
    assert chosen(program, *ALL, "without=ffffffff", "next", *ALL)[1] == [3, 11, 100, 3]


def test_indirect_branch_tracking_is_off_for_the_while(program: Path) -> None:
    """The processor keeps CR0.WP on as long as CR4.CET is."""
    assert chosen(program, BEST, "cet")[2] == ["0x80010033", "1", "0x8000a0"]
