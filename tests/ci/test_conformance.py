# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What `./vmi conformance` and `./vmi check` make of a console."""

from __future__ import annotations

from pathlib import Path

from ci import ktap
from ci.conformance import console_data, data_received, digest, typed_data, verdict
from ci.porting import shown
from ci.rig import Guest, Outcome

CONSOLE = """\
KTAP version 1
1..6
ok 1 contract.CPUID
not ok 2 contract.SetCR3 # interrupts masked: ebx is not kept: 0x00000000
ok 3 contract.Yield # SKIP does not come back
ok 4 matrix.CPUID
ok 5 matrix.SetCR3
ok 6 matrix.Yield
# call CPUID ordinal=0 kind=instruction count=1 how=cpuid
# call Yield ordinal=133 kind=hypercall count=1 how=sched_op
# result pass=4 fail=1 skip=1
"""


def test_verdict_names_what_is_wrong() -> None:
    report = ktap.parse(CONSOLE)
    line = verdict("toy", report.failures(), report, False, "exit status 0x11 (fail)")
    assert line == "toy: DOES NOT CONFORM: 4 passed, 1 failed, 1 skipped; contract.SetCR3"


def test_verdict_of_a_guest_that_ended_early_says_how() -> None:
    report = ktap.parse(CONSOLE.split("not ok")[0])
    line = verdict("toy", report.failures(), report, False, "hung: stopped at its deadline")
    assert line.startswith("toy: DOES NOT CONFORM: 1 passed") and line.endswith(
        "hung: stopped at its deadline"
    )


def test_verdict_says_what_is_declared() -> None:
    report = ktap.parse(CONSOLE.replace("not ok 2", "ok 2"))
    line = verdict("toy", [], report, True, "exit status 0x10 (pass)")
    assert line == "toy: conforms: 5 passed, 0 failed, 1 skipped; declared: 1 hypercall, 1 instruction"


def test_calls_are_shown_or_not() -> None:
    reports = {"toy": ktap.parse(CONSOLE)}
    assert shown("CPUID", reports) == ("shown", "")
    assert shown("SetCR3", reports) == ("WRONG", "interrupts masked: ebx is not kept: 0x00000000")
    assert shown("Yield", reports) == ("not shown", "does not come back")
    assert shown("Halt", reports)[0] == "not shown"


def outcome(console: str, **evidence: list[str]) -> Outcome:
    guest = Guest(Path("kernel.elf"), "data")
    return Outcome(guest, console, True, "", "", 0.0, "", Path("log"), evidence)


def test_console_data_is_compared_whole() -> None:
    lines = console_data(16)
    assert len(lines) == 16 and len(set(lines)) == 16
    assert len(typed_data(1)) == 1024
    said = digest(lines)
    assert data_received(outcome("noise\r\n" + "\r\n".join(lines) + "\r\n")) == said
    assert data_received(outcome("\n".join(lines).replace("# data 3 ", "# dat 3 "))) != said
