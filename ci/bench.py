# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi bench`: what calls, workloads, bindings, libraries and builds cost. docs/benchmarks.md says what
each number is and how results/bench.json is laid out."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import versions
from .backends import backends
from .boot import choose
from .build import BOUND, bound_kernel, build_all, kernels, rom, tree
from .figure import beside_goal, named
from .rig import Configuration, Guest, Outcome, Rig, Session, discover
from .util import ARCHITECTURES, BUILD, RESULTS, ROOT, UserError, progress, tied, write_if_changed

SCHEMA = 2
LOGS = RESULTS / "bench"
DEADLINE = 240.0
LIMIT = 0.001
"""How much more workloads may cost in a kernel that is bound, on the build machine or when it starts, than
with inline instructions."""

STATIC, LINKED, BOOT, INLINE, POINTER = "static", "linked", "boot", "inline", "pointer"
"""Bindings: linked with the library; linked with it and bound; bound when it starts; the assembler's macros
in place of calls; a table of pointers."""
BOUND_BINDINGS = {LINKED: "linked and bound", BOOT: "bound at boot"}

WORKLOAD = re.compile(
    r"^# bench (\w+) rounds=(\d+) ticks=(\d+) ticks_per_round=\S+?(?: hypercalls=(\d+))?\r?$", re.MULTILINE
)
CALL = re.compile(r"^# bench (\w+) (\d+\.\d\d)\r?$", re.MULTILINE)


@dataclass
class Results:
    """One section of the document per field, under its name."""

    machine: dict[str, Any] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    workloads: list[dict[str, Any]] = field(default_factory=list)
    boot: list[dict[str, Any]] = field(default_factory=list)
    bind: list[dict[str, Any]] = field(default_factory=list)
    counted: list[dict[str, Any]] = field(default_factory=list)
    dispatch: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    """Parts that could not be measured, and why."""

    def as_json(self, quick: bool) -> str:
        return json.dumps({"schema": SCHEMA, "quick": quick, **vars(self)}, indent=1) + "\n"


@contextlib.contextmanager
def part(results: Results, what: str) -> Iterator[None]:
    """What is measured in here may fail without harm to the rest."""
    try:
        yield
    except Exception as error:  # whatever it is, what was measured is worth more
        why = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        results.failures.append({"part": what, "why": why})
        progress(f"{what} FAILED: {why.splitlines()[0]}; the rest is measured")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and median absolute deviation, least and number of runs."""
    median = statistics.median(values)
    return {
        "median": median,
        "mad": statistics.median(abs(value - median) for value in values),
        "least": min(values),
        "runs": len(values),
    }


# Kernels in rigs


def bindings(backend: str, arch: str) -> dict[str, Path]:
    """The kernels of an architecture to be measured on a backend, by their binding; none if the backend has
    no library for it."""
    static = kernels("bench", arch).get(backend)
    if static is None:
        return {}
    found = {
        STATIC: static,
        LINKED: kernels("bench-bound", arch).get(backend),
        BOOT: bound_kernel("bench", arch),
        INLINE: kernels("bench-inline", arch).get(backend),
        POINTER: kernels("bench-pointer", arch).get(backend),
    }
    return {binding: path for binding, path in found.items() if path}


@dataclass
class Place:
    """A configuration and an architecture, its open session, and the unit of its time-stamp counter."""

    configuration: Configuration
    arch: str
    rig: Rig
    session: Session
    counts: bool
    results: Results

    def run(self, binding: str, kernel: Path, option: str, cpus: int = 1) -> Outcome:
        name = f"{option}-{self.configuration.name}-{binding}-{self.arch}"
        given, _ = self.configuration.given(self.arch)
        options = {**given, **(self.rig.instruction_counter if self.counts else {})}
        told = f"bench={option} {self.configuration.bound_append if binding == BOOT else ''}".rstrip()
        guest = Guest(kernel, name, told, cpus=cpus, deadline=DEADLINE, options=options)
        return self.session.run(guest)

    def note(self, section: list[dict[str, Any]], binding: str, **more: Any) -> None:
        section.append(
            {
                "backend": self.rig.backend,
                "configuration": self.configuration.name,
                "architecture": self.arch,
                "binding": binding,
                "unit": "instructions" if self.counts else "cycles",
                **more,
            }
        )

    def workload(self, name: str, rounds: int, ticks: int, hypercalls: int) -> dict[str, Any]:
        return {
            "rounds": rounds,
            "ticks": ticks,
            "per_round": ticks / rounds,
            "hypercalls": hypercalls,
            "goal": self.rig.hypercall_goals.get(self.arch, {}).get(name),
        }

    def measure(self, binding: str, kernel: Path) -> None:
        """All that the kernel measures itself."""
        title = f"{named(self.configuration.name, self.arch)}, {binding}"
        progress(f"{title}: calls, workloads, boot")
        for option, cpus in (("calls", 1), ("workloads", 2), ("boot", 1)):
            with part(self.results, f"{title}: {option}"):
                self.measure_one(binding, kernel, option, cpus)

    def measure_one(self, binding: str, kernel: Path, option: str, cpus: int) -> None:
        outcome = self.run(binding, kernel, option, cpus)
        workloads = {
            name: self.workload(name, int(rounds), int(ticks), int(hypercalls or 0))
            for name, rounds, ticks, hypercalls in WORKLOAD.findall(outcome.console)
        }
        if option == "boot":
            # A hypervisor that enters kernels its own way does not come by where the time is taken.
            if "boot" in workloads:
                self.note(self.results.boot, binding, ticks=workloads["boot"]["ticks"])
            if "bind" in workloads:
                self.note(self.results.bind, binding, ticks=workloads["bind"]["ticks"])
            return
        if not outcome.clean:
            raise UserError(f"{outcome.guest.name}: {outcome.end}; log: {outcome.log}")
        if option == "calls":
            calls = {name: float(ticks) for name, ticks in CALL.findall(outcome.console)}
            self.note(self.results.calls, binding, calls=calls)
        else:
            self.note(self.results.workloads, binding, workloads=workloads)


def in_rigs(results: Results, chosen: Sequence[tuple[str, Configuration]], rigs: Mapping[str, Rig]) -> None:
    for backend in dict.fromkeys(backend for backend, _ in chosen):
        rig = rigs[backend]
        # Where time has no meaning but its own, bindings are told apart by instructions only.
        with part(results, f"{backend}'s rig"), contextlib.ExitStack() as stack:
            rig.prepare()
            results.machine.setdefault("rigs", {})[backend] = rig.describe()
            counts = rig.count_instructions()
            session = stack.enter_context(rig.steady_session(LOGS))
            for _, configuration in (pair for pair in chosen if pair[0] == backend):
                for arch in ARCHITECTURES:
                    if not configuration.given(arch)[1]:
                        place = Place(configuration, arch, rig, session, counts, results)
                        for binding, kernel in bindings(backend, arch).items():
                            place.measure(binding, kernel)


def counted(results: Results, chosen: Sequence[str]) -> None:
    """What the hypervisors' own tools count: bench_*.py of the backends, each of whose tests prints one table
    with columns two spaces or more apart."""
    for backend in chosen:
        files = [
            path
            for folder in (ROOT / "tests/bench", ROOT / "backends" / backend / "bench")
            for path in sorted(folder.glob("bench_*.py"))
            if path.stem == f"bench_{backend}" or folder.parent.name == backend
        ]
        for path in files:
            progress(f"{backend}: what the hypervisor itself counts ({path.relative_to(ROOT)})")
            with part(results, str(path.relative_to(ROOT))):
                for rows, title in printed_tables(path):
                    results.counted.append({"backend": backend, "title": title, "rows": rows})


def printed_tables(path: Path) -> list[tuple[list[dict[str, str]], str]]:
    """The tables of a bench_*.py, as rows by the heads of their columns, and their titles; UserError if one
    of its tests fails. A test that is skipped, as this machine's own hypervisor does not count, has none."""
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={junit}",
                   "-o", "junit_logging=system-out", "-o", "python_files=bench_*.py", str(path)]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=tied()
        )
        if done.returncode:
            raise UserError(f"{path.name} failed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")
        printed = [node.text or "" for node in ElementTree.parse(junit).getroot().iter("system-out")]
    found = (_printed_table(text, path.stem) for text in printed)
    return [(rows, title) for rows, title in found if rows]


def _printed_table(text: str, title: str) -> tuple[list[dict[str, str]], str]:
    """One table; `title` is for one that has none."""
    cells = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    title = next((line[0] for line in cells if len(line) == 1 and line[0] and line[0][0] != "-"), title)
    table = [line for line in cells if len(line) > 1]
    if not table:
        return [], title
    head = [f"{name} {table[0][: i + 1].count(name)}" if table[0].count(name) > 1 else name
            for i, name in enumerate(table[0])]  # fmt: skip
    return [dict(zip(head, row, strict=True)) for row in table[1:]], title


# This machine


def dispatch(results: Results, runs: int) -> None:
    """ci/dispatch.c on this machine's processor."""
    rounds, calls = 10000, 100
    progress("dispatch on this machine's processor")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "dispatch"
        command = ["gcc", "-m32", "-march=i686", "-std=gnu11", "-O2", "-ffreestanding", "-fno-pic", "-no-pie",
                   "-fno-stack-protector", "-nostdlib", "-static", "-Wall", "-Wextra", "-Werror",
                   f"-DROUNDS={rounds}", f"-DCALLS={calls}", f"-DRUNS={runs}", "-o", str(program),
                   str(ROOT / "ci/dispatch.c")]  # fmt: skip
        subprocess.run(command, check=True)
        shown = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    found: dict[tuple[str, str], list[float]] = {}
    for call, way, nanoseconds in (line.split() for line in shown.splitlines()):
        found.setdefault((call, way), []).append(int(nanoseconds) / (rounds * calls))
    for (call, way), values in found.items():
        results.dispatch.append({"call": call, "way": way, "unit": "nanoseconds", **spread(values)})


def sizes(results: Results) -> None:
    """Libraries by size(1), images and kernels by what their files hold; those of the first architecture by
    their names, the others' with the architecture beside it."""
    every: dict[str, Path] = {}
    for arch in ARCHITECTURES:
        libraries = backends(arch=arch)
        files = [tree(arch) / f"backends/libvmi-{name}.a" for name in libraries]
        files += [rom(name, arch) for name in libraries]
        files += [*kernels("sample", arch).values(), tree(arch) / f"sample_kernel/vmi-{BOUND}.elf"]
        beside = "" if arch == ARCHITECTURES[0] else f" ({arch})"
        every |= {f"{path.name}{beside}": path for path in files}
    for name, path in every.items():
        row: dict[str, Any] = {"name": name}
        if path.suffix != ".a":  # which may only name its members
            row["file"] = path.stat().st_size
        if path.suffix != ".rom":
            shown = subprocess.run(["size", "-t", path], capture_output=True, text=True, check=True).stdout
            text, data, bss = (int(word) for word in shown.splitlines()[-1].split()[:3])
            row |= {"text": text, "data": data, "bss": bss}
        results.sizes.append(row)


def seconds(what: str, results: Results, command: Sequence[str | Path], runs: int, **more: Any) -> None:
    progress(f"time: {what}")
    values = []
    for _ in range(runs):
        started = time.monotonic()
        subprocess.run(command, check=True, capture_output=True, **more)
        values.append(time.monotonic() - started)
    results.times.append({"what": what, "unit": "seconds", **spread(values)})


def times(results: Results, quick: bool) -> None:
    """What a developer waits for."""
    folders = [str(ROOT / "backends" / name) for name in backends()]
    with tempfile.TemporaryDirectory() as folder:
        seconds(
            "generate", results,
            [sys.executable, "-m", "vmigen", "generate", "--backends", *folders, "--out", folder],
            1 if quick else 5, env={**os.environ, "PYTHONPATH": str(ROOT / "codegen")},
        )  # fmt: skip
        seconds("build, nothing to do", results, ["ninja", "-C", BUILD], 1 if quick else 5)
        if not quick:
            fresh, cross = Path(folder) / "build", ROOT / f"cross/{ARCHITECTURES[0]}-gcc.ini"
            seconds("configure", results, ["meson", "setup", "--cross-file", cross, fresh, ROOT], 1)
            seconds("build, everything", results, ["ninja", "-C", fresh], 1)


def machine(results: Results) -> None:
    """What the numbers were taken on."""
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        results.machine["processor"] = found[1] if found else platform.machine()
    gcc = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout
    results.machine |= {
        "processors": os.cpu_count(),
        "linux": platform.release(),
        "compiler": gcc.splitlines()[0],
        "tree": versions.tree(),
    }


# Tables


def table(title: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table, its columns two spaces apart: the first one and those of words to the left, the
    others to the right."""
    yield f"\n{title}"
    columns = list(zip(*rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    words = [any(cell[:1].isalpha() for cell in column[1:]) for column in columns]
    for row in rows:
        cells = (
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(row, widths, [True, *words[1:]], strict=True)
        )
        yield "  ".join(cells).rstrip()


def by_architecture(section: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The rows of each architecture that has some."""
    for arch in dict.fromkeys(row["architecture"] for row in section):
        yield arch, [row for row in section if row["architecture"] == arch]


def _by_place(section: Sequence[Mapping[str, Any]], key: str, value: str, title: str) -> Iterator[str]:
    """A table for each architecture."""
    for arch, rows in by_architecture(section):
        yield from _of_architecture(rows, key, value, f"{arch}: {title}")


def _of_architecture(section: Sequence[Mapping[str, Any]], key: str, value: str, title: str) -> Iterator[str]:
    heads = [f"{row['configuration']} {row['binding']}" for row in section]
    names = list(dict.fromkeys(name for row in section for name in row[key]))
    if not names:
        return
    rows = [["", *heads]]
    for name in names:
        cells = (row[key].get(name) for row in section)
        numbers = (cell[value] if value and cell is not None else cell for cell in cells)
        rows.append([name, *("-" if number is None else f"{number:.2f}" for number in numbers)])
    yield from table(title, rows)


def _beside_goal(workload: Mapping[str, Any]) -> str:
    return beside_goal(workload["hypercalls"] / workload["rounds"], workload["goal"])


def hypercalls_of(results: Results) -> Iterator[tuple[str, list[list[str]]]]:
    """By architecture, a table of hypercalls per round of a workload, beside the goals that backends set
    themselves."""
    made = [row for row in results.workloads if any(each["hypercalls"] for each in row["workloads"].values())]
    for arch, rows in by_architecture(made):
        shown = [["", *(f"{row['configuration']} {row['binding']}" for row in rows)]]
        for name in dict.fromkeys(name for row in rows for name in row["workloads"]):
            cells = (row["workloads"].get(name) for row in rows)
            shown.append([name, *("-" if each is None else _beside_goal(each) for each in cells)])
        yield arch, shown


def _measured(row: Mapping[str, Any]) -> str:
    """What a row is of: its backend and architecture."""
    return named(row["backend"], row["architecture"])


def excess(results: Results, bound: str) -> dict[str, dict[str, float]]:
    """What workloads cost by a binding beyond inline instructions, in parts, by backend with architecture and
    by workload; `total` is of all together."""
    found: dict[str, dict[str, float]] = {}
    by_place = {(_measured(row), row["binding"]): row["workloads"] for row in results.workloads}
    for (place, binding), least in by_place.items():
        more = by_place.get((place, bound))
        if binding != INLINE or more is None:
            continue
        ticks = {name: (more[name]["ticks"], least[name]["ticks"]) for name in least if name in more}
        if not ticks:
            continue
        ticks["total"] = (sum(a for a, _ in ticks.values()), sum(b for _, b in ticks.values()))
        found[place] = {name: a / b - 1 for name, (a, b) in ticks.items()}
    return found


def differences(results: Results, bound: str) -> dict[str, dict[str, float]]:
    """Calls that take another number of ticks by a binding than by inline instructions, and how many more, by
    backend with architecture."""
    by_place = {(_measured(row), row["binding"]): row["calls"] for row in results.calls}
    return {
        place: {
            name: more - least[name]
            for name, more in by_place[place, bound].items()
            if name in least and more != least[name]
        }
        for (place, binding), least in by_place.items()
        if binding == INLINE and (place, bound) in by_place
    }


def beside_inline(results: Results) -> Iterator[tuple[str, list[list[str]]]]:
    """Tables of kernels that were bound beside inline instructions: workloads, and which calls make the
    difference."""
    for bound, title in BOUND_BINDINGS.items():
        for place, parts in excess(results, bound).items():
            rows = [["", "percent"], *([name, f"{part * 100:+.3f}"] for name, part in parts.items())]
            yield f"{place}: {title}, compared with inline instructions", rows
        for place, calls in differences(results, bound).items():
            rows = [["", "ticks"], *([name, f"{more:+.2f}"] for name, more in calls.items())]
            if not calls:
                rows = [["none", ""]]
            yield f"{place}: calls that cost other than inline instructions, {title}", rows


def as_text(results: Results) -> str:
    lines: list[str] = []
    lines += _by_place(results.calls, "calls", "", "ticks per call, call and return included")
    lines += _by_place(results.workloads, "workloads", "per_round", "ticks per round of a workload")
    for arch, rows in hypercalls_of(results):
        lines += table(f"{arch}: hypercalls per round of a workload", rows)
    for title, rows in beside_inline(results):
        lines += table(title, rows)
    for part_of, title in (
        (results.boot, "from the loader's jump to the kernel's first line"),
        (results.bind, "of that, binding"),
    ):
        if part_of:
            rows = [["", "ticks"]]
            rows += [
                [f"{row['configuration']} {row['binding']} {row['architecture']}", str(row["ticks"])]
                for row in part_of
            ]
            lines += table(title, rows)
    for row in results.counted:
        if row["rows"]:
            heads = list(row["rows"][0])
            lines += table(row["title"], [heads, *(list(each.values()) for each in row["rows"])])
    if results.dispatch:
        rows = [["", "median", "MAD", "least", "runs"]]
        rows += [
            [f"{row['call']}, {row['way']}", f"{row['median']:.3f}", f"{row['mad']:.3f}",
             f"{row['least']:.3f}", str(row["runs"])]
            for row in results.dispatch
        ]  # fmt: skip
        lines += table("nanoseconds per call on this machine's processor, in user mode", rows)
    if results.sizes:
        rows = [["", "text", "data", "bss", "file"]]
        rows += [
            [row["name"], *(str(row.get(name, "-")) for name in ("text", "data", "bss", "file"))]
            for row in results.sizes
        ]
        lines += table("bytes", rows)
    if results.times:
        rows = [["", "median", "MAD", "runs"]]
        rows += [
            [row["what"], f"{row['median']:.3f}", f"{row['mad']:.3f}", str(row["runs"])]
            for row in results.times
        ]
        lines += table("seconds", rows)
    for failure in results.failures:
        lines.append(f"\nFAILED: {failure['part']}: {failure['why']}")
    return "\n".join(lines) + "\n"


def measurable(chosen: Sequence[tuple[str, Configuration]]) -> list[tuple[str, Configuration]]:
    """Those in which the kernels that measure can run here, on one architecture at least; an error if there
    is none."""
    found = []
    for backend, configuration in chosen:
        limits = {arch: why for arch in ARCHITECTURES if (why := configuration.given(arch)[1])}
        for arch, why in limits.items():
            progress(f"not {named(configuration.name, arch)}, because {why}")
        if len(limits) < len(ARCHITECTURES):
            found.append((backend, configuration))
    if not found:
        configuration = chosen[0][1]
        raise UserError(f"nothing can be measured in {configuration.name}, because {configuration.limited}")
    return found


def bench(
    names: Sequence[str],
    quick: bool,
    json_file: Path | None,
    page: Callable[[Results, Sequence[str]], None] | None = None,
) -> int:
    """Measure everything, or in the configurations that are named; `quick` on plain hardware only, and little
    of what takes time. If all went well, `page` gets the results and the backends that they are of."""
    if page and quick:
        raise UserError("--page wants what --quick leaves out; give one of them", 2)
    rigs = discover(progress)
    chosen = choose(rigs, names)
    if json_file and not json_file.parent.is_dir():
        raise UserError(f"cannot write {json_file}: there is no folder {json_file.parent}", 2)
    if quick and not names:
        chosen = chosen[:1]
    chosen = measurable(chosen)
    build_all()
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    results = Results()
    among = list(dict.fromkeys(backend for backend, _ in chosen))
    interrupted = None
    try:
        with part(results, "dispatch"):
            dispatch(results, 5 if quick else 31)
        with part(results, "sizes"):
            sizes(results)
        with part(results, "times"):
            times(results, quick)
        in_rigs(results, chosen, rigs)
        with part(results, "machine"):
            machine(results)
        if not quick:
            counted(results, among)
    except KeyboardInterrupt as error:
        interrupted = error
        results.failures.append({"part": "what had not been measured yet", "why": "interrupted"})
    print(as_text(results), end="")
    path = json_file or RESULTS / ("bench-quick.json" if quick else "bench.json")
    try:
        write_if_changed(path, results.as_json(quick))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    progress(f"wrote {path}")
    if page and not results.failures:
        page(results, among)
    if interrupted:
        raise interrupted
    return 1 if results.failures else 0
