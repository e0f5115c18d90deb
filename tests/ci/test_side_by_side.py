# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Parts of a command in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ci import boot, rig, side_by_side, status
from ci.side_by_side import Task
from ci.status import Step, shown
from ci.util import ROOT, Progress, UserError, above, progress


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "at_once", lambda: 2)


def met(here: Path, there: Path) -> None:
    """Says that a part is there, and waits for another."""
    here.touch()
    for _ in range(3000):
        if there.exists():
            return
        time.sleep(0.01)
    raise UserError(f"{there.name} never came")


def test_results_are_in_order_and_parts_work_at_once(tmp_path: Path) -> None:
    """Each of the first two waits for the other."""
    one, two = tmp_path / "one", tmp_path / "two"

    def first(report: Progress) -> str:
        met(one, two)
        return "first"

    def second(report: Progress) -> str:
        met(two, one)
        return "second"

    said: list[str] = []
    tasks: list[Task[str]] = [first, second, lambda report: "third"]
    assert side_by_side.side_by_side(tasks, said.append) == ["first", "second", "third"]
    assert side_by_side.side_by_side([], said.append) == []
    assert said == []


def test_what_parts_say(capfd: pytest.CaptureFixture[str]) -> None:
    """Lines whole, blocks in one piece, reports to the command's own report."""

    def talk(name: str, report: Progress) -> int:
        for number in range(50):
            with above():
                for _ in range(4):
                    print(f"{name} {number}", file=sys.stderr)
            print(f"{name} result", end="")
            print("\n", end="", flush=True)
        report("the same")
        with shown(Step(name, "working")):
            progress(f"{name} progress")
        return os.getpid()

    said: list[str] = []
    tasks: list[Task[int]] = [lambda report, name=name: talk(name, report) for name in ("a", "b")]  # type: ignore[misc]
    pids = side_by_side.side_by_side(tasks, said.append)
    assert len({*pids, os.getpid()}) == 3
    assert said == ["the same", "the same"]
    out, err = capfd.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith("vmi: ")]
    assert lines[::4] == lines[1::4] == lines[2::4] == lines[3::4]
    assert sorted(lines[::4]) == sorted(f"{name} {number}" for name in "ab" for number in range(50))
    assert sorted(out.splitlines()) == ["a result"] * 50 + ["b result"] * 50
    others = [line for line in err.splitlines() if line.startswith("vmi: ")]
    assert sorted(others) == ["vmi: a progress", "vmi: a: working", "vmi: b progress", "vmi: b: working"]


def test_at_a_terminal_one_line_says_what_all_do(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def work(name: str, other: str) -> None:
        with shown(Step(name, "working")):
            met(tmp_path / name, tmp_path / other)
            time.sleep(2 * status.TICK_SECONDS)

    monkeypatch.setattr(status, "at_terminal", lambda: True)
    tasks: list[Task[None]] = [lambda report: work("a", "b"), lambda report: work("b", "a")]
    side_by_side.side_by_side(tasks, progress)
    drawn = capfd.readouterr().err.split("\r\x1b[K")
    assert any(line.startswith("a: working, ") and " | b: working, " in line for line in drawn)
    assert drawn[-1] == ""


def test_the_first_error_ends_all(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def sleep(report: Progress) -> None:
        (tmp_path / "new").write_text(str(os.getpid()))
        (tmp_path / "new").rename(pid)
        time.sleep(1000)

    def fail(report: Progress) -> None:
        met(tmp_path / "here", pid)
        raise UserError("no such thing", 2)

    with pytest.raises(UserError, match=r"^no such thing$") as error:
        side_by_side.side_by_side([sleep, fail], progress)
    assert error.value.status == 2
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_a_part_that_is_killed() -> None:
    def die(report: Progress) -> None:
        os.kill(os.getpid(), 9)

    with pytest.raises(UserError, match="ended by itself, with -9"):
        side_by_side.side_by_side([die], progress)


KILLED = """
import os, sys, time
from ci.side_by_side import side_by_side
def work(report):
    report(str(os.getpid()))
    time.sleep(1000)
side_by_side([work], lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("signal", ["KILL", "INT"])
def test_no_part_outlives_the_command(signal: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        text=True, env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/codegen"},
    ) as command:  # fmt: skip
        assert command.stdout
        part = Path("/proc") / command.stdout.readline().strip()
        assert part.exists()
        subprocess.run(["kill", f"-{signal}", str(command.pid)], check=True)
        command.wait(60)
        for _ in range(3000):
            if not part.exists():
                break
            time.sleep(0.01)
        assert not part.exists()


class ImageRig:
    def __init__(self, image: str) -> None:
        self.image_name = image


def test_rigs_with_one_image_are_not_begun_together() -> None:
    images = {"a": "a", "b": "nested", "c": "nested", "d": "d", "e": "xl", "f": "xl"}
    rigs: dict[str, rig.Rig] = {name: ImageRig(image) for name, image in images.items()}  # type: ignore[misc]
    assert boot.apart(rigs, images) == ["a", "b", "d", "e", "c", "f"]
