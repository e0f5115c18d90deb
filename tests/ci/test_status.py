# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What long commands show while they work and when they have failed."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from ci import bench, build, setup, status, testing, util
from ci.bench import Results, as_text, part
from ci.figure import as_table
from ci.util import UserError, locked

OUTPUT = """\
[gw0] [  3%] PASSED tests/a.py::test_one
[gw1] [ 12%] FAILED tests/b.py::test_two[3-PASSED]
[gw1] [ 12%] SKIPPED tests/b.py::test_three
tests/b.py::test_four
"""


def test_progress_of_checks() -> None:
    step = status.Checks("pc", "booting k.elf")
    assert step.text() == "pc: booting k.elf, 0 s"
    for line in ("noise", "1..4", "ok 1 a", "# comment", "ok 2 b # SKIP why", "not ok 3 c"):
        step.line(line)
    assert step.doing == "3 of 4 checks, 1 failed"


def test_progress_of_tests(capsys: pytest.CaptureFixture[str]) -> None:
    step = testing.Tests("tests", "collecting")
    for line in OUTPUT.splitlines():
        step.line(line)
    assert step.doing == "12 %, 3 done, 1 failed"
    assert capsys.readouterr().err == "vmi: tests: 12 %, 2 done, 1 failed, 0 s\n"


def ninja(folder: Path, rule: str, parts: int) -> list[str]:
    """A build of that many files by a command; the command that builds them."""
    outputs = "".join(f"build {number}: make\n" for number in range(parts))
    (folder / "build.ninja").write_text(f"rule make\n  command = {rule}\n{outputs}")
    return ["ninja", "-C", str(folder)]


@pytest.mark.parametrize(
    ("parts", "told"), [(200, [f"{tenth * 20} of 200 steps" for tenth in range(1, 10)]), (20, [])]
)
def test_progress_of_a_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], parts: int, told: list[str]
) -> None:
    """By ninja itself: where there is no terminal a line for each tenth of one that takes a while, and all
    the time a text for the line of one that has a terminal."""
    step = build.Parts("building", "beginning")
    build.run(ninja(tmp_path, "touch $out", parts), "the build", step)
    assert step.doing == f"{parts} of {parts} steps"
    shown = [line.rpartition(", ")[0] for line in capsys.readouterr().err.splitlines()[1:]]
    assert shown == [f"vmi: building: {each}" for each in told]


def test_two_builds_of_a_tree_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one says that it waits, and goes on by itself."""
    waits, at_work = threading.Event(), threading.Event()
    monkeypatch.setattr(build, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(build, "configure", lambda _: at_work.set())
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "tree", lambda _: tmp_path)
    monkeypatch.setattr(util, "progress", lambda text: waits.set() if "waiting" in text else None)
    ninja(tmp_path, "touch $out", 1)
    second = threading.Thread(target=build.build)
    with locked(tmp_path / "lock"):
        second.start()
        assert waits.wait(60)
        assert not at_work.is_set()
    second.join(60)
    assert at_work.is_set() and (tmp_path / "0").exists()


def test_a_build_that_fails_shows_what_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of it, errors among it, and then one line."""
    with pytest.raises(UserError, match=r"^the build failed; messages above$"):
        build.run(
            ninja(tmp_path, "echo no $out >&2; false", 1), "the build", build.Parts("building", "beginning")
        )
    assert "\nno 0\n" in capsys.readouterr().err


def test_failures_are_shown_and_nothing_else() -> None:
    tail = "=== FAILURES ===\n___ test ___\nwhy\n=== 1 failed in 3 s ===\n"
    assert testing.failures_of(OUTPUT + tail) == tail
    assert testing.failures_of("it did not come so far\n") == "it did not come so far\n"


def test_table_of_tests() -> None:
    cases = [
        testing.Case("tests/a", "tests.a.one", "pass", 1.2),
        testing.Case("tests/a", "tests.a.two", "skip", 0.0),
        testing.Case("backends/pc", "backends.pc.three", "fail", 100.0),
    ]
    assert testing.as_table(cases) == [
        "tests        passed  failed  skipped  seconds",
        "tests/a           1       0        1        1",
        "backends/pc       0       1        0      100",
    ]
    assert testing.failed_lines(cases) == ["failed: backends.pc.three"]


def test_a_table_takes_rows_of_other_heads() -> None:
    rows = [{"configuration": "a", "ring": "0"}, {"configuration": "other", "goal": "7"}]
    assert as_table(rows) == [
        "configuration  ring  goal",
        "a                 0     -",
        "other             -     7",
    ]


def test_package_managers_are_heard_only_if_they_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    log = setup.ROOT / "results/test/setup.log"
    log.unlink(missing_ok=True)
    monkeypatch.setattr(setup, "LOG", log)
    assert setup.logged(["sh", "-c", "echo much; echo more >&2"], "installing") == ""
    assert capfd.readouterr() == ("", "vmi: setup: installing\n")
    said = setup.logged(["sh", "-c", "echo E: no network >&2; exit 100"], "installing")
    assert said == "E: no network"
    assert setup.logged(["false"], "installing") == "exit status 1"
    assert str(setup.failed("apt-get install x", said)) == (
        "apt-get install x failed:\nE: no network\n(everything: results/test/setup.log)"
    )
    assert "much\nmore\n" in log.read_text()


def test_what_was_measured_outlives_what_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printed and written, whatever kind of failure it is, Ctrl-C too."""

    def fails(*_: object) -> None:
        raise UserError("the small rig has ended by itself\nits last line")

    def breaks(*_: object) -> None:
        subprocess.run(["false"], check=True)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def measures(results: Results, *_: object) -> None:
        results.times.append({"what": "generate", "unit": "seconds", **bench.spread([1.5])})

    for name, does in (("dispatch", fails), ("sizes", breaks), ("times", measures), ("in_rigs", interrupted)):
        monkeypatch.setattr(bench, name, does)
    monkeypatch.setattr(bench, "build_all", lambda: None)
    monkeypatch.setattr(bench, "LOGS", tmp_path / "logs")
    written = tmp_path / "bench.json"
    with pytest.raises(KeyboardInterrupt):
        bench.bench([], quick=True, json_file=written)
    shown = capsys.readouterr().out
    assert "generate" in shown and "1.500" in shown and '"generate"' in written.read_text()
    for failure in ("dispatch: the small rig has ended by itself", "sizes: CalledProcess", "interrupted"):
        assert failure in shown
    assert "the small rig has ended by itself" in written.read_text()


def test_parts_of_a_guests_measurements_fail_alone(capsys: pytest.CaptureFixture[str]) -> None:
    results = Results()
    with part(results, "pc, static: calls"):
        raise UserError("hung")
    with part(results, "pc, static: boot"):
        results.boot.append({"configuration": "pc", "architecture": "i386", "binding": "static", "ticks": 7})
    assert results.failures == [{"part": "pc, static: calls", "why": "hung"}]
    assert as_text(results).splitlines()[-1] == "FAILED: pc, static: calls: hung"
    assert "pc static" in as_text(results)
    assert "hung; the rest is measured" in capsys.readouterr().err
