# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi life`: a kernel that works while its machine is halted, moved, put away and brought back, and that
is asked for something, in each configuration.

What a configuration has is for its rig to say (`Rig.lives`, `Rig.requests`); the kernel is the sample kernel
(sample_kernel/checks_life.c, checks_requests.c)."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from . import checked, ktap
from .boot import CPUS, apart, choose, having, needed, once, opened, pairs, show_failure, watched
from .build import build, kernels
from .figure import log_path, named
from .rig import Configuration, Guest, Life, Outcome, Rig, Session, discover
from .side_by_side import side_by_side
from .util import ARCHITECTURES, RESULTS, Progress, UserError, progress, write_if_changed

DOCUMENT = RESULTS / "life.json"
LOGS = RESULTS / "life"
DEADLINE = 120.0
EACH = 30.0
"""Seconds more for each event of a guest."""
EACH_SAVE = 120.0
"""Seconds more for each time that it is saved and restored."""
APART = 2.0
"""Seconds by which a wall clock may be wrong: a real-time clock has whole ones."""
LINE = re.compile(r"^# life (\S+) (rounds=\d+ .*?)\r?$", re.MULTILINE)
LAST_WORDS = "# last words: "
SUSPEND = "suspend"
"""The request that a kernel comes back from (sample_kernel/checks_suspend.c)."""
REQUESTS = {SUSPEND: "test=suspend checks=cpus.start rounds={times}"}
"""How the sample kernel waits for a request, where that is not by `test=` alone."""
SUSPENDED = re.compile(r"^# suspended round=\d+ result=0 ", re.MULTILINE)


@dataclass
class Event:
    """What became of one kind of event in one configuration."""

    event: str
    tried: int = 0
    lost: int = 0
    """How often the guest did not come through it whole."""
    still_ms: float = 0.0
    """The longest step of the guest's own clock while it happened."""
    lacking: list[str] = field(default_factory=list)
    """What was not there afterwards."""


@dataclass
class Row:
    """One configuration."""

    configuration: str
    architecture: str
    events: list[Event]

    @property
    def name(self) -> str:
        return named(self.configuration, self.architecture)

    @property
    def passed(self) -> bool:
        return not any(event.lost for event in self.events)


def happening(life: Life, times: int, seconds: float) -> list[str]:
    """The events of one guest, one by one."""
    return [event.format(seconds=f"{seconds:g}") for _ in range(times) for event in life.events]


def guest_of(life: Life, events: Sequence[str], guest: Guest) -> Guest:
    """A guest that goes through events."""
    return replace(
        guest,
        append=f"test=life checks=nothing life={','.join(events)} {guest.append}".rstrip(),
        options={**guest.options, **life.options},
        deadline=DEADLINE + EACH * len(events),
        requests=True,
    )


def guest_asked(word: str, times: int, guest: Guest) -> Guest:
    """A guest that waits for a request; as often, if it comes back from it."""
    append = REQUESTS.get(word, f"test={word} checks=nothing").format(times=times)
    each = EACH_SAVE if word == SUSPEND else EACH
    return replace(guest, append=append, deadline=DEADLINE + each * times, requests=True)


def passed_over(word: str, outcome: Outcome) -> bool:
    """Whether a guest cannot be asked for that: its library has no such call."""
    tests = ktap.parse(outcome.console).tests
    return any(test.name == f"test.{word}" and test.status == "skip" for test in tests)


def _numbers(said: str) -> dict[str, int]:
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", said)}


def lacking(said: Mapping[str, int], before: Mapping[str, int], ended: float, next_began: float) -> list[str]:
    """What a line `# life` says is missing, beyond what was missing before; by the times when the event was
    over and when the next one began, by the clock outside."""
    found = [
        f"{said[key] - before.get(key, 0)} {what}"
        for key, what in (
            ("lost", "alarms, interrupts or turns did not come"),
            ("early", "alarms came early"),
            ("twice", "alarms or interrupts came twice"),
            ("back", "readings of a clock were below an earlier one"),
        )
        if said[key] > before.get(key, 0)
    ]
    if said["wall"] and not ended - APART <= said["wall"] <= next_began + APART:
        wrong = said["wall"] - ended if said["wall"] < ended else said["wall"] - next_began
        found.append(f"the wall clock is wrong by {wrong:.0f} s")
    return found


def events_of(wanted: Sequence[str], outcome: Outcome) -> list[Event]:
    """What a guest and its rig say of the events, each kind once."""
    found: dict[str, Event] = {}
    said = [(word.partition(":")[0], _numbers(rest)) for word, rest in LINE.findall(outcome.console)]
    times = [line.split() for line in outcome.evidence.get("life", [])]
    before: dict[str, int] = {}
    for number, event in enumerate(wanted):
        word = event.partition(":")[0]
        kind = found.setdefault(word, Event(word))
        if number >= len(said) or number + 1 >= len(times):
            # The first of those that are missing is what the guest did not come through.
            if number == min(len(said), max(len(times) - 1, 0)):
                kind.tried += 1
                kind.lost += 1
                kind.lacking.append(f"the guest did not come through it: {outcome.end}")
            continue
        kind.tried += 1
        name, numbers = said[number]
        missing = lacking(numbers, before, float(times[number][2]), float(times[number + 1][1]))
        if {name, times[number][0]} != {word}:
            missing.append(f"the guest speaks of {name}, its rig of {times[number][0]}")
        kind.lost += bool(missing)
        kind.lacking += missing
        kind.still_ms = max(kind.still_ms, numbers["still_ns"] / 1e6)
        before = numbers
    if not any(event.lost for event in found.values()):
        report = ktap.parse(outcome.console)
        if failures := [*([] if outcome.clean else [outcome.end]), *report.failures()]:
            last = found[wanted[-1].partition(":")[0]]
            last.lost += 1
            last.lacking += failures
    return list(found.values())


def asked(word: str, outcome: Outcome, times: int = 1) -> Event:
    """What became of a request: the kernel ends with its own last words, or comes back so often."""
    if word == SUSPEND:
        back = len(SUSPENDED.findall(outcome.console))
        well = back == times and outcome.clean
        lacking = [] if well else [f"came back {back} times: {outcome.end}"]
        return Event(word, times, times - min(back, times - 1) if lacking else 0, 0.0, lacking)
    came = LAST_WORDS in outcome.console
    return Event(word, 1, int(not came), 0.0, [] if came else [f"no last words: {outcome.end}"])


def row_of(
    rig: Rig, session: Session, configuration: Configuration, arch: str, image: Path, times: int,
    seconds: float, console: bool,
) -> Row:  # fmt: skip
    """Guests of one configuration, one after another."""
    title = named(configuration.name, arch)
    options, _ = configuration.given(arch)
    events: list[Event] = []

    def run(guest: Guest) -> Outcome:
        checked.blank(guest.disks)
        outcome = watched(session, guest, title, console)
        write_if_changed(LOGS / f"{guest.name}.guest.log", outcome.console + "\n")
        return outcome

    def show(outcome: Outcome, found: Iterable[Event]) -> None:
        if missing := [f"{event.event}: {each}" for event in found for each in event.lacking]:
            show_failure(outcome, missing, rig.own_lines, tail=not console)

    for number, life in enumerate(rig.lives):
        plain = Guest(image, f"{title}-{number}", cpus=CPUS, options=options)
        wanted = happening(life, times, seconds)
        guest = guest_of(life, wanted, checked.with_devices(plain, rig, LOGS / f"{title}-{number}.disk"))
        outcome = run(guest)
        found = events_of(wanted, outcome)
        show(outcome, found)
        events += found
    for word in rig.requested(arch):
        guest = guest_asked(word, times, Guest(image, f"{title}-{word}", cpus=CPUS, options=options))
        if word == SUSPEND:
            guest = checked.with_devices(guest, rig, LOGS / f"{title}-{word}.disk")
        outcome = run(guest)
        if passed_over(word, outcome):
            continue
        found = [asked(word, outcome, times)]
        show(outcome, found)
        events += found
    return Row(configuration.name, arch, events)


def rows_of(
    rig: Rig, guests: Sequence[tuple[Configuration, str, Path]], times: int, seconds: float, console: bool,
    report: Progress,
) -> list[Row]:  # fmt: skip
    """The rows of one backend."""
    rows = []
    with opened(rig, LOGS, report) as (session, _):
        for configuration, arch, image in guests:
            row = row_of(rig, session, configuration, arch, image, times, seconds, console)
            rows.append(row)
            well = sum(event.tried - event.lost for event in row.events)
            progress(f"{row.name}: came through {well} of {sum(event.tried for event in row.events)} events")
    return rows


def as_text(rows: Sequence[Row]) -> str:
    """The table."""
    lines = [("configuration", "event", "tried", "lost", "stood still")]
    for row in rows:
        for event in row.events:
            still = f"{event.still_ms:.1f} ms" if event.still_ms else "-"
            lines.append((row.name, event.event, str(event.tried), str(event.lost), still))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def as_json(rows: Sequence[Row], times: int, seconds: float) -> str:
    """The document."""
    document = {"times": times, "seconds": seconds, "rows": [asdict(row) for row in rows]}
    return json.dumps(document, indent=1) + "\n"


def life(
    names: Sequence[str], times: int, seconds: float, architecture: str = "", console: bool = False
) -> int:
    """All events in each configuration, and a table."""
    report = once(progress)
    rigs = discover(report)
    chosen = choose(rigs, names)
    libraries = having({backend for backend, _ in chosen}, [architecture] if architecture else ARCHITECTURES)
    for arch, of in libraries.items():
        build(*needed(of, chosen, arch, False), arch=arch)
    parts = []
    for backend in apart(rigs, dict.fromkeys(backend for backend, _ in chosen)):
        guests = []
        for configuration, arch in pairs(backend, chosen, libraries):
            if why := configuration.given(arch)[1]:
                report(f"not {named(configuration.name, arch)}, because {why}")
                continue
            image = kernels("sample", arch).get(backend)
            if image is None:
                raise UserError(f"the build has no sample kernel for {backend} on {arch}")
            guests.append((configuration, arch, image))
        if guests:
            parts.append(functools.partial(rows_of, rigs[backend], guests, times, seconds, console))
    found = [part(report) for part in parts] if console else side_by_side(parts, report)
    order = list(rigs)
    rows = list(itertools.chain.from_iterable(found))
    rows.sort(key=lambda row: [conf.name for each in order for conf in rigs[each].configurations].index(
        row.configuration))  # fmt: skip
    print()
    print(as_text(rows), end="")
    print(f"consoles: {log_path(LOGS)}/NAME.guest.log")
    if not names and not architecture:
        write_if_changed(DOCUMENT, as_json(rows, times, seconds))
    return 0 if all(row.passed for row in rows) else 1
