# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi boot`: the sample kernel in each configuration, and the figure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from . import figure, ktap
from .build import BOUND, bound_kernel, build, kernels
from .lava import signals
from .rig import Configuration, Guest, Outcome, Rig, discover
from .util import RESULTS, ROOT, UserError, progress, write_if_changed

TAIL = 40
FIGURE = RESULTS / "figure-7-6.json"
BOUND_FIGURE = RESULTS / f"figure-{BOUND}.json"
DEADLINE = 90.0
CPUS = 2


def choose(rigs: dict[str, Rig], names: Sequence[str]) -> list[tuple[str, Configuration]]:
    """Configurations by their own or their backend's name; all of them for no name."""
    every = [(backend, conf) for backend, rig in rigs.items() for conf in rig.configurations]
    if not names:
        return every
    for name in names:
        if not any(name in (backend, conf.name) for backend, conf in every):
            known = ", ".join(conf.name for _, conf in every)
            raise UserError(f"no configuration {name}; there are: {known}", 2)
    return [(backend, conf) for backend, conf in every if {backend, conf.name} & set(names)]


def show_failure(outcome: Outcome, failures: Sequence[str]) -> None:
    """What a person needs to find out why a guest failed."""
    lines = outcome.console.splitlines()
    print(f"\n{outcome.guest.name}: FAILED", file=sys.stderr)
    for failure in failures:
        print(f"  {failure}", file=sys.stderr)
    if outcome.advice:
        print(f"  advice: {outcome.advice}", file=sys.stderr)
    print(f"  command: {outcome.command}", file=sys.stderr)
    print(f"  log: {figure.log_path(outcome.log)}", file=sys.stderr)
    print(f"  last {min(TAIL, len(lines))} of {len(lines)} console lines:", file=sys.stderr)
    for line in lines[-TAIL:]:
        print(f"  | {line}", file=sys.stderr)


def boot(names: Sequence[str], append: str, json_file: Path | None, lava: bool) -> int:
    """The figure; with the name `any` among others, by the one kernel that binds itself when it starts."""
    rigs = discover(progress)
    bound = BOUND in names
    chosen = choose(rigs, [name for name in names if name != BOUND])
    if not chosen:
        raise UserError("no backend has a rig.py, so nothing can be booted")
    build()
    rows = []
    for backend in dict.fromkeys(backend for backend, _ in chosen):
        own = [configuration for name, configuration in chosen if name == backend]
        for configuration in own if bound else []:
            if configuration.limited:
                progress(f"not {configuration.name}, because {configuration.limited}")
        own = [configuration for configuration in own if not (bound and configuration.limited)]
        images = {
            conf.kernel: bound_kernel(conf.kernel) if bound else kernels(conf.kernel).get(backend)
            for conf in own
        }
        for kernel, image in images.items():
            if image is None:
                raise UserError(f"the build has no {kernel} kernel for {backend}")
        rig = rigs[backend]
        rig.prepare()
        on = rig.describe()
        with rig.steady_session([image for image in images.values() if image], RESULTS / "boot") as session:
            for configuration in own:
                components = ", ".join(f"{name} {version}" for name, version in on.items())
                progress(f"booting {configuration.name} on {components}")
                if configuration.limited:
                    progress(f"only the {configuration.kernel} kernel, because {configuration.limited}")
                image = images[configuration.kernel]
                assert image
                name = f"{BOUND}-{configuration.name}" if bound else configuration.name
                guest = Guest(
                    image, name, append, cpus=CPUS, deadline=DEADLINE,
                    options=configuration.options,
                )  # fmt: skip
                outcome = session.run(guest, live=lambda line: print(line, flush=True))
                write_if_changed(RESULTS / "boot" / f"{name}.guest.log", outcome.console + "\n")
                report = ktap.parse(outcome.console)
                row = figure.Row(
                    configuration, backend, on, rig.facts(outcome), outcome, report, rig.hypercall_goals
                )
                rows.append(row)
                if row.failures:
                    show_failure(outcome, row.failures)
    if lava:
        for row in rows:
            print("\n".join(signals(row.report, row.configuration.name)))
    objects = figure.kernel_objects()
    print()
    print(figure.as_text(rows, objects), end="")
    document = figure.as_json(rows, objects)
    if json_file:
        try:
            write_if_changed(json_file, document)
        except OSError as error:
            raise UserError(f"cannot write {json_file}: {error.strerror}") from None
    if list(names) == [BOUND] and not append:
        write_if_changed(BOUND_FIGURE, document)
    if not names and not append:
        write_if_changed(FIGURE, document)
        write_if_changed(ROOT / "docs/figure-7-6.md", figure.as_markdown(rows, objects))
    return 1 if any(row.failures for row in rows) else 0


def run(name: str, kernel: Path, append: str, cpus: int, deadline: float) -> int:
    """A kernel of anybody's in one configuration: its console on standard output, and whether it passed.

    It passed if the machine ended as a passing kernel ends it, and no test failed if it speaks KTAP.
    """
    rigs = discover(progress)
    chosen = choose(rigs, [name])
    if len(chosen) != 1:
        raise UserError(f"{name} has several configurations: {', '.join(c.name for _, c in chosen)}", 2)
    if not kernel.is_file():
        raise UserError(f"no kernel {kernel}", 2)
    ((backend, configuration),) = chosen
    rig = rigs[backend]
    rig.prepare()
    kernel = kernel.resolve()
    with rig.steady_session([kernel], RESULTS / "run") as session:
        guest = Guest(
            kernel, configuration.name, append, cpus=cpus, deadline=deadline, options=configuration.options
        )
        outcome = session.run(guest, live=lambda line: print(line, flush=True))
    report = ktap.parse(outcome.console) if "KTAP version" in outcome.console else None
    failures = report.failures() if report else []
    if failures or not outcome.clean:
        show_failure(outcome, [*failures, outcome.end])
        return 1
    return 0
