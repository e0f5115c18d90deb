# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The conformance kernel in every configuration: every call against its contract and its declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ci.build import tree
from ci.conformance import console_data, data_received, digest, typed_file, verdict

from ..guests import POLLED_KIB, Place, Run, places

DEADLINE = 240.0
pytestmark = pytest.mark.every_architecture


def model(arch: str) -> dict[str, Any]:
    """The specification and the libraries, as the generator resolved them."""
    found: dict[str, Any] = json.loads((tree(arch) / "generated/model.json").read_text())
    return found


def expected_names(arch: str) -> Iterator[str]:
    """Names of the generated checks, from the specification itself."""
    spec = model(arch)["spec"]
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
    assert set(expected_names(configuration.arch)) <= set(names)
    assert "conforms" in verdict(str(configuration), [], report, outcome.clean, outcome.end)


def test_every_call_is_made(configuration: Place, run: Run) -> None:
    """No call that comes back is left out, unless its check says why."""
    _, report = run(configuration, kernel="conformance", deadline=DEADLINE)
    counts = {call.name: call.count for call in report.calls}
    calls = model(configuration.arch)["spec"]["calls"]
    left_out = {test.name.partition(".")[2] for test in report.tests if test.status == "skip"}
    returning = [call["name"] for call in calls if not call["noreturn"]]
    assert [name for name in returning if not counts[name] and name not in left_out] == []


def test_kinds_are_those_of_the_declaration(configuration: Place, run: Run) -> None:
    """The kernel's table is the backend's file, as the generator resolved it."""
    _, report = run(configuration, kernel="conformance", deadline=DEADLINE)
    backends = {b["name"]: b["calls"] for b in model(configuration.arch)["backends"]}
    declared = {name: way["kind"] for name, way in backends[configuration.backend].items()}
    assert {call.name: call.kind for call in report.calls} == declared


def test_same_checks_everywhere(configuration: Place, run: Run) -> None:
    first, here = (
        [test.name for test in run(place, kernel="conformance", deadline=DEADLINE)[1].tests]
        for place in (places(configuration.arch)[0], configuration)
    )
    assert len(first) > 200
    assert here == first


@pytest.mark.but_the_slowest
def test_console_data_unharmed(configuration: Place, run: Run) -> None:
    """A mebibyte, or what the rig carries in the time that there is."""
    kib = configuration.rig.console_kib
    outcome, _ = run(configuration, f"console={kib}", kernel="conformance", deadline=DEADLINE)
    assert data_received(outcome) == digest(console_data(kib))
    assert outcome.clean, outcome.end


def typed(run: Run, configuration: Place, kib: int, how: str = "", **options: str) -> None:
    """So much is typed, and arrives unharmed."""
    outcome, _ = run(
        configuration, f"input={kib} {how}".rstrip(), kernel="conformance", deadline=DEADLINE,
        typed=typed_file(kib), options=options,
    )  # fmt: skip
    assert f"# input received={kib * 1024} wrong=0" in outcome.console
    assert outcome.clean, outcome.end


@pytest.mark.but_the_slowest
def test_console_input_unharmed(configuration: Place, run: Run) -> None:
    """As much, by a kernel that halts until the console's event says that something came; an event that is
    lost stops it."""
    typed(run, configuration, configuration.rig.console_kib, "by=event")


@pytest.mark.but_the_slowest
def test_console_input_without_events(configuration: Place, run: Run) -> None:
    """The kernel asks all the time, which keeps emulated machines from typing."""
    typed(run, configuration, POLLED_KIB)


@pytest.mark.but_the_slowest
def test_other_consoles(configuration: Place, run: Run) -> None:
    """Consoles that the rig's guests have only if asked for carry data both ways too."""
    if not configuration.rig.other_consoles:
        pytest.skip("the rig has one kind of console")
    for console, kib in configuration.rig.other_consoles.items():
        options = {"console": console}
        outcome, _ = run(
            configuration, f"console={kib}", kernel="conformance", deadline=DEADLINE, options=options
        )
        assert data_received(outcome) == digest(console_data(kib))
        typed(run, configuration, kib, "by=event", **options)


@pytest.mark.but_the_slowest
@pytest.mark.parametrize("how", ["shutdown", "reboot", "reboot_hard", "crash"])
def test_other_ends(configuration: Place, run: Run, how: str) -> None:
    """Calls that do not come back end the machine, and none of them looks like a pass with a report."""
    outcome, report = run(configuration, f"end={how}", kernel="conformance", deadline=DEADLINE)
    assert not outcome.end.startswith("hung"), outcome.end
    assert "no KTAP on the console" in report.errors
    if how == "crash":
        assert not outcome.clean
