# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi bench --page`: measured parts of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci.bench import BOOT, INLINE, LINKED, Results, bench
from ci.bench_page import HERE, PAGE, bring, part_of
from ci.util import ARCHITECTURES, UserError


def results(ticks: int = 1000) -> Results:
    rigs = {"b": {"qemu": "7.2", "why nested": "because"}}
    made = Results(machine={"compiler": "gcc 12", "tree": "0123abcd", "rigs": rigs})
    for arch in ARCHITECTURES:
        for binding in (LINKED, BOOT, INLINE):
            head = {"backend": "b", "configuration": "c", "architecture": arch, "binding": binding,
                    "unit": "instructions"}  # fmt: skip
            each = {"rounds": 1, "ticks": ticks, "per_round": ticks, "hypercalls": 3, "goal": 4}
            made.workloads.append({**head, "workloads": {"one": each}})
            made.calls.append({**head, "calls": {"CLTS": 1.0 if binding == INLINE else 2.0}})
    made.boot.append({**made.calls[0], "ticks": 7654321})
    made.calls.append({**made.calls[0], "configuration": "by time", "unit": "cycles"})
    row = {"operation": "a|b", "exits": "1"}
    made.counted.append({"backend": "b", "title": "exits", "rows": [row]})
    return made


def test_part_of_a_backend() -> None:
    """Tables of both architectures, of what is no time."""
    text = part_of(results(), "b")
    assert text.startswith("### b\n\nqemu 7.2, gcc 12. Tree 0123abcd.\n")
    for arch in ARCHITECTURES:
        assert f"\n{arch}: instructions per round of a workload:\n" in text
        assert f"\n{arch}: hypercalls per round of a workload:\n" in text
    assert "\n|  | linked | boot | inline |\n|---|---:|---:|---:|\n| one | 1,000.00 |" in text
    assert "| CLTS | +1.00 |" in text
    assert "7,654,321" in text
    assert "| a\\|b | 1 |" in text
    assert "by time" not in text


def test_only_these_parts_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{HERE}\n")
    bring(results(), ["b"], page)
    bring(Results(), ["other"], page)
    first = page.read_text()
    bring(results(2000), ["b"], page)
    second = page.read_text()
    assert second == first.replace("1,000.00", "2,000.00") != first
    assert first.index("### b") < first.index("### other")


@pytest.mark.parametrize("text", ["", f"{HERE}\n<!-- measured: b -->\n"])
def test_page_without_its_marks_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(UserError, match="expected the line"):
        bring(results(), ["b"], page)
    assert page.read_text() == text


def test_page_has_its_marks_and_whole_parts() -> None:
    text = PAGE.read_text()
    assert HERE in text
    assert text.count("<!-- measured: ") == text.count("<!-- end: ") > 0


def test_quick_runs_write_no_page() -> None:
    with pytest.raises(UserError, match="leaves out"):
        bench([], quick=True, json_file=None, page=bring)


def test_what_has_failed_is_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that could not be measured is not taken out of the page."""
    said: list[Any] = []

    def fail(results: Results, *_: object) -> None:
        results.failures.append({"part": "a part", "why": "it fails"})

    for name in ("dispatch", "sizes", "times", "in_rigs", "counted"):
        monkeypatch.setattr(f"ci.bench.{name}", fail)
    monkeypatch.setattr("ci.bench.build_all", lambda: None)
    page = lambda *_: said.append(1)  # noqa: E731
    assert bench([], quick=False, json_file=tmp_path / "bench.json", page=page) == 1
    assert said == []
