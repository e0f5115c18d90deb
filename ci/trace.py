# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace`: a kernel runs in one configuration, linked with the library's flavour `traced`, until it
ends or is stopped; then the calls that it has made are read out of its memory, and written in words."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import chrome, flavour
from .boot import once, only, show_failure, write_document
from .build import tree
from .calls import Interface, Values, chosen
from .core import halt, halted_guest, read, shown
from .kernel import architecture, look
from .rig import discover
from .ring import Call, Hypercall, Made, Ring, find, made_of
from .run import Wanted, file, pattern
from .util import RESULTS, UserError, progress

LOGS = RESULTS / "trace"


@dataclass(frozen=True)
class Form:
    """What is written, and where."""

    calls: Sequence[str] = ()
    """Patterns of names; all calls without any."""
    counts: bool = False
    """How many calls there were of each, in place of the calls."""
    output: Path | None = None
    """A file in place of standard output."""
    json: Path | None = None
    chrome: Path | None = None


def line(each: Call | Hypercall, interface: Interface, start: int, frequency: int) -> str:
    """One call or hypercall: when, on which CPU, what, and how long it took."""
    since = each.begun - start
    when = f"{since / frequency:14.9f}" if frequency else f"{since:14}"
    name, arguments, results = interface.words(each)
    said = ", ".join(f"{name}={text}" for name, (_, text) in arguments.items())
    made = f"{when} {each.cpu:3} {'' if isinstance(each, Call) else '  > '}{name}({said})"
    if each.ended is None:
        return f"{made} = ?"
    if list(results) == ["result"]:
        made += f" = {results['result'][1]}"
    elif results:
        made += " = " + ", ".join(f"{name}={text}" for name, (_, text) in results.items())
    return f"{made} <{each.ended - each.begun}>"


def listed(entries: Iterable[Call | Hypercall]) -> Iterator[Call | Hypercall]:
    """Each call with its hypercalls behind it."""
    for each in entries:
        yield each
        if isinstance(each, Call):
            yield from each.hypercalls


def median(made: Iterable[Call | Hypercall]) -> str:
    """Of the cycles of those that have come back."""
    cycles = [each.ended - each.begun for each in made if each.ended is not None]
    return f"{statistics.median_low(cycles)}" if cycles else "?"


def table(ring: Ring, made: Made, interface: Interface, wanted: Collection[int]) -> Iterator[str]:
    """How often each call was made, the most frequent first, the median of its cycles in the ring, and how
    many hypercalls it has made there; then the hypercalls, likewise."""
    calls = defaultdict(list)
    for call in made.calls:
        calls[call.ordinal].append(call)
    rows = [(count, ordinal) for ordinal, count in enumerate(ring.counts) if count and ordinal in wanted]
    yield f"{'calls':>10} {'cycles':>10} {'hypercalls':>10} call"
    every = 0
    for count, ordinal in sorted(rows, key=lambda row: (-row[0], row[1])):
        own = sum(len(call.hypercalls) for call in calls[ordinal])
        every += own
        yield f"{count:10} {median(calls[ordinal]):>10} {own or '':>10} {interface.name(ordinal)}"
    yield f"{sum(count for count, _ in rows):10} {'':10} {every or '':>10} all"
    if set(wanted) < set(interface.calls) or not made.hypercalls:
        return
    hypercalls = defaultdict(list)
    for hypercall in made.hypercalls:
        hypercalls[interface.words(hypercall)[0]].append(hypercall)
    yield ""
    yield f"{'hypercalls':>10} {'cycles':>10} hypercall"
    for name, each in sorted(hypercalls.items(), key=lambda row: (-len(row[1]), row[0])):
        yield f"{len(each):10} {median(each):>10} {name}"
    yield f"{len(made.hypercalls):10} {'':10} all"


def as_json(
    ring: Ring, made: Made, entries: Sequence[Call | Hypercall], interface: Interface, wanted: Collection[int]
) -> str:
    def values(named: Values) -> dict[str, object]:
        return {name: {"value": value, "text": text} for name, (value, text) in named.items()}

    def document(each: Call | Hypercall) -> dict[str, object]:
        name, arguments, results = interface.words(each)
        one: dict[str, object] = {"cpu": each.cpu, "begun": each.begun, "ended": each.ended}
        both = {"arguments": values(arguments), "results": values(results)}
        if isinstance(each, Hypercall):
            return {"hypercall": name, "number": each.number} | one | both
        own = {"hypercalls": [document(hypercall) for hypercall in each.hypercalls]}
        return {"call": name, "ordinal": each.ordinal} | one | {"caller": each.caller} | both | own

    names = [interface.words(each)[0] for each in made.hypercalls]
    whole = {
        "frequency": ring.frequency,
        "records": ring.begun,
        "lost": ring.lost,
        "damaged": ring.damaged,
        "counts": {interface.name(n): count for n, count in enumerate(ring.counts) if count and n in wanted},
        "hypercalls": {name: names.count(name) for name in sorted(set(names))},
        "calls": [document(each) for each in entries if isinstance(each, Call)],
        "others": [document(each) for each in entries if isinstance(each, Hypercall)],
    }
    return json.dumps(whole, indent=1) + "\n"


def write(ring: Ring, interface: Interface, form: Form, wanted: Collection[int], kernel: str) -> None:
    """What was asked for, of the calls that are wanted; what is missing is said beside it."""
    every = made_of(ring.records, interface.shapes)
    entries = [
        each
        for each in every.entries
        if not form.calls or (isinstance(each, Call) and each.ordinal in wanted)
    ]
    if form.counts:
        lines = table(ring, every, interface, wanted)
    else:
        start = every.entries[0].begun if every.entries else 0
        lines = (line(each, interface, start, ring.frequency) for each in listed(entries))
    if form.output:
        write_document(form.output, "".join(f"{each}\n" for each in lines))
    else:
        for each in lines:
            print(each)
    if form.json:
        write_document(form.json, as_json(ring, every, entries, interface, wanted))
    if form.chrome:
        shown = sorted(listed(entries), key=lambda each: each.begun)
        write_document(form.chrome, chrome.document(shown, interface, ring.frequency, kernel))
    said = f"{sum(isinstance(each, Call) for each in entries)} calls of {sum(ring.counts)}"
    if every.hypercalls:
        own = sum(isinstance(each, Hypercall) for each in listed(entries))
        said += f", {own} hypercalls of {len(every.hypercalls)}"
    if ring.lost:
        said += f"; the ring has the last {ring.begun - ring.lost} records of {ring.begun}"
    if ring.damaged:
        said += f"; {ring.damaged} records are damaged"
    progress(said)


def trace(name: str, kernel: Path, wanted: Wanted, at: str, form: Form, console: bool) -> int:
    """Runs the kernel and writes its trace; 1 if there was no memory any more to read it from."""
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    if why := rig.no_core(architecture(file(kernel, "kernel"))):
        raise UserError(f"{name} has no traces, which are read out of a guest's memory: {why}", 2)
    image = look(flavour.linked(kernel, rig.backend, flavour.TRACED))
    interface = Interface.built(tree(image.architecture), rig.backend)
    ordinals = chosen(interface, form.calls)
    until = pattern(at) if at else None
    with tempfile.TemporaryDirectory(prefix="vmi-trace-") as folder:
        memory = Path(folder) / "memory"
        guest = halted_guest(rig, configuration, name, image, wanted, memory)
        rig.prepare()
        with rig.steady_session(LOGS) as session:
            outcome = halt(session, guest, until, LOGS, shown if console else lambda _: None)
        if not memory.is_file():
            show_failure(outcome, [f"its memory is gone: {outcome.end}"], rig.own_lines, tail=True)
            return 1
        ring = find(read(memory))
    write(ring, interface, form, ordinals, image.path.name)
    return 0
