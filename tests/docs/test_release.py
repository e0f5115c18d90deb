# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The list of a release (docs/release.md): what it names is there, and no version is set that it does not
bear out."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from dataclasses import replace

import pytest

from ci import long, record
from ci.record import Entry
from ci.util import ROOT

LIST = (ROOT / "docs/release.md").read_text(encoding="utf-8")
LINES = dict(re.findall(r"^\| (\d+) \| (.*) \|$", LIST.split("## Open")[0], re.MULTILINE))
"""Of the list, by number."""
OPEN = dict(re.findall(r"^\| (\d+) \| (.*) \|$", LIST.partition("## Open")[2], re.MULTILINE))
(VERSION,) = re.findall(r"^    version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE)


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def refusal(version: str, still_open: dict[str, str], kept: set[str], unseen: list[str]) -> str:
    """Why the tree may not have a version; empty if it may."""
    if numbers(version) < numbers("1.0.0"):
        return ""
    if still_open:
        return f"docs/release.md has line {', '.join(still_open)} open"
    if unseen:
        return f"docs/long-tests.md has no run without failures of {', '.join(unseen)}"
    return "" if version in kept else f"spec/released has no {version}.yaml"


def without_a_run(parts: list[str], entries: list[Entry]) -> list[str]:
    """Parts of the long tests of which no piece has been run, or whose last run has failed in some."""
    failed = {entry.part: entry.failed for entry in entries}
    return [part for part in parts if failed.get(part, 1)]


def test_version_is_borne_out() -> None:
    kept = {file.stem for file in (ROOT / "spec/released").glob("*.yaml")}
    unseen = without_a_run(list(long.parts()), record.read(record.RECORD))
    assert refusal(VERSION, OPEN, kept, unseen) == ""
    assert all(numbers(version) <= numbers(VERSION) for version in kept)


def test_version_that_is_not_borne_out_is_refused() -> None:
    assert "line 3" in refusal("1.0.0", {"3": ""}, {"1.0.0"}, [])
    assert "no 1.0.1.yaml" in refusal("1.0.1", {}, {"1.0.0"}, [])
    assert "failures of fuzz" in refusal("1.0.0", {}, {"1.0.0"}, ["fuzz"])
    assert refusal("1.0.1", {}, {"1.0.0", "1.0.1"}, []) == refusal("0.9.9", {"3": ""}, set(), ["fuzz"]) == ""


def test_part_that_failed_counts_as_not_run() -> None:
    held = Entry("fuzz", "0123", 1, 2, 0, "0.1", "", "")
    assert without_a_run(["fuzz", "boots"], [held]) == ["boots"]
    assert without_a_run(["fuzz"], [held, replace(held, failed=1)]) == ["fuzz"]


def test_what_is_open_is_a_line_of_the_list() -> None:
    assert list(LINES) == [str(number + 1) for number in range(len(LINES))]
    assert OPEN.keys() <= LINES.keys()


def test_what_the_list_names_is_there() -> None:
    words = {word.split()[1] for word in re.findall(r"`(\./vmi \w+)", LIST)}
    for word in words:
        done = subprocess.run([ROOT / "vmi", word, "--help"], capture_output=True, check=False)
        assert done.returncode == 0, word
    assert len(words) >= 6
    paths = re.findall(r"\b((?:tests|docs|spec)(?:/[\w-]+)*/[\w.-]+\w)", LIST)
    missing = {
        path for path in paths if not list(ROOT.glob(path.replace("VERSION", "*").replace("LAST", "*")))
    }
    # Nothing is kept before the first release.
    assert {path for path in missing if not path.startswith("spec/released")} == set()
    assert importlib.util.find_spec("tests.fresh.__main__") and (ROOT / ".ci/run").is_file()


def test_what_is_kept_is_never_changed() -> None:
    git = ["git", "log", "--format=%H", "--"]
    for file in sorted((ROOT / "spec/released").glob("*.yaml")):
        done = subprocess.run([*git, file], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("not in a git repository")
        assert len(done.stdout.split()) <= 1, f"{file.name} was changed after it was kept"
