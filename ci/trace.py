# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace`: a kernel runs in one configuration, linked with the library's flavour `traced`, until it
ends or is stopped; then the calls that it has made are read out of its memory, and written in words."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import chrome, flavour
from .boot import once, only, show_failure, write_document
from .build import tree
from .calls import Interface, chosen
from .core import halt, halted_guest, read, shown
from .follow import Follower
from .kernel import architecture, look
from .rig import Guest, Rig, discover
from .ring import NO_RING, Call, Ring, calls, find
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
    live: bool = False
    """Each call as it comes back, while the kernel runs."""


def line(call: Call, interface: Interface, start: int, frequency: int) -> str:
    """One call: when, on which CPU, what, and how long it took."""
    since = call.begun - start
    when = f"{since / frequency:14.9f}" if frequency else f"{since:14}"
    arguments = interface.arguments(call.ordinal, call.arguments)
    said = ", ".join(f"{name}={text}" for name, (_, text) in arguments.items())
    made = f"{when} {call.cpu:3} {interface.name(call.ordinal)}({said})"
    if call.ended is None:
        return f"{made} = ?"
    results = interface.results(call.ordinal, call.results)
    if list(results) == ["result"]:
        made += f" = {results['result'][1]}"
    elif results:
        made += " = " + ", ".join(f"{name}={text}" for name, (_, text) in results.items())
    return f"{made} <{call.ended - call.begun}>"


def table(ring: Ring, made: Sequence[Call], interface: Interface, wanted: Collection[int]) -> Iterator[str]:
    """How often each call was made, the most frequent first, and the median of its cycles in the ring."""
    cycles = defaultdict(list)
    for call in made:
        if call.ended is not None:
            cycles[call.ordinal].append(call.ended - call.begun)
    rows = [(count, ordinal) for ordinal, count in enumerate(ring.counts) if count and ordinal in wanted]
    yield f"{'calls':>10} {'cycles':>10} call"
    for count, ordinal in sorted(rows, key=lambda row: (-row[0], row[1])):
        median = f"{statistics.median_low(cycles[ordinal])}" if cycles[ordinal] else "?"
        yield f"{count:10} {median:>10} {interface.name(ordinal)}"
    yield f"{sum(count for count, _ in rows):10} {'':10} all"


def as_json(ring: Ring, made: Sequence[Call], interface: Interface, wanted: Collection[int]) -> str:
    def each(call: Call) -> dict[str, object]:
        given = interface.results(call.ordinal, call.results)
        return {
            "call": interface.name(call.ordinal),
            "ordinal": call.ordinal,
            "cpu": call.cpu,
            "begun": call.begun,
            "ended": call.ended,
            "caller": call.caller,
            "arguments": {
                name: {"value": value, "text": text}
                for name, (value, text) in interface.arguments(call.ordinal, call.arguments).items()
            },
            "results": {name: {"value": value, "text": text} for name, (value, text) in given.items()},
        }

    document = {
        "frequency": ring.frequency,
        "records": ring.begun,
        "lost": ring.lost,
        "damaged": ring.damaged,
        "counts": {interface.name(n): count for n, count in enumerate(ring.counts) if count and n in wanted},
        "calls": [each(call) for call in made],
    }
    return json.dumps(document, indent=1) + "\n"


def write(ring: Ring, interface: Interface, form: Form, wanted: Collection[int], kernel: str) -> None:
    """What was asked for, of the calls that are wanted; what is missing is said beside it."""
    every = calls(ring.records)
    made = [call for call in every if call.ordinal in wanted or not form.calls]
    if form.counts:
        lines = table(ring, made, interface, wanted)
    else:
        start = every[0].begun if every else 0
        lines = (line(call, interface, start, ring.frequency) for call in made)
    if form.output:
        write_document(form.output, "".join(f"{each}\n" for each in lines))
    else:
        for each in lines:
            print(each)
    missing = f"the ring has the last {ring.begun - ring.lost} records of {ring.begun}" if ring.lost else ""
    write_documents(ring, made, interface, form, wanted, kernel, missing)


def write_documents(
    ring: Ring, made: Sequence[Call], interface: Interface, form: Form, wanted: Collection[int], kernel: str,
    missing: str,
) -> None:  # fmt: skip
    """What was asked for beside the list, and how many calls there are."""
    if form.json:
        write_document(form.json, as_json(ring, made, interface, wanted))
    if form.chrome:
        write_document(form.chrome, chrome.document(made, interface, ring.frequency, kernel))
    said = [f"{len(made)} calls of {sum(ring.counts)}"]
    if missing:
        said.append(missing)
    if ring.damaged:
        said.append(f"{ring.damaged} records are damaged")
    progress("; ".join(said))


@contextlib.contextmanager
def listed(form: Form) -> Iterator[Callable[[str], None]]:
    """Where lines go one by one."""
    if not form.output:
        yield shown
        return
    try:
        form.output.parent.mkdir(parents=True, exist_ok=True)
        with open(form.output, "w", buffering=1) as file:
            yield lambda text: print(text, file=file)
    except OSError as error:
        raise UserError(f"cannot write {form.output}: {error.strerror}") from None


def follow(
    rig: Rig, guest: Guest, until: re.Pattern[str] | None, each: Callable[[str], None], interface: Interface,
    form: Form, wanted: Collection[int],
) -> int:  # fmt: skip
    """Runs the guest and writes its calls while it does; 1 if there was no ring."""
    assert guest.memory_file

    def over(call: Call, start: int, frequency: int) -> None:
        if call.ordinal in wanted or not form.calls:
            say(line(call, interface, start, frequency))

    with listed(form) as say, rig.steady_session(LOGS) as session:
        follower = Follower(guest.memory_file, guest.memory_mib, over)
        with follower.following():
            outcome = halt(session, guest, until, LOGS, each)
    if not follower.ring:
        show_failure(outcome, [f"{NO_RING}: {outcome.end}"], rig.own_lines, tail=True)
        return 1
    ring = follower.ring
    made = [call for call in follower.made if call.ordinal in wanted or not form.calls]
    missing = f"{ring.lost} records of {ring.begun} were written over before they were read"
    write_documents(ring, made, interface, form, wanted, guest.kernel.name, missing if ring.lost else "")
    return 0


def trace(name: str, kernel: Path, wanted: Wanted, at: str, form: Form, console: bool) -> int:
    """Runs the kernel and writes its trace; 1 if there was no memory any more to read it from."""
    if form.live and form.counts:
        raise UserError(
            "--live: expected a list, found --counts, which is known at the end; leave one out", 2
        )
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    kernel = file(kernel, "kernel")
    if why := rig.no_core(architecture(kernel)):
        raise UserError(f"{name} has no traces, which are read out of a guest's memory: {why}", 2)
    image = look(flavour.linked(kernel, rig.backend, flavour.TRACED))
    interface = Interface.built(tree(image.architecture))
    ordinals = chosen(interface, form.calls)
    until = pattern(at) if at else None
    with tempfile.TemporaryDirectory(prefix="vmi-trace-") as folder:
        memory = Path(folder) / "memory"
        each = shown if console else lambda _: None
        guest = halted_guest(rig, configuration, name, image, wanted, memory)
        if form.live:
            guest = replace(guest, core=None, memory_file=memory)
            rig.check_guest(guest, name)
            rig.prepare()
            return follow(rig, guest, until, each, interface, form, ordinals)
        rig.prepare()
        with rig.steady_session(LOGS) as session:
            outcome = halt(session, guest, until, LOGS, each)
        if not memory.is_file():
            show_failure(outcome, [f"its memory is gone: {outcome.end}"], rig.own_lines, tail=True)
            return 1
        ring = find(read(memory))
    write(ring, interface, form, ordinals, image.path.name)
    return 0
