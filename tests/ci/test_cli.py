# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The front door's misuse: one clear line, exit status 2, never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from ci.cli import WORDS

from ..guests import places


def vmi(root: Path, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "vmi", *words], capture_output=True, text=True, timeout=120, check=False, **more
    )  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-h",)])
def test_help(root: Path, words: tuple[str, ...]) -> None:
    done = vmi(root, *words)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in WORDS:
        assert f"./vmi {word}" in done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("fly",), "vmi: unknown word: fly; ./vmi alone prints help"),
        (("build", "all"), "vmi: unexpected: all; ./vmi alone prints help"),
        (("boot", "--loud"), "vmi: unrecognized arguments: --loud; ./vmi alone prints help"),
        (("boot", "--append"), "vmi: argument --append: expected one argument; ./vmi alone prints help"),
        (("boot", "nowhere"), "vmi: no configuration nowhere; there are: "),
        (("report", "--results", "nowhere"), "vmi: no folder nowhere"),
        (("iso", "--append", "a;b"), "vmi: not for GRUB's command line: 'a;b'"),
        (("test", "--skip", "nowhere"), "vmi: no configuration nowhere; there are: "),
    ],
)
def test_misuse(root: Path, words: tuple[str, ...], line: str) -> None:
    done = vmi(root, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(line)


def test_works_from_another_folder_and_through_a_link(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "vmi"
    link.symlink_to(root / "vmi")
    done = subprocess.run([link, "fly"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["vmi: unknown word: fly; ./vmi alone prints help"],
    )


@pytest.fixture(scope="module")
def plain() -> str:
    """A configuration that boots without a hypervisor."""
    return next(str(place) for place in places() if place.rig.instruction_counter)


def test_boot(root: Path, tmp_path: Path, plain: str) -> None:
    figure = tmp_path / "figure.json"
    done = vmi(root, "boot", plain, "--json", str(figure), "--lava")
    assert done.returncode == 0, done.stderr
    head, row = (line.split() for line in done.stdout[done.stdout.index("\nconfig") :].splitlines()[1:3])
    assert (head[0], head[-1], row[0], row[-1]) == ("configuration", "verdict", plain, "passed")
    assert f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={plain}.boot.information RESULT=pass>" in done.stdout
    written = json.loads(figure.read_text())
    assert [row["configuration"] for row in written["rows"]] == [plain]
    assert written["rows"][0]["passed"] is True
    assert written["objects_sha256"] in done.stdout


def test_boot_of_a_kernel_that_panics(root: Path, plain: str) -> None:
    done = vmi(root, "boot", plain, "--append", "test=panic checks=none")
    assert done.returncode == 1
    assert "exit status 0x12 (panic)" in done.stderr
    assert "  command: " in done.stderr and "  advice: " in done.stderr
    assert "  | PANIC: " in done.stderr
    assert f"{plain} FAILED: exit status 0x12 (panic)" in done.stdout
    assert "  | KTAP version 1" in done.stderr, "the console of a row that failed is shown whole"
    assert "Traceback" not in done.stderr


def test_what_boot_prints_is_for_people(root: Path, plain: str) -> None:
    """Without a terminal: plain lines that fit a page; consoles only if they are asked for."""
    done = vmi(root, "boot", plain)
    printed = (done.stdout + done.stderr).splitlines()
    assert "KTAP version 1" not in printed
    assert max(len(line) for line in printed) <= 100
    assert len(printed) < 30
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr
    consoles = re.search(r"^consoles: (\S+)/NAME.guest.log", done.stdout, re.MULTILINE)
    assert consoles and "KTAP version 1" in (root / consoles[1] / f"{plain}.guest.log").read_text()
    assert "KTAP version 1" in vmi(root, "boot", plain, "--console").stdout.splitlines()


def test_at_a_terminal_one_line_says_what_is_done(root: Path, plain: str) -> None:
    """It counts checks, and is gone at the end."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [root / "vmi", "boot", plain], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as child:  # fmt: skip
        os.close(theirs)
        drawn = b""
        with contextlib.suppress(OSError):  # what a terminal without its other side is read with
            while piece := os.read(ours, 4096):
                drawn += piece
    os.close(ours)
    assert child.returncode == 0
    text = drawn.decode()
    live = [part for part in text.split("\r") if part.startswith("\x1b[K") and "\n" not in part]
    assert any(re.fullmatch(rf"\x1b\[K{plain}: .*, \d+ s", part) for part in live), text
    assert "\x1b" not in text.splitlines()[-1].rpartition("\x1b[K")[2]
    assert text.splitlines()[-1].rpartition("\x1b[K")[2].startswith(f"vmi: {plain}: ")


def test_results_that_cannot_be_written(root: Path, tmp_path: Path, plain: str) -> None:
    (tmp_path / "file").touch()
    done = vmi(root, "boot", plain, "--json", str(tmp_path / "file" / "figure.json"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"vmi: cannot write {tmp_path}/file/figure.json: ")
    assert "Traceback" not in done.stderr
