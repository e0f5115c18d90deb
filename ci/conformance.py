# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi conformance`: the conformance kernel in each configuration, and one verdict for each."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import figure, ktap
from .boot import CPUS, choose, having, once, pairs, show_failure, watched
from .build import build, kernels
from .lava import signals
from .rig import Guest, Outcome, discover
from .util import ARCHITECTURES, BUILD, RESULTS, UserError, progress, write_if_changed

DOCUMENT = RESULTS / "conformance.json"
DEADLINE = 180.0
LINE_DATA = 1024


def verdict(name: str, failures: Sequence[str], report: ktap.Report, clean: bool, end: str) -> str:
    """One line: what a configuration conforms to, or where it does not."""
    counts = Counter(test.status for test in report.tests)
    kinds = Counter(call.kind for call in report.calls)
    declared = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    checks = f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped"
    if clean and not failures:
        return f"{name}: conforms: {checks}; declared: {declared}"
    wrong = [test.name for test in report.tests if test.status == "fail"]
    what = ", ".join(wrong[:6]) + (", …" if len(wrong) > 6 else "") or (end if not clean else failures[0])
    return f"{name}: DOES NOT CONFORM: {checks}; {what}"


def console_data(kib: int) -> list[str]:
    """The lines that the kernel writes with `console=KIB` (conformance/behaviour.c)."""
    state, lines = 1, []
    for number in range(kib * 1024 // LINE_DATA):
        digits = []
        for _ in range(LINE_DATA):
            state = (1664525 * state + 1013904223) & 0xFFFFFFFF
            digits.append("0123456789abcdef"[state >> 28])
        lines.append(f"# data {number} {''.join(digits)}")
    return lines


def typed_data(kib: int) -> bytes:
    """The same digits in one row."""
    return "".join(line.split()[-1] for line in console_data(kib)).encode()


def typed_file(kib: int) -> Path:
    """So much of them, for the kernel's option `input=KIB`."""
    path = BUILD / f"typed-{kib}.txt"
    write_if_changed(path, typed_data(kib))
    return path


def digest(lines: Sequence[str]) -> str:
    """SHA-256 of such lines."""
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def data_received(outcome: Outcome) -> str:
    """The digest of those lines as they arrived."""
    return digest(re.findall(r"^# data .*$", outcome.console.replace("\r", ""), re.MULTILINE))


def needed(libraries: Iterable[str]) -> list[str]:
    """The kernels of these, as the build calls them: the rest can wait."""
    return [f"conformance/conformance-{name}.elf" for name in sorted(libraries)]


def conformance(names: Sequence[str], lava: bool, console: bool = False, architecture: str = "") -> int:
    rigs = discover(once(progress))
    chosen = choose(rigs, names)
    if not chosen:
        raise UserError("no backend has a rig.py, so nothing can be booted")
    architectures = [architecture] if architecture else ARCHITECTURES
    libraries = having({backend for backend, _ in chosen}, architectures)
    for arch, of in libraries.items():
        build(*needed(of), arch=arch)
    images = {arch: kernels("conformance", arch) for arch in libraries}
    verdicts: list[str] = []
    rows: list[figure.Row] = []
    failed = False
    for backend in dict.fromkeys(backend for backend, _ in chosen):
        rig = rigs[backend]
        own = []
        for configuration, arch in pairs(backend, chosen, libraries):
            options, why = configuration.given(arch)
            if why:
                verdicts.append(f"{figure.named(configuration.name, arch)}: not run: {why}")
            else:
                own.append((configuration, arch, options))
        if not own:
            continue
        rig.prepare()
        on = rig.describe()
        with rig.steady_session(RESULTS / "conformance") as session:
            for configuration, arch, options in own:
                name, image = figure.named(configuration.name, arch), images[arch][backend]
                guest = Guest(image, name, cpus=CPUS, deadline=DEADLINE, options=options)
                outcome = watched(session, guest, name, console)
                log = RESULTS / "conformance" / f"{name}.guest.log"
                write_if_changed(log, outcome.console + "\n")
                report = ktap.parse(outcome.console)
                row = figure.Row(configuration, backend, arch, on, rig.facts(outcome), outcome, report)
                rows.append(row)
                failures = report.failures() or rig.findings(outcome, report)
                if failures or not outcome.clean:
                    failed = True
                    show_failure(outcome, failures, rig.own_lines)
                if lava:
                    print("\n".join(signals(report, f"conformance-{name}")))
                verdicts.append(verdict(name, failures, report, outcome.clean, outcome.end))
    sys.stdout.flush()
    print("\n" + "\n".join(line for each in verdicts for line in figure.wrapped(each, "    ")))
    print(f"consoles: {figure.log_path(RESULTS / 'conformance')}/NAME.guest.log")
    if not names:
        write_if_changed(DOCUMENT, figure.as_json(rows, figure.every_object(rows, "conformance")))
    return 1 if failed else 0
