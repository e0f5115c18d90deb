# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Workloads beside Linux's (ci/beside_linux.py): what is taken off, and what a row says."""

from __future__ import annotations

import re

import pytest

from ci.beside_linux import OPERATIONS, SOURCE, beside, command_line, rows, ticks
from ci.util import UserError

LINUX = {"system_call": (100.0, 110.0), "context_switch": (1000.0, 1001.0), "move_1024": (900.0, 900.0)}
LIBRARY = {"system_call": 99.0, "context_switch": 401.0, "map_unmap_1024": 500.0, "end_of_interrupt": 0.5}


def test_round_in_which_nothing_is_done_is_taken_off() -> None:
    console = "# took nothing least=8 median=9\r\n# took clock_read least=80 median=85\r\n"
    assert ticks(console, ["nothing", "clock_read"]) == {"clock_read": (72.0, 77.0)}


@pytest.mark.parametrize("console", ["", "# took nothing least=8 median=9\n", "# took clock_read least=1\n"])
def test_missing_workload_is_an_error(console: str) -> None:
    with pytest.raises(UserError, match="expected nothing, clock_read"):
        ticks(console, ["nothing", "clock_read"])


def test_rows() -> None:
    """A round's own system calls are taken off, and a round may have the operation more than once."""
    made = {row.operation.name: row for row in rows(LIBRARY, {**LINUX, "end_of_interrupt": None}, {})}
    assert (made["context_switch"].linux, made["context_switch"].usual) == (400, 400.5)
    assert made["move_1024"].library == 500 and made["move_1024"].linux == 700
    assert [name for name, row in made.items() if row.worse] == ["context_switch"]
    assert made["end_of_interrupt"].linux is None


def test_verdicts() -> None:
    """Worse is marked, with its reason; a goal is told, met or not."""
    made = rows(LIBRARY, {**LINUX, "end_of_interrupt": None}, {"context_switch": "it is slow"})
    text = "\n".join(beside(made, "title", {"system_call": 99, "context_switch": 400, "end_of_interrupt": 0}))
    verdicts = {re.split(r" {2,}", line)[0]: re.split(r" {2,}", line)[-1] for line in text.splitlines()}
    title = {each.name: each.title for each in OPERATIONS}
    assert verdicts[title["system_call"]] == "goal 99; no worse"
    assert verdicts[title["context_switch"]] == "MISSES its goal of 400; WORSE: it is slow"
    assert verdicts[title["end_of_interrupt"]] == "MISSES its goal of 0"
    assert "no reason is known" in "\n".join(beside(rows(LIBRARY, LINUX, {}), "title"))


def test_what_numbers_are_made_of() -> None:
    """Stands beside them; a dash where there is nothing, for a cell must not be empty."""
    made = rows(LIBRARY, {**LINUX, "end_of_interrupt": None}, {})
    text = beside(made, "title", None, ({"system_call": "io 98, hlt 1"}, {"context_switch": "msr 1"}))
    cells = {re.split(r" {2,}", line)[0]: re.split(r" {2,}", line) for line in text[1:]}
    title = {each.name: each.title for each in OPERATIONS}
    heads = ["library", "of these", "Linux, least", "of them", "Linux, median", "verdict"]
    assert cells["operation"][1:] == heads
    assert cells[title["system_call"]][1:6] == ["99", "io 98, hlt 1", "100", "-", "110"]
    assert cells[title["context_switch"]][1:6] == ["401", "-", "400", "msr 1", "400.5"]


def test_program_has_every_operation() -> None:
    """But those that are told from a part of another one's round, and those that are the library's alone."""
    named = set(re.findall(r'^    \{"(\w+)", ', SOURCE.read_text(), re.MULTILINE))
    assert named - {"nothing"} == {each.name for each in OPERATIONS} - {
        "end_of_interrupt", "ipi", "console_byte", "masked_tick",
    }  # fmt: skip
    assert command_line("hvc0", sorted(named)).startswith("console=hvc0 ")
