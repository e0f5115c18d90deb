# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""How the figure and the benchmarks show hypercalls beside their goals."""

from __future__ import annotations

import pytest

from ci.bench import Results, hypercalls_of
from ci.figure import beside_goal


@pytest.mark.parametrize(
    ("made", "goal", "text"),
    [
        (0.0, 0, "0 (goal 0)"),
        (5.0, 8, "5 (goal 8)"),
        (2.0625, 1, "2.06 (MISSES its goal of 1)"),
        (1.5, None, "1.5"),
    ],
)
def test_beside_goal(made: float, goal: int | None, text: str) -> None:
    assert beside_goal(made, goal) == text


def test_benchmarks_table() -> None:
    def row(configuration: str, made: int, goal: int | None, arch: str = "i386") -> dict[str, object]:
        workload = {"rounds": 4, "ticks": 8, "per_round": 2.0, "hypercalls": made, "goal": goal}
        workloads = {"timer_tick": workload}
        return {
            "configuration": configuration, "architecture": arch, "binding": "static", "workloads": workloads
        }  # fmt: skip

    results = Results(workloads=[row("pc", 0, None), row("pv", 4, 1), row("other", 9, 1)])
    results.workloads.append(row("pv", 4, None, "x86_64"))
    assert dict(hypercalls_of(results)) == {
        "i386": [
            ["", "pv static", "other static"],
            ["timer_tick", "1 (goal 1)", "2.25 (MISSES its goal of 1)"],
        ],
        "x86_64": [["", "pv static"], ["timer_tick", "1"]],
    }
    assert dict(hypercalls_of(Results(workloads=[row("pc", 0, None)]))) == {}
