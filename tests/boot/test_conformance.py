# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The conformance kernel in every configuration: every call against its contract and its declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ci.conformance import console_data, data_received, typed_data, verdict
from ci.util import BUILD

from ..conftest import Place, Run, places

DEADLINE = 240.0
DIRECT = places()[:1]
"""Where the guest's console is a serial port of this machine's QEMU: the first backend, which others build
on. Rigs with a hypervisor of their own carry a guest's output line by line, and take no input for it."""

MODEL = BUILD / "generated/model.json"


def expected_names() -> Iterator[str]:
    """Names of the generated checks, from the specification itself."""
    spec = json.loads(MODEL.read_text())["spec"]
    for structure in spec["structures"]:
        yield f"layout.{structure['name']}"
    for call in spec["calls"]:
        yield f"contract.{call['name']}"
        yield f"matrix.{call['name']}"


def test_conforms(configuration: Place, run: Run) -> None:
    outcome, report = run(configuration, kernel="conformance", deadline=DEADLINE)
    assert report.failures() == []
    assert outcome.clean, outcome.end
    assert configuration.rig.findings(outcome, report) == []
    names = [test.name for test in report.tests]
    assert len(names) == len(set(names)), "names are stable only if they are unique"
    assert set(expected_names()) <= set(names)
    assert "conforms" in verdict(str(configuration), [], report, outcome.clean, outcome.end)


def test_every_call_is_made(configuration: Place, run: Run) -> None:
    """No call that comes back is left out, unless its check says why."""
    _, report = run(configuration, kernel="conformance", deadline=DEADLINE)
    counts = {call.name: call.count for call in report.calls}
    calls = json.loads(MODEL.read_text())["spec"]["calls"]
    left_out = {test.name.partition(".")[2] for test in report.tests if test.status == "skip"}
    returning = [call["name"] for call in calls if not call["noreturn"]]
    assert [name for name in returning if not counts[name] and name not in left_out] == []


def test_kinds_are_those_of_the_declaration(configuration: Place, run: Run) -> None:
    """The kernel's table is the backend's file, as the generator resolved it."""
    _, report = run(configuration, kernel="conformance", deadline=DEADLINE)
    backends = {b["name"]: b["calls"] for b in json.loads(MODEL.read_text())["backends"]}
    declared = {name: way["kind"] for name, way in backends[configuration.backend].items()}
    assert {call.name: call.kind for call in report.calls} == declared


def test_same_checks_everywhere(run: Run) -> None:
    lists = {
        str(place): [t.name for t in run(place, kernel="conformance", deadline=DEADLINE)[1].tests]
        for place in places()
    }
    first = next(iter(lists.values()))
    assert len(first) > 200
    for name, tests in lists.items():
        assert tests == first, name


def console_unharmed(place: Place, run: Run, kib: int) -> None:
    outcome, _ = run(place, f"console={kib}", kernel="conformance", deadline=DEADLINE)
    assert data_received(outcome.console) == console_data(kib)
    assert outcome.clean, outcome.end


def test_console_data_unharmed(configuration: Place, run: Run) -> None:
    console_unharmed(configuration, run, 64)


@pytest.mark.parametrize("place", DIRECT, ids=str)
def test_a_mebibyte_of_console_data_unharmed(place: Place, run: Run) -> None:
    console_unharmed(place, run, 1024)


@pytest.mark.parametrize("place", DIRECT, ids=str)
def test_a_mebibyte_of_console_input_unharmed(place: Place, run: Run) -> None:
    outcome, _ = run(place, "input=1024", kernel="conformance", deadline=DEADLINE, typed=typed_data(1024))
    assert "# input received=1048576 wrong=0" in outcome.console
    assert outcome.clean, outcome.end


@pytest.mark.parametrize("how", ["shutdown", "reboot", "reboot_hard", "crash"])
def test_other_ends(configuration: Place, run: Run, how: str) -> None:
    """Calls that do not come back end the machine, and none of them looks like a pass with a report."""
    outcome, report = run(configuration, f"end={how}", kernel="conformance", deadline=60.0)
    assert not outcome.end.startswith("hung"), outcome.end
    assert "no KTAP on the console" in report.errors
    if how == "crash":
        assert not outcome.clean
