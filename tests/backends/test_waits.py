# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""No check waits for a span of time: on a busy machine the event may come later (docs/testing.md)."""

from __future__ import annotations

import re
from pathlib import Path

from ci.lint import tracked

LOOP = re.compile(
    r"\bwhile \(\s*(?:\w*cycle_counter|\w*nanoseconds|\w*rdtsc|\w*clock)\([^;{}&|]*?\)"
    r"(?:\s*-\s*\w+)?\s*[<>]=?[^;{}&|]*?\)\s*(?:;|__asm__|\{)"
)
"""One that ends by a clock and nothing else."""
FOLDERS = ("backends/", "sample_kernel/", "conformance/", "examples/", "interop/", "tests/")
MEANT = {
    "sample_kernel/threads.c": "spin_milliseconds, for what is to have time in which to go wrong",
    "sample_kernel/bench_workloads.c": "an alarm is made due; then its interrupt is waited for",
}


def loops(text: str) -> list[int]:
    """Lines at which such loops begin."""
    return [text.count("\n", 0, match.start()) + 1 for match in LOOP.finditer(text)]


def test_loops_are_found() -> None:
    assert loops("\n    while (vmi_get_cycle_counter(VMI_CYCLES_REAL) < now + 3000000)\n        ;") == [2]
    assert loops("while (vmi_clock_nanoseconds() - start <= 5) {\n") == [1]
    assert loops('while (rdtsc() < end)\n    __asm__ volatile("pause");') == [1]
    assert loops("while (!seen && vmi_clock_nanoseconds() < end)\n    ;") == []
    assert loops("while (ordered < wanted && vmi_get_cycle_counter(VMI_CYCLES_REAL) < end)\n    ;") == []


def test_no_check_waits_for_a_clock_alone(root: Path) -> None:
    found = {}
    for name in tracked():
        checks = name.startswith(FOLDERS) and (not name.startswith("backends/") or "/tests/" in name)
        checks = checks and name.endswith((".c", ".py", ".h")) and not name.endswith("/test_waits.py")
        if checks and (lines := loops((root / name).read_text())):
            found[name] = lines
    assert set(found) == set(MEANT), f"{found}: wait for the event, with a generous bound"
    assert all(len(lines) == 1 for lines in found.values())
