# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi trace`: a kernel runs in one configuration, linked with the library's flavour `traced`, until it
ends or is stopped; then the calls that it has made are read out of its memory, and written in words."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import chrome, flavour
from .boot import once, only, show_failure, write_document
from .build import tree
from .calls import Interface, Values, chosen
from .core import halt, halted_guest, read, shown
from .follow import Follower
from .kernel import architecture, look
from .rig import Guest, Rig, discover
from .ring import NO_RING, Call, Entry, Hypercall, Listed, Ring, entries, find
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
    instructions: bool = False
    """What calls take in instructions, in place of cycles."""


def line(each: Entry, interface: Interface, start: int, frequency: int) -> str:
    """One call or hypercall: when, on which CPU, what, and how long it took."""
    since = each.begun - start
    when = f"{since / frequency:14.9f}" if frequency else f"{since:14}"
    name, arguments, results = interface.words(each)
    made = f"{when} {each.cpu:3} {'' if isinstance(each, Call) else '  > '}{name}({named(arguments)})"
    if each.ended is None:
        return f"{made} = ?"
    return f"{made}{answer(results)} <{each.ended - each.begun}>"


def named(values: Values) -> str:
    return ", ".join(f"{name}={text}" for name, (_, text) in values.items())


def answer(results: Values) -> str:
    if list(results) == ["result"]:
        return f" = {results['result'][1]}"
    return f" = {named(results)}" if results else ""


def listed_lines(
    listed: Iterable[Listed], interface: Interface, of: int | None, depth: int = 1
) -> Iterator[str]:
    """What a hypercall has in its list, for the call `of`; behind it the call that has put it there, if that
    is another one."""
    for each in listed:
        name, arguments, results = interface.words(each)
        said = named(arguments) if each.element else f"{name}({named(arguments)}){answer(results)}"
        kept = f" by {interface.name(each.call)}" if each.call not in (None, of) else ""
        yield f"{'':{19 + 4 * depth}}- {said}{kept}"
        yield from listed_lines(each.elements, interface, of, depth + 1)


def lines_of(made: Iterable[Entry], interface: Interface, start: int, frequency: int) -> Iterator[str]:
    """Of each call, with its hypercalls and what is in their lists; and of hypercalls that belong to none."""
    for each in made:
        yield line(each, interface, start, frequency)
        of = each.ordinal if isinstance(each, Call) else None
        for hypercall in each.hypercalls if isinstance(each, Call) else [each]:
            if hypercall is not each:
                yield line(hypercall, interface, start, frequency)
            yield from listed_lines(hypercall.listed, interface, of)


def with_hypercalls(made: Iterable[Entry]) -> Iterator[Entry]:
    """Each call with its hypercalls behind it."""
    for each in made:
        yield each
        if isinstance(each, Call):
            yield from each.hypercalls


def median(made: Iterable[Entry]) -> str:
    """Of the cycles of those that have come back."""
    cycles = [each.ended - each.begun for each in made if each.ended is not None]
    return f"{statistics.median_low(cycles)}" if cycles else "?"


def table(
    ring: Ring, made: Sequence[Entry], interface: Interface, wanted: Collection[int], unit: str = "cycles"
) -> Iterator[str]:
    """How often each call was made, the most frequent first, the median of what it took in the ring, and how
    many hypercalls it has made there; then the hypercalls, likewise."""
    calls, hypercalls = defaultdict(list), defaultdict(list)
    for each in with_hypercalls(made):
        if isinstance(each, Call):
            calls[each.ordinal].append(each)
        else:
            hypercalls[interface.hypercall(each.number)].append(each)
    rows = [(count, ordinal) for ordinal, count in enumerate(ring.counts) if count and ordinal in wanted]
    wide = f"{unit:>{max(10, len(unit))}}"
    yield f"{'calls':>10} {wide} {'hypercalls':>10} call"
    every = 0
    for count, ordinal in sorted(rows, key=lambda row: (-row[0], row[1])):
        own = sum(len(call.hypercalls) for call in calls[ordinal])
        every += own
        yield f"{count:10} {median(calls[ordinal]):>{len(wide)}} {own or '':>10} {interface.name(ordinal)}"
    yield f"{sum(count for count, _ in rows):10} {'':{len(wide)}} {every or '':>10} all"
    if not hypercalls:
        return
    yield ""
    yield f"{'hypercalls':>10} {wide} hypercall"
    for name, some in sorted(hypercalls.items(), key=lambda row: (-len(row[1]), row[0])):
        yield f"{len(some):10} {median(some):>{len(wide)}} {name}"
    yield f"{sum(map(len, hypercalls.values())):10} {'':{len(wide)}} all"


def as_json(ring: Ring, made: Sequence[Entry], interface: Interface, wanted: Collection[int]) -> str:
    def values(named: Values) -> dict[str, object]:
        return {name: {"value": value, "text": text} for name, (value, text) in named.items()}

    def below(each: Listed) -> dict[str, object]:
        name, arguments, results = interface.words(each)
        call = None if each.call is None else interface.name(each.call)
        if each.element:
            return {"call": call, "values": values(arguments)}
        both = {"arguments": values(arguments), "results": values(results)}
        one = {"hypercall": name, "number": each.number, "call": call}
        return one | both | {"elements": [below(element) for element in each.elements]}

    def document(each: Entry) -> dict[str, object]:
        name, arguments, results = interface.words(each)
        one: dict[str, object] = {"cpu": each.cpu, "begun": each.begun, "ended": each.ended}
        both = {"arguments": values(arguments), "results": values(results)}
        if isinstance(each, Hypercall):
            listed = [below(part) for part in each.listed]
            return {"hypercall": name, "number": each.number} | one | both | {"listed": listed}
        own = {"hypercalls": [document(hypercall) for hypercall in each.hypercalls]}
        return {"call": name, "ordinal": each.ordinal} | one | {"caller": each.caller} | both | own

    hypercalls = Counter(
        interface.hypercall(each.number) for each in with_hypercalls(made) if isinstance(each, Hypercall)
    )
    whole = {
        "frequency": ring.frequency,
        "records": ring.begun,
        "lost": ring.lost,
        "damaged": ring.damaged,
        "counts": {interface.name(n): count for n, count in enumerate(ring.counts) if count and n in wanted},
        "hypercalls": dict(sorted(hypercalls.items())),
        "calls": [document(each) for each in made if isinstance(each, Call)],
        "others": [document(each) for each in made if isinstance(each, Hypercall)],
    }
    return json.dumps(whole, indent=1) + "\n"


def chosen_of(made: Sequence[Entry], form: Form, wanted: Collection[int]) -> list[Entry]:
    """Without calls, and what belongs to none, if only some are asked for."""
    return [each for each in made if not form.calls or (isinstance(each, Call) and each.ordinal in wanted)]


def write(ring: Ring, interface: Interface, form: Form, wanted: Collection[int], kernel: str) -> None:
    """What was asked for, of the calls that are wanted; what is missing is said beside it."""
    every = entries(ring.records, interface.shapes)
    made = chosen_of(every, form, wanted)
    if form.counts:
        unit = "instructions" if form.instructions else "cycles"
        lines = table(ring, made, interface, wanted, unit)
    else:
        start = every[0].begun if every else 0
        lines = lines_of(made, interface, start, ring.frequency)
    if form.output:
        write_document(form.output, "".join(f"{each}\n" for each in lines))
    else:
        for each in lines:
            print(each)
    missing = f"the ring has the last {ring.begun - ring.lost} records of {ring.begun}" if ring.lost else ""
    write_documents(ring, made, interface, form, wanted, kernel, missing)


def write_documents(
    ring: Ring, made: Sequence[Entry], interface: Interface, form: Form, wanted: Collection[int], kernel: str,
    missing: str,
) -> None:  # fmt: skip
    """What was asked for beside the list, and how many calls there are."""
    if form.json:
        write_document(form.json, as_json(ring, made, interface, wanted))
    if form.chrome:
        events = sorted(with_hypercalls(made), key=lambda each: each.begun)
        write_document(form.chrome, chrome.document(events, interface, ring.frequency, kernel))
    calls = sum(isinstance(each, Call) for each in made)
    hypercalls = sum(isinstance(each, Hypercall) for each in with_hypercalls(made))
    said = [f"{calls} calls of {sum(ring.counts)}" + (f", {hypercalls} hypercalls" if hypercalls else "")]
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

    def over(made: Entry, start: int, frequency: int) -> None:
        for text in lines_of(chosen_of([made], form, wanted), interface, start, frequency):
            say(text)

    with listed(form) as say, rig.steady_session(LOGS) as session:
        follower = Follower(guest.memory_file, guest.memory_mib, interface.shapes, over)
        with follower.following():
            outcome = halt(session, guest, until, LOGS, each)
    if not follower.ring:
        show_failure(outcome, [f"{NO_RING}: {outcome.end}"], rig.own_lines, tail=True)
        return 1
    ring = follower.ring
    made = chosen_of(follower.made, form, wanted)
    missing = f"{ring.lost} records of {ring.begun} were written over before they were read"
    write_documents(ring, made, interface, form, wanted, guest.kernel.name, missing if ring.lost else "")
    return 0


def prepare(rig: Rig, name: str, form: Form) -> None:
    """Prepares the rig; UserError if it cannot count what is wanted."""
    rig.prepare()
    if form.instructions and not rig.count_instructions():
        raise UserError(f"--instructions: {name} runs where nobody counts them; leave it out", 2)


def trace(name: str, kernel: Path, wanted: Wanted, at: str, form: Form, console: bool) -> int:
    """Runs the kernel and writes its trace; 1 if there was no memory any more to read it from."""
    if form.live and form.counts:
        raise UserError(
            "--live: expected a list, found --counts, which is known at the end; leave one out", 2
        )
    rigs = discover(once(progress))
    rig, configuration = only(rigs, name)
    kernel = file(kernel, "kernel")
    if why := rig.no_memory(architecture(kernel)):
        raise UserError(f"{name} has no traces, which are read out of a guest's memory: {why}", 2)
    image = look(flavour.linked(kernel, rig.backend, flavour.TRACED))
    interface = Interface.built(tree(image.architecture), rig.backend)
    ordinals = chosen(interface, form.calls)
    until = pattern(at) if at else None
    with tempfile.TemporaryDirectory(prefix="vmi-trace-") as folder:
        memory = Path(folder) / "memory"
        each = shown if console else lambda _: None
        guest = halted_guest(rig, configuration, name, image, wanted, memory, alone=True)
        if form.instructions:
            guest = replace(guest, options={**guest.options, **rig.instruction_counter})
        if form.live:
            guest = replace(guest, core=None, memory_file=memory)
            rig.check_guest(guest, name)
            prepare(rig, name, form)
            return follow(rig, guest, until, each, interface, form, ordinals)
        prepare(rig, name, form)
        with rig.steady_session(LOGS) as session:
            outcome = halt(session, guest, until, LOGS, each)
        if not memory.is_file():
            show_failure(outcome, [f"its memory is gone: {outcome.end}"], rig.own_lines, tail=True)
            return 1
        ring = find(read(memory, alone=True))
    write(ring, interface, form, ordinals, image.path.name)
    return 0
