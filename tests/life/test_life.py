# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Guests that work while their machine is stopped, moved, put away and brought back; and how `./vmi life`
judges what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci.life import Event, Row, as_text, asked, events_of, happening
from ci.rig import Guest, Life, Outcome

from ..guests import Place, Run

SECONDS = 3
"""For which a stopped machine stands still: more than a wall clock may be wrong by."""
TIMES = 3
"""For what takes no such time."""


@pytest.mark.every_architecture
def test_a_kernel_works_on(configuration: Place, run: Run) -> None:
    """After each event of its rig nothing is lost, nothing early, no clock has gone back, and the wall clock
    is right; and after three moves in a row."""
    if not configuration.rig.lives:
        pytest.skip("nothing happens to guests here")
    for life in configuration.rig.lives:
        once = happening(life, 1, SECONDS)
        events = once + [event for event in once if ":" not in event] * (TIMES - 1)
        outcome, report = run(
            configuration,
            f"test=life checks=nothing life={','.join(events)}",
            devices=True,
            requests=True,
            options=dict(life.options),
        )
        found = events_of(events, outcome)
        assert [(event.event, event.lacking) for event in found if event.lost] == []
        assert sum(event.tried for event in found) == len(events)
        assert report.failures() == [] and outcome.clean


# Consoles that are made up.

WELL = (
    "# life {} rounds=9 alarms=9 interrupts=9 lost=0 early=0 twice=0 readings=99 back=0 still_ns=1500000 "
    "wall=1000"
)


def ended(*lines: str, times: tuple[str, ...], clean: bool = True) -> Outcome:
    console = "\n".join(["KTAP version 1", "1..1", *lines, "ok 1 test.life", "# result pass=1 fail=0 skip=0"])
    guest = Guest(Path("kernel"), "guest")
    outcome = Outcome(guest, console, clean, "hung: stopped at its deadline", "", 1.0, "", Path("log"))
    outcome.evidence["life"] = list(times)
    return outcome


def test_events_are_repeated_in_turns() -> None:
    life = Life(("stop:{seconds}", "file"))
    assert happening(life, 2, 10) == ["stop:10", "file", "stop:10", "file"]


def test_what_was_come_through_is_counted() -> None:
    times = ("stop 990.0 999.5", "file 1000.5 1000.5", "stop 1001 1001", "end 1001 1001")
    outcome = ended(WELL.format("stop:9"), WELL.format("file"), WELL.format("stop:9"), times=times)
    found = events_of(["stop:9", "file", "stop:9"], outcome)
    assert found == [Event("stop", 2, 0, 1.5), Event("file", 1, 0, 1.5)]
    text = as_text([Row("pc", "i386", found)])
    assert text.splitlines()[1].split() == ["pc", "stop", "2", "0", "1.5", "ms"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("lost=0", "lost=2"), "2 alarms, interrupts or turns did not come"),
        (("early=0", "early=1"), "1 alarms came early"),
        (("twice=0", "twice=3"), "3 alarms or interrupts came twice"),
        (("back=0", "back=1"), "1 readings of a clock were below an earlier one"),
        (("wall=1000", "wall=990"), "the wall clock is wrong by -9 s"),
        (("wall=1000", "wall=1100"), "the wall clock is wrong by 99 s"),
    ],
)
def test_what_is_lacking_is_said_of_its_event(change: tuple[str, str], says: str) -> None:
    """Not of the next one, whose line has the same numbers."""
    times = ("stop 990 999", "file 1001 1001", "end 1002 1002")
    second = WELL.format("file")
    if not change[0].startswith("wall"):
        second = second.replace(*change)
    outcome = ended(WELL.format("stop").replace(*change), second, times=times)
    stop, file = events_of(["stop", "file"], outcome)
    assert (stop.lost, stop.lacking, file.lost) == (1, [says], 0)


def test_a_machine_without_a_clock_is_not_held_to_it() -> None:
    outcome = ended(WELL.format("stop").replace("wall=1000", "wall=0"), times=("stop 5 5", "end 6 6"))
    assert [event.lost for event in events_of(["stop"], outcome)] == [0]


def test_the_event_that_a_guest_did_not_come_through_is_lost() -> None:
    """Those after it were not tried."""
    times = ("stop 990 999", "file 1001 1001", "end 1002 1002")
    outcome = ended(WELL.format("stop"), times=times, clean=False)
    stop, file, snapshot = events_of(["stop", "file", "snapshot"], outcome)
    assert (stop.lost, file.lost, file.tried, snapshot.tried) == (0, 1, 1, 0)
    assert file.lacking == ["the guest did not come through it: hung: stopped at its deadline"]


def test_a_guest_that_ends_badly_has_lost_its_last_event() -> None:
    outcome = ended(WELL.format("stop"), times=("stop 990 999", "end 1001 1001"), clean=False)
    (stop,) = events_of(["stop"], outcome)
    assert stop.lost == 1 and stop.lacking == ["hung: stopped at its deadline"]


def test_a_kernel_comes_back_from_suspends_or_has_lost_them() -> None:
    back = [f"# suspended round={number} result=0 frame=0x1 before=0x2" for number in range(3)]
    assert asked("suspend", ended(*back, times=()), 3) == Event("suspend", 3)
    assert asked("suspend", ended(*back[:2], times=()), 3).lost == 1
    assert asked("suspend", ended(*back, times=(), clean=False), 3).lost == 1


def test_a_request_is_lost_without_last_words() -> None:
    assert asked("poweroff", ended("# last words: asked to power off", times=())).lost == 0
    assert asked("poweroff", ended(times=())).lost == 1
