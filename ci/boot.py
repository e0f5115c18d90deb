# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi boot`: the sample kernel in each configuration, and the figure."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from . import checked, figure, flavour, ktap
from .backends import backends
from .build import BOUND, bound_kernel, build, kernels
from .fault import where
from .lava import signals
from .rig import (
    LIMITED_KERNEL,
    Configuration,
    Guest,
    Outcome,
    Rig,
    Session,
    discover,
)
from .side_by_side import side_by_side
from .status import Checks, Step, shown
from .util import ARCHITECTURES, RESULTS, ROOT, Progress, UserError, above, progress, write_if_changed

TAIL = 40
EVIDENCE = 12
"""Lines of each kind of evidence that are shown."""
FIGURE = RESULTS / "figure-7-6.json"
DETAILS = "figure.md"
BOUND_FIGURE = RESULTS / f"figure-{BOUND}.json"
DEADLINE = 90.0
CPUS = 2


def further(rigs: Mapping[str, Rig]) -> list[tuple[str, Configuration]]:
    """The rows beyond the rigs' configurations."""
    return [(backend, row) for backend, rig in rigs.items() for row in rig.rows]


def choose(
    rigs: Mapping[str, Rig], names: Sequence[str], more: Sequence[tuple[str, Configuration]] = ()
) -> list[tuple[str, Configuration]]:
    """Configurations by their own or their backend's name; all of them for no name. Those in `more` go by
    their own names alone."""
    every = [(backend, conf) for backend, rig in rigs.items() for conf in rig.configurations]
    if not names:
        return [*every, *more]
    for name in names:
        if not any(name in (backend, conf.name) for backend, conf in [*every, *more]):
            known = ", ".join(conf.name for _, conf in [*every, *more])
            raise UserError(f"no configuration {name}; there are: {known}", 2)
    return [
        *((backend, conf) for backend, conf in every if {backend, conf.name} & set(names)),
        *((backend, conf) for backend, conf in more if conf.name in names),
    ]


def only(rigs: Mapping[str, Rig], name: str) -> tuple[Rig, Configuration]:
    """The one configuration of a name, and its rig; none of a flavour, for which kernels are linked anew."""
    chosen = choose(rigs, [name], [each for each in further(rigs) if not each[1].flavour])
    if len(chosen) != 1:
        raise UserError(f"{name} has several configurations: {', '.join(c.name for _, c in chosen)}", 2)
    ((backend, configuration),) = chosen
    return rigs[backend], configuration


def having(chosen: Collection[str], architectures: Sequence[str]) -> dict[str, set[str]]:
    """Which of the chosen backends each architecture has; none of those that have none."""
    found = {arch: set(chosen) & set(backends(arch=arch)) for arch in architectures}
    if not any(found.values()):
        raise UserError(f"no {', '.join(sorted(chosen))} for {', '.join(architectures)}", 2)
    return {arch: names for arch, names in found.items() if names}


def pairs(
    backend: str, chosen: Sequence[tuple[str, Configuration]], libraries: Mapping[str, Collection[str]]
) -> list[tuple[Configuration, str]]:
    """A backend's configurations among the chosen ones, each with the architectures for which there are
    libraries of it; `libraries` as `having` finds them."""
    return [
        (configuration, arch)
        for name, configuration in chosen
        for arch, names in libraries.items()
        if name == backend and backend in names
    ]


def needed(
    libraries: Collection[str], chosen: Sequence[tuple[str, Configuration]], arch: str, bound: bool
) -> list[str]:
    """What is booted on an architecture, as the build calls it: the rest, half of it, can wait."""
    return sorted(
        f"sample_kernel/{LIMITED_KERNEL if configuration.given(arch)[1] else 'sample'}"
        f"-{BOUND if bound else backend}{configuration.flavour and '-'}{configuration.flavour}.elf"
        for backend, configuration in chosen
        if backend in libraries
    )


def kernels_own(console: str, own_lines: re.Pattern[str]) -> tuple[list[str], int]:
    """The lines of a console that the kernel has written, and how many the hypervisor has, which begin so.
    Of a kernel that has written none they are all that there is to see."""
    every = console.splitlines()
    lines = [line for line in every if not own_lines.match(line)]
    return (lines, len(every) - len(lines)) if any(line.strip() for line in lines) else (every, 0)


def show_failure(
    outcome: Outcome, failures: Sequence[str], own_lines: re.Pattern[str], whole: bool = False,
    tail: bool = True,
) -> None:  # fmt: skip
    """What a person needs to find out why a guest failed; with the end of its console, or all of it, or
    nothing where it has been seen. Lines that begin as `own_lines` are the hypervisor's, and in the log."""
    lines, others = kernels_own(outcome.console, own_lines)
    last = lines if whole else lines[-TAIL:]
    advice = "; ".join(filter(None, (where(outcome.guest.kernel, outcome.console), outcome.advice)))
    with above():
        print(f"\n{outcome.guest.name}: FAILED", file=sys.stderr)
        for failure in failures:
            print(f"  {failure}", file=sys.stderr)
        if advice:
            print(f"  advice: {advice}", file=sys.stderr)
        print(f"  command: {outcome.command}", file=sys.stderr)
        print(f"  log: {figure.log_path(outcome.log)}", file=sys.stderr)
        for line in outcome.said_of_it(EVIDENCE):
            print(f"  {line}", file=sys.stderr)
        if tail:
            without = f" (without {others} of the hypervisor's own)" if others else ""
            print(f"  last {len(last)} of {len(lines)} console lines{without}:", file=sys.stderr)
        for line in last if tail else []:
            print(f"  | {line}", file=sys.stderr)


def once(report: Progress) -> Progress:
    """Says each line once, for several rigs have the same reasons; and not too long ones."""
    said: set[str] = set()

    def say(line: str) -> None:
        if line not in said:
            said.add(line)
            for part in figure.wrapped(line, "    ", figure.WIDTH - len("vmi: ")):
                report(part)

    return say


def watched(session: Session, guest: Guest, name: str, console: bool) -> Outcome:
    """Run a guest that reports checks, with a line of how far it is, or with its console."""
    step = Checks(name, f"booting {guest.kernel.name}")

    def live(line: str) -> None:
        step.line(line)
        if console:
            with above():
                print(line, flush=True)

    with shown(step):
        return session.run(guest, live)


def apart(rigs: Mapping[str, Rig], names: Iterable[str]) -> list[str]:
    """An order in which those that need the same image are not begun together, for one would wait for the
    other while it is built."""
    rounds: Counter[str] = Counter()
    begun = []
    for name in names:
        image = rigs[name].image_name
        begun.append((rounds[image], name))
        rounds[image] += 1
    return [name for _, name in sorted(begun, key=lambda each: each[0])]


@contextlib.contextmanager
def opened(rig: Rig, logs: Path, report: Progress) -> Iterator[tuple[Session, dict[str, str]]]:
    """A backend's rig, made ready: a session, and what guests run on."""
    rig.report = report
    with contextlib.ExitStack() as stack:
        with shown(Step(rig.backend, "making its rig ready")):
            rig.prepare()
            on = rig.describe()
            session = stack.enter_context(rig.steady_session(logs))
        yield session, on


def write_document(path: Path, document: str) -> None:
    """A JSON document where somebody wants it; UserError if it cannot be written."""
    try:
        write_if_changed(path, document)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None


def findings(configuration: Configuration, guest: Guest, report: ktap.Report, console: str) -> list[str]:
    """What is wrong that the kernel's own checks do not say."""
    found = checked.findings(guest, report)
    if configuration.flavour == flavour.CHECKED:
        found += flavour.failures(console)
    return found


def rows_of(
    rig: Rig, guests: Sequence[tuple[Configuration, str, Path]], append: str, bound: bool, console: bool,
    report: Progress,
) -> list[figure.Row]:  # fmt: skip
    """The rows of one backend: a kernel for each configuration and architecture."""
    rows = []
    with opened(rig, RESULTS / "boot", report) as (session, on):
        for configuration, arch, image in guests:
            title = figure.named(configuration.name, arch)
            options, why = configuration.given(arch)
            if why:
                report(f"{title}: only the {LIMITED_KERNEL} kernel, because {why}")
            name = f"{BOUND}-{title}" if bound else title
            told = f"{configuration.bound_append if bound else ''} {append}".strip()
            guest = Guest(image, name, told, cpus=CPUS, deadline=DEADLINE, options=options)
            if not why:
                guest = checked.with_devices(guest, rig, RESULTS / "boot" / f"{name}.disk")
            checked.blank(guest.disks)
            outcome = watched(session, guest, title, console)
            write_if_changed(RESULTS / "boot" / f"{name}.guest.log", outcome.console + "\n")
            seen = ktap.parse(outcome.console)
            row = figure.Row(
                configuration,
                rig.backend,
                arch,
                {**on, **configuration.on},
                rig.facts(outcome),
                outcome,
                seen,
                rig.hypercall_goals.get(arch, {}),
                findings(configuration, guest, seen, outcome.console),
            )
            rows.append(row)
            checks = f"{seen.count('pass')} checks passed" if not row.failures else "FAILED"
            progress(f"{title}: {checks} in {outcome.seconds:.1f} s")
            if row.failures:
                show_failure(outcome, row.failures, rig.own_lines, whole=True, tail=not console)
    return rows


def boot(
    names: Sequence[str], append: str, json_file: Path | None, lava: bool, console: bool = False,
    architecture: str = "",
) -> int:  # fmt: skip
    """The figure; with the name `any` among others, by the one kernel that binds itself when it starts."""
    report = once(progress)
    rigs = discover(report)
    bound = BOUND in names
    chosen = choose(rigs, [name for name in names if name != BOUND], () if bound else further(rigs))
    if not chosen:
        raise UserError("no backend has a rig.py, so nothing can be booted")
    architectures = [architecture] if architecture else ARCHITECTURES
    libraries = having({backend for backend, _ in chosen}, architectures)
    for arch, of in libraries.items():
        build(*needed(of, chosen, arch, bound), arch=arch)
    parts = []
    for backend in apart(rigs, dict.fromkeys(backend for backend, _ in chosen)):
        own = pairs(backend, chosen, libraries)
        if bound:
            for configuration, arch in own:
                if why := configuration.given(arch)[1]:
                    report(f"not {configuration.name}, because {why}")
            own = [(configuration, arch) for configuration, arch in own if not configuration.given(arch)[1]]
        guests = []
        for configuration, arch in own:
            kernel = LIMITED_KERNEL if configuration.given(arch)[1] else "sample"
            image = bound_kernel(kernel, arch) if bound else kernels(kernel, arch).get(backend)
            if image is None:
                raise UserError(f"the build has no {kernel} kernel for {backend} on {arch}")
            if configuration.flavour:
                image = flavour.linked(image, backend, configuration.flavour)
            guests.append((configuration, arch, image))
        if guests:
            parts.append(functools.partial(rows_of, rigs[backend], guests, append, bound, console))
    if console:  # consoles are read one after another
        found = [part(report) for part in parts]
    else:
        found = side_by_side(parts, report)
    order = list(rigs)
    rows = sorted(itertools.chain.from_iterable(found), key=lambda row: order.index(row.backend))
    if lava:
        for row in rows:
            print("\n".join(signals(row.report, row.name)))
    objects = figure.every_object(rows)
    page, document = figure.as_markdown(rows, objects), figure.as_json(rows, objects)
    details = RESULTS / "boot" / DETAILS
    write_if_changed(details, page)
    print()
    print(figure.as_text(rows, objects), end="")
    logs = figure.log_path(RESULTS / "boot")
    print(f"consoles: {logs}/NAME.guest.log; calls and hypercalls by name: {figure.log_path(details)}")
    if json_file:
        write_document(json_file, document)
    if list(names) == [BOUND] and not append:
        write_if_changed(BOUND_FIGURE, document)
    if not names and not append and not architecture:
        write_if_changed(FIGURE, document)
        write_if_changed(ROOT / "docs/figure-7-6.md", page)
    return 1 if any(row.failures for row in rows) else 0
