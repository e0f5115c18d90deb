# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The front door's misuse: one clear line, exit status 2, never a traceback."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ci.cli import WORDS
from ci.util import ARCHITECTURES

from ..guests import places


def vmi(root: Path, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [root / "vmi", *words], capture_output=True, text=True, timeout=300, check=False, **more
    )  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("-h",)])
def test_help(root: Path, words: tuple[str, ...]) -> None:
    done = vmi(root, *words)
    assert done.returncode == 0
    assert done.stderr == ""
    for word in WORDS:
        assert f"./vmi {word}" in done.stdout


@pytest.mark.parametrize("word", WORDS)
def test_help_of_each_word(root: Path, word: str) -> None:
    for words in ((word, "--help"), ("help", word), (word, "-h")):
        done = vmi(root, *words)
        assert (done.returncode, done.stderr) == (0, "")
        assert re.match(rf"usage: (\./)?vmi {word}\b", done.stdout)
        for option in WORDS[word].options:
            name = option.words[0] if option.words[0].startswith("-") else option.settings["metavar"]
            assert re.search(rf"^  {name}\b", done.stdout, re.MULTILINE), name
            assert option.settings["help"]


def test_help_needs_nothing_set_up(root: Path) -> None:
    """Not even the modules of .venv."""
    code = f"import sys; sys.path[:0] = [{str(root)!r}]; from ci.cli import main; main(['run', '-h'])"
    command = ["/usr/bin/python3", "-I", "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--deadline SECONDS" in done.stdout


def test_version(root: Path) -> None:
    done = vmi(root, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    found = re.fullmatch(r"vmi (\S+) \(VMI API (\S+)(?:, commit \S+)?\)\n", done.stdout)
    assert found
    assert f"version: '{found[1]}'" in (root / "meson.build").read_text()
    major, minor = found[2].rstrip(",").split(".")
    assert f"major: {major}, minor: {minor}" in (root / "spec/vmi.yaml").read_text()


NUMBER = "expected a whole number from 1 to 32, found"
TIME = "expected seconds from 1 to 86400, found"
LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("fly",), "vmi: unknown word: fly; ./vmi alone prints help"),
        ((LONG,), f"vmi: unknown word: {'x' * 60}... (100001 characters) ./vmi alone prints help"),
        (("build", "all"), "vmi: unrecognized arguments: all; ./vmi build --help"),
        (("boot", "--loud"), "vmi: unrecognized arguments: --loud; ./vmi boot --help"),
        (("boot", "--app", "x"), "vmi: unrecognized arguments: --app; ./vmi boot --help"),
        (("boot", "--append"), "vmi: argument --append: expected one argument; ./vmi boot --help"),
        (("boot", "--append", "a\nb"), "vmi: argument --append: expected printable characters, found 'a\\n"),
        (("boot", "--json", ""), "vmi: argument --json: expected a path, found nothing; ./vmi boot --help"),
        (("boot", "nowhere"), "vmi: no configuration nowhere; there are: "),
        (("run", "a", "b", "--cpus", "39.0"), f"vmi: argument --cpus: {NUMBER} '39.0'; ./vmi run --help"),
        (("run", "a", "b", "--cpus", "0"), f"vmi: argument --cpus: {NUMBER} '0'; ./vmi run --help"),
        (("run", "a", "b", "--cpus", "33"), f"vmi: argument --cpus: {NUMBER} '33'; ./vmi run --help"),
        (("run", "a", "b", "--cpus", "-1"), f"vmi: argument --cpus: {NUMBER} '-1'; ./vmi run --help"),
        (("run", "a", "b", "--cpus", "1_0"), f"vmi: argument --cpus: {NUMBER} '1_0'; ./vmi run --help"),
        (("run", "a", "b", "--cpus", "٣"), f"vmi: argument --cpus: {NUMBER} '٣'; ./vmi run --help"),
        (("run", "a", "b", "--deadline", "0"), f"vmi: argument --deadline: {TIME} '0'; ./vmi run --help"),
        (("run", "a", "b", "--deadline", "nan"), f"vmi: argument --deadline: {TIME} 'nan'; ./vmi run --help"),
        (("run", "a", "b", "--deadline", "1e9"), f"vmi: argument --deadline: {TIME} '1e9'; ./vmi run --help"),
        (("lab", "a", "b"), "vmi: the following arguments are required: --tftp; ./vmi lab --help"),
        (("new-backend", "any"), "vmi: name 'any' is reserved; choose another"),
        (("new-backend", "i386"), "vmi: name 'i386' is reserved; choose another"),
        (("new-backend", "toy", "--hypercall", "int:010"), "vmi: --hypercall int:010: expected vmcall, "),
        (("report", "--results", "nowhere"), "vmi: no folder nowhere"),
        (("iso", "--append", "a;b"), "vmi: not for GRUB's command line: 'a;b'"),
        (("test", "--skip", "nowhere"), "vmi: no configuration nowhere; there are: "),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_misuse(root: Path, words: tuple[str, ...], line: str) -> None:
    done = vmi(root, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(line)


FULL = "vmi(gen)?: standard output.*: No space left on device; "


def shell(root: Path, words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The front door under a shell's redirections."""
    return subprocess.run(
        ["sh", "-c", f'"$VMI" {words}'],
        env={**os.environ, "VMI": str(root / "vmi"), "PYTHONUNBUFFERED": "", **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("> /dev/full", 1, FULL),
        ("build --help > /dev/full", 1, FULL),
        ("run --help > /dev/full", 1, FULL),
        ("--version > /dev/full", 1, FULL),
        ("diff --help > /dev/full", 1, FULL),
        ("diff HEAD HEAD > /dev/full", 1, FULL),
        ("fly 2> /dev/full", 2, ""),
        ("fly 2>&-", 2, ""),
        (">&-", 0, ""),
        ("lint --help >&-", 0, ""),
        ("| true", 0, ""),
    ],
)
def test_full_and_closed_devices(root: Path, words: str, status: int, said: str) -> None:
    done = shell(root, words)
    assert (done.returncode, done.stdout) == (status, "")
    assert re.match(said, done.stderr) and done.stderr.count("\n") == (1 if said else 0), done.stderr


@pytest.mark.parametrize("target", ["a device", "a pipe", "a folder", "/proc/self/report.html"])
def test_results_go_to_files(root: Path, tmp_path: Path, target: str) -> None:
    """What is a device or pipe stays one, for root as well."""
    place = Path(target if target.startswith("/") else tmp_path / target)
    if target == "a device":
        try:
            os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 7))  # as /dev/full
        except PermissionError:
            pytest.skip("only root makes devices, and only root could replace one")
    elif target == "a pipe":
        os.mkfifo(place)
    elif target == "a folder":
        place.mkdir()
    (tmp_path / "results").mkdir()
    before = place.stat().st_mode if place.exists() else None
    done = vmi(root, "report", "--results", str(tmp_path / "results"), "--output", str(place))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"vmi: cannot write {place}: ")
    assert "Traceback" not in done.stderr
    assert (place.stat().st_mode if place.exists() else None) == before
    done = vmi(root, "lint", "/usr/bin/true", "--output", str(place))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"vmi lint: {place}: cannot write the file (")
    assert done.stderr.count("\n") == 1
    assert (place.stat().st_mode if place.exists() else None) == before


def test_a_locale_without_the_characters(root: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for words in ("", "diff HEAD HEAD", "lint --help", "boot größe"):
        plain, done = shell(root, words, LC_ALL="C.UTF-8"), shell(root, words, **ascii_only)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
        assert done.stderr == plain.stderr


def test_ctrl_c_while_a_class_is_made(root: Path) -> None:
    """Python before 3.12 makes another exception of it."""
    program = """
import os, signal, sys
from vmigen.program import ended, prepare

class Field:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.SIGINT)

def run():
    type("Made", (), {"field": Field()})
    return 0

prepare()
sys.exit(ended("made", run))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(root / "codegen")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "made: interrupted\n")


def test_ctrl_c_at_any_moment(root: Path) -> None:
    """Also while Python starts, before it runs any code of ours."""
    ends = set()
    for step in range(14):
        with subprocess.Popen(
            [root / "vmi", "diff", "HEAD", "HEAD"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as run:  # fmt: skip
            time.sleep(step * 0.04)
            os.killpg(run.pid, signal.SIGINT)
            out, said = run.communicate(timeout=300)
        ends.add(run.returncode)
        assert (run.returncode, said) in ((130, "vmi: interrupted\n"), (-signal.SIGINT, ""), (0, ""))
        assert "Traceback" not in out
    assert ends & {130, -signal.SIGINT}


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
    head, *rows = (line.split() for line in done.stdout[done.stdout.index("\nconfig") :].splitlines()[1:])
    assert (*head[:2], head[-1]) == ("configuration", "arch", "verdict")
    shown = list(itertools.takewhile(bool, rows))
    assert [(*row[:2], row[-1]) for row in shown] == [(plain, arch, "passed") for arch in ARCHITECTURES]
    assert f"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID={plain}.boot.information RESULT=pass>" in done.stdout
    written = json.loads(figure.read_text())
    assert [row["configuration"] for row in written["rows"]] == [plain, f"{plain}-{ARCHITECTURES[1]}"]
    assert [row["architecture"] for row in written["rows"]] == list(ARCHITECTURES)
    assert {name.partition("/")[0] for name in written["objects"]} == set(ARCHITECTURES)
    assert written["rows"][0]["passed"] is True
    assert written["objects_sha256"] in done.stdout


def test_boot_of_one_architecture(root: Path, plain: str) -> None:
    for arch in ARCHITECTURES:
        done = vmi(root, "boot", plain, "--arch", arch)
        assert done.returncode == 0, done.stderr
        table = done.stdout[done.stdout.index("\nconfig") :].splitlines()[2:]
        assert [line.split()[1] for line in itertools.takewhile(bool, table)] == [arch]
    assert vmi(root, "boot", plain, "--arch", "vax").returncode == 2


def test_boot_of_the_kernel_that_binds_itself(root: Path, plain: str) -> None:
    """A row for each architecture; each says what the one file was bound to."""
    done = vmi(root, "boot", "any", plain, "--append", "checks=boot")
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("\nconfig") :].splitlines()[2:]
    rows = [line.split()[:3] for line in itertools.takewhile(bool, table)]
    assert rows == [[plain, arch, plain] for arch in ARCHITECTURES]


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
    assert text.splitlines()[-1].rpartition("\x1b[K")[2].startswith(f"vmi: {plain}")


def test_results_that_cannot_be_written(root: Path, tmp_path: Path, plain: str) -> None:
    (tmp_path / "file").touch()
    done = vmi(root, "boot", plain, "--json", str(tmp_path / "file" / "figure.json"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"vmi: cannot write {tmp_path}/file/figure.json: ")
    assert "Traceback" not in done.stderr
