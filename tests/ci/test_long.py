# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The runner of long tests: discovered parts, results that outlive whatever ends a run."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ci import cli, long, record, testing
from ci.long import Kept, Part, Pieces, Result, Results
from ci.util import UserError

TOY = """\
import os, time
from ci.long import Part, Result

class Toy(Part):
    name = "toy"
    summary = "writes down what it does"

    def pieces(self):
        return [str(number) for number in range(6)]

    def run(self, pieces, folder):
        for piece in pieces:
            with open(os.environ["TOY_LOG"], "a") as log:
                log.write(piece)
            if piece == os.environ.get("TOY_STOPS_AT"):
                while not os.path.exists(os.environ["TOY_LOG"].replace("log", "changed")):
                    time.sleep(0.01)
            yield Result(piece, {"done": 1}, "it is odd" if piece == os.environ.get("TOY_FAILS_AT") else "")

PARTS = (Toy(),)
"""
START = """\
import sys
from pathlib import Path
from ci import cli, long
from ci.setup import VENV
root = Path(sys.argv[1])
long.DOCUMENT, long.LOGS, long.build_all = root / "long.json", root / "logs", lambda: None
long.tree = lambda: (root / "changed").read_text() if (root / "changed").exists() else sys.argv[2]
long.identity = lambda: {"schema": 1, "commit": sys.argv[2], "tree": long.tree(), "tools": {}}
found = long.parts
long.parts = lambda: found(root)
cli._enter_venv = lambda words: None
sys.exit(cli.main(["test", "--long", *sys.argv[3:]]))
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A tree whose backend brings a part of its own."""
    folder = tmp_path / "backends/toy/tests"
    folder.mkdir(parents=True)
    (folder / "long.py").write_text(TOY)
    return tmp_path


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(toy: Path) -> Iterator[Start]:
    """`./vmi test --long` in that tree."""
    with contextlib.ExitStack() as stack:

        def run(*words: str, commit: str = "a", **environment: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-X", "utf8", "-c", START, str(toy), commit, *words], text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                    env={**os.environ, "TOY_LOG": str(toy / "log"),
                         "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
                )
            )  # fmt: skip
            stack.callback(process.kill)
            return process

        yield run


def done(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def document(root: Path) -> dict[str, Any]:
    return json.loads((root / "long.json").read_text())  # type: ignore[no-any-return]


def wait_until_it_stops(root: Path, piece: str) -> None:
    end = time.monotonic() + 300
    while piece not in ((root / "log").read_text() if (root / "log").exists() else ""):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_goes_on_where_it_was_stopped(toy: Path, start: Start, sent: signal.Signals) -> None:
    process = start(TOY_STOPS_AT="3")
    wait_until_it_stops(toy, "3")
    process.send_signal(sent)
    status, out, err = done(process)
    assert status == {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}[sent], err
    part = document(toy)["parts"]["toy"]
    assert (part["planned"], part["done"], part["left"]) == (6, 3, ["3", "4", "5"])
    assert not document(toy)["complete"]
    if sent != signal.SIGKILL:
        assert "vmi test --long: 3 of 6 pieces done, 0 failed, 3 left" in out
    status, out, err = done(start())
    assert status == 0, err
    assert (toy / "log").read_text() == "0123" + "345"
    found = document(toy)
    assert found["complete"] and found["parts"]["toy"]["counts"] == {"done": 6}
    assert "vmi test --long: 6 of 6 pieces done, 0 failed, nothing left" in out
    # Nothing is done twice, unless it is asked for.
    assert done(start())[0] == 0 and len((toy / "log").read_text()) == 7
    assert done(start("--anew", "toy"))[0] == 0 and len((toy / "log").read_text()) == 13


def test_a_failure_is_not_forgotten(toy: Path, start: Start) -> None:
    for _ in range(2):
        status, out, err = done(start(TOY_FAILS_AT="1"))
        assert status == 1, err
        assert "toy FAILED: 1: it is odd" in out
    assert (toy / "log").read_text() == "012345"
    assert document(toy)["parts"]["toy"]["failures"] == ["1: it is odd"]


def test_results_of_another_tree_are_put_aside(toy: Path, start: Start) -> None:
    assert done(start(TOY_FAILS_AT="1"))[0] == 1
    status, _, err = done(start(commit="b"))
    assert status == 0
    assert "are of other files or tools" in err
    aside = json.loads((toy / "long-a.json").read_text())
    assert aside["commit"] == "a" and aside["parts"]["toy"]["failed"] == 1
    assert document(toy)["commit"] == "b" and (toy / "log").read_text() == "012345" * 2


def test_files_that_change_meanwhile_end_the_run(toy: Path, start: Start) -> None:
    process = start(TOY_STOPS_AT="3")
    wait_until_it_stops(toy, "3")
    (toy / "changed").write_text("b")
    status, out, err = done(process)
    assert status == 1
    assert err.splitlines()[-1] == "vmi: files have changed meanwhile: toy 3 does not count"
    assert document(toy)["tree"] == "a" and document(toy)["parts"]["toy"]["done"] == 3
    # Of what there is now, nothing has been done.
    assert "1 of 6" not in out and done(start())[0] == 0
    assert document(toy)["tree"] == "b" and (toy / "log").read_text() == "0123" + "012345"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1, "tree": "a", "tools": {}, "parts": 3}'])
def test_a_damaged_document_begins_anew(toy: Path, start: Start, text: str) -> None:
    (toy / "long.json").write_text(text)
    status, _, err = done(start())
    assert status == 0 and "is damaged; all begins anew" in err and "Traceback" not in err
    assert document(toy)["parts"]["toy"]["done"] == 6


def test_one_at_a_time(toy: Path, start: Start) -> None:
    first = start(TOY_STOPS_AT="0")
    wait_until_it_stops(toy, "0")
    assert done(start())[::2] == (1, "vmi: another ./vmi test --long is running in this tree\n")
    first.kill()


def test_without_a_terminal_there_is_a_line_for_each_tenth(start: Start) -> None:
    lines = done(start())[2].splitlines()
    assert sum(line.startswith("vmi: long: toy, ") for line in lines) == 7
    assert lines[-1].startswith("vmi: long: toy, 6 of 6 pieces; 5 done, ")


# Parts in this process


class Made(Part):
    """Pieces that a test makes."""

    summary = "made"

    def __init__(self, name: str, results: Sequence[Result], ends: Callable[[], None] = lambda: None) -> None:
        self.name, self.results, self.ends = name, results, ends

    def pieces(self) -> list[str]:
        return [each.piece for each in self.results]

    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        for each in self.results:
            if each.piece in pieces:
                self.ends()
                yield each


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that goes by only when a test says so."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(long, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture(autouse=True)
def the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "tree", lambda: "a")


def run_all(parts: Sequence[Part], tmp_path: Path, end: float = float("inf")) -> Results:
    results = Results(tmp_path / "long.json", {"schema": 1, "commit": "a", "tree": "a", "tools": {}})
    for part in parts:
        results.parts[part.name] = Kept(part.summary, planned=part.pieces())
    long.do_all({part.name: part for part in parts}, results, Pieces(), end)
    return results


def test_what_one_part_cannot_do_the_others_can(tmp_path: Path) -> None:
    def breaks() -> None:
        raise UserError("no rig\nand why")

    bad = Made("bad", [Result("a")], breaks)
    far, less = {"edges": 5, "depth": 2}, {"edges": 4}
    good = Made("good", [Result("b", {"n": 2}, reached=far), Result("c", {"n": 3}, reached=less)])
    results = run_all([bad, good], tmp_path)
    assert results.parts["bad"].failures == ["no rig\nand why"]
    assert results.parts["good"].counts == {"n": 5}
    assert results.parts["good"].reached == far, "the most of each, not the sum"
    kept = json.loads((tmp_path / "long.json").read_text())
    assert kept["parts"]["bad"]["left"] == ["a"] and not kept["complete"]
    shown = "\n".join(long.summary({"bad": bad, "good": good}, results))
    assert "bad FAILED: no rig" in shown and "bad: left: a" in shown
    assert "good: 5 n, 5 edges, 2 depth" in shown


def test_time_is_shared_out(tmp_path: Path, clock: SimpleNamespace) -> None:
    """Three parts in 30 minutes: each begins none after its third; what one leaves over the others get."""

    def minute() -> None:
        clock.now += 60

    pieces = [Result(str(number)) for number in range(100)]
    parts = [Made("a", pieces, minute), Made("b", pieces[:4], minute), Made("c", pieces, minute)]
    results = run_all(parts, tmp_path, 30 * 60)
    assert [results.parts[name].done for name in "abc"] == [10, 4, 16]
    assert clock.now == 30 * 60
    run_all(parts, tmp_path / "none", 0)
    assert clock.now == 30 * 60, "nothing begins when the time is over"


def test_a_part_is_judged_as_a_whole(tmp_path: Path) -> None:
    class Half(Made):
        def judge(self, counts: Any) -> list[str]:
            bad = sum(each["bad"] for each in counts.values())
            return [f"{bad} of {len(counts)} bad"] if 2 * bad > len(counts) else []

    def results(*bad: int) -> Results:
        return run_all([Half("half", [Result(str(n), {"bad": b}) for n, b in enumerate(bad)])], tmp_path)

    assert results(1, 0).parts["half"].failures == []
    assert results(1, 1, 0).parts["half"].failures == ["2 of 3 bad"]


# The parts that there are


def test_every_part_is_documented(root: Path) -> None:
    found = long.parts()
    text = (root / "docs/testing.md").read_text()
    assert set(found) >= {"boots", "busy", "fresh", "fuzz", "mutations", "seeds"}
    for name, part in found.items():
        pieces = part.pieces()
        assert len(set(pieces)) == len(pieces) > 0
        assert pieces == part.pieces()
        assert f"| `{name}` |" in text
        assert part.summary and "\n" not in part.summary
        assert part.of and all((root / folder).is_dir() for folder in part.of)


def test_a_name_is_there_once(toy: Path) -> None:
    other = toy / "tests/toys"
    other.mkdir(parents=True)
    (other / "long.py").write_text(TOY)
    with pytest.raises(UserError, match=r"backends/toy/tests/long\.py: part toy is there already"):
        long.parts(toy)


def test_seeds_are_those_asked_for(root: Path) -> None:
    """The tests of the mark take other numbers, and all of them are of this tree."""
    code = (
        "from tests.seeds import SEED, numbers; from tests.backends.played import SEEDS_APART\n"
        "print(SEED, numbers([3]), SEEDS_APART)"
    )
    for seed, said in (("0", "0 [3] 3000"), ("7", "7 [55436] 3000")):
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={**os.environ, "VMI_SEED": seed},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert told.stdout.strip() == said


def test_what_parts_read_is_built_first(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fresh clone `--list` is the first command."""
    rendered = toy / "rendered"
    (toy / "backends/toy/tests/long.py").write_text(f"open({str(rendered)!r}).read()\n{TOY}")
    found = long.parts
    monkeypatch.setattr(long, "parts", lambda: found(toy))
    monkeypatch.setattr(long, "build_all", rendered.touch)
    assert long.show_parts([]) == 0


@pytest.mark.parametrize(
    "words, line",
    [
        (("--hours", "3"), "--hours goes with --long; ./vmi test --help"),
        (("--anew",), "--anew goes with --long; ./vmi test --help"),
        (("--long", "--hours", "0"), "argument --hours: expected hours from 0.01 to 1000, found '0'"),
        (("--long", "--hours", "nan"), "argument --hours: expected hours from 0.01 to 1000, found 'nan'"),
        (("--long", "nothing"), "no part nothing; there are: boots, "),
        (("--long", "-k", "x"), "unexpected: -k; ./vmi test --help"),
        (("--record",), "--record goes with --long; ./vmi test --help"),
        (("--long", "--lava"), "--lava does not go with --long"),
    ],
)
def test_misuse(words: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch,
                capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(long, "build_all", lambda: None)
    monkeypatch.setattr(cli, "_enter_venv", lambda words: None)
    assert cli.main(["test", *words]) == 2
    assert capfd.readouterr().err.startswith(f"vmi: {line}")


# The record in the tree


def entry(part: str, done: int, commit: str = "a") -> record.Entry:
    return record.Entry(part, commit, done, 3, 0, "1.5", "25 boots", "gcc 12.2.0")


def test_what_was_run_is_recorded(toy: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the results of a run into the document, and out of it again; what is no table of it is refused."""
    status, _, err = done(start())
    assert status == 0, err
    (toy / "long.json").write_text(
        json.dumps({**document(toy), "changed": False, "tools": {"compiler": "gcc (Debian 12.2.0-14) 12.2.0",
                                                                 "QEMU": "QEMU emulator version 7.2.22"}})
    )  # fmt: skip
    found = long.parts(toy)
    monkeypatch.setattr(long, "parts", lambda: found)
    monkeypatch.setattr(long, "build_all", lambda: None)
    monkeypatch.setattr(long, "DOCUMENT", toy / "long.json")
    path = toy / "long-tests.md"
    path.write_text(record.RECORD.read_text().partition("| part |")[0])
    with pytest.raises(UserError, match=r"long-tests\.md has no table"):
        long.write_record([], path)
    path.write_text(path.read_text() + record._head() + entry("gone", 3).row() + "\n")
    assert long.write_record([], path) == 0
    of_toy = record.Entry("toy", "a", 6, 6, 0, "0.0", "6 done", "gcc 12.2.0, QEMU 7.2.22")
    assert record.read(path) == [entry("gone", 3), of_toy]
    path.write_text(path.read_text() + "| toy | a |\n")
    with pytest.raises(UserError, match=r"expected 8 cells"):
        record.read(path)


def test_results_that_no_commit_has_are_not_recorded() -> None:
    with pytest.raises(UserError, match=r"no commit has"):
        record.entries_of({"changed": True})


def test_whole_runs_take_the_place_of_earlier_ones() -> None:
    assert record.merged([entry("a", 3)], [entry("a", 1)]) == [entry("a", 3), entry("a", 1)]
    assert record.merged([entry("a", 3), entry("a", 1)], [entry("a", 2)]) == [entry("a", 3), entry("a", 2)]
    assert record.merged([entry("a", 1), entry("b", 3)], [entry("a", 3, "c")]) == [
        entry("a", 3, "c"), entry("b", 3),
    ]  # fmt: skip


def test_what_has_changed_since_is_counted(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]

    def run(*words: str) -> str:
        return subprocess.run([*git, *words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    for name in ("a/one.c", "a/read.md", "b/two.c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    run("init", "-q")
    run("add", ".")
    run("commit", "-qm", "first")
    first = run("rev-parse", "HEAD").strip()
    assert record.changed(first, ["."], tmp_path) == []
    (tmp_path / "a/one.c").write_text("new")
    (tmp_path / "a/read.md").write_text("new")
    assert record.changed(first, ["a"], tmp_path) == ["a/one.c"]
    assert record.changed(first, ["b"], tmp_path) == []
    assert record.changed("0123456789ab", ["a"], tmp_path) is None


def test_the_tree_has_a_record_of_its_parts() -> None:
    """Also where git does not know the commits, as in an unpacked archive."""
    parts = long.parts()
    for each in record.read(record.RECORD):
        assert each.part in parts and 0 < each.done <= each.planned
        assert re.fullmatch(r"[0-9a-f]{12}", each.commit)
    assert record.age("nothing", ["."], []) == ("none", "-")
    assert record.age("part", ["."], [entry("part", 3, "0" * 12)])[0] == "0" * 12


def test_results_of_pytest_are_read_from_any_file(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text('<testsuites><testcase classname="a.b.c" name="d" time="1.5"/></testsuites>')
    assert [(case.name, case.result) for case in testing.cases(junit)] == [("a.b.c.d", "pass")]
