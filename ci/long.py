# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`./vmi test --long`: tests that take hours, a piece at a time.

Parts are discovered: `tests/NAME/long.py` and `backends/NAME/tests/long.py` have a tuple PARTS of `Part`s.
A part is made of pieces, each a matter of minutes at best. After each piece all results so far are
written to results/long.json (docs/testing.md says what is in it), so that whatever ends a run costs one
piece at most; the next run goes on with those that are left, as long as the tree and the tools are the same.
"""

from __future__ import annotations

import abc
import contextlib
import datetime
import fcntl
import hashlib
import importlib
import importlib.util
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from . import figure, record, versions
from .build import build_all
from .lint import tracked
from .status import Step, at_terminal, shown
from .util import RESULTS, ROOT, UserError, progress, remembered, write_if_changed

SCHEMA = 1
DOCUMENT = RESULTS / "long.json"
LOGS = RESULTS / "long"
PLACES = ("tests/*/long.py", "backends/*/tests/long.py")
SHOWN = 10
"""Failures and names of what is left that are printed; the document has all."""


@dataclass(frozen=True)
class Result:
    """What became of one piece."""

    piece: str
    counts: Mapping[str, int] = field(default_factory=dict)
    """What was done, by name; added up over all pieces of the part."""
    failure: str = ""
    """What did not hold; empty if all did."""
    note: str = ""
    """What else is worth knowing."""
    on: Mapping[str, str] = field(default_factory=dict)
    """What it ran on beyond the tools of this machine: versions, by name."""
    reached: Mapping[str, int] = field(default_factory=dict)
    """How far it came, by name; of all pieces of the part the largest number."""


class Part(abc.ABC):
    """Tests of one kind."""

    name: str
    """On the command line."""
    summary: str
    """One line."""
    of: tuple[str, ...] = (".",)
    """Folders with what it tests; what changes there makes its results old (record.py)."""

    def absent(self) -> str:
        """Why it cannot be run on this machine; empty if it can."""
        return ""

    @abc.abstractmethod
    def pieces(self) -> list[str]:
        """The names of all pieces, the same each time, in the order in which they are best done."""

    @abc.abstractmethod
    def run(self, pieces: Sequence[str], folder: Path) -> Iterator[Result]:
        """Does these pieces, with a result for each as soon as there is one. It is closed when it is to
        stop, and may be killed. `folder` is for logs and for what is to be there the next time."""

    def judge(self, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
        """What does not hold of the pieces so far taken together, by their counts."""
        return []


# Discovery


def module_at(path: Path, root: Path = ROOT) -> ModuleType:
    """What was discovered, as a module."""
    inside = path.relative_to(root).with_suffix("")
    if inside.parts[0] == "tests" and root == ROOT:
        return importlib.import_module(".".join(inside.parts))
    spec = importlib.util.spec_from_file_location("_".join(inside.parts), path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts(root: Path = ROOT) -> dict[str, Part]:
    """All parts of a tree, by name."""
    found: dict[str, Part] = {}
    for pattern in PLACES:
        for path in sorted(root.glob(pattern)):
            for part in module_at(path, root).PARTS:
                if part.name in found:
                    where = path.relative_to(root)
                    raise UserError(f"{where}: part {part.name} is there already; choose another name")
                found[part.name] = part
    return found


def built_parts() -> dict[str, Part]:
    """The parts of this tree; some of their modules read what the build has rendered."""
    build_all()
    return parts()


# What is kept


@dataclass
class Kept:
    """What is known of one part."""

    summary: str = ""
    seconds: float = 0.0
    planned: list[str] = field(default_factory=list)
    pieces: dict[str, dict[str, Any]] = field(default_factory=dict)
    on: dict[str, str] = field(default_factory=dict)
    error: str = ""
    """Why it could not go on the last time."""
    judged: list[str] = field(default_factory=list)
    absent: str = ""

    @property
    def left(self) -> list[str]:
        return [piece for piece in self.planned if piece not in self.pieces]

    @property
    def done(self) -> int:
        return len(self.planned) - len(self.left)

    @property
    def failures(self) -> list[str]:
        single = [f"{piece}: {each['failure']}" for piece, each in self.pieces.items() if "failure" in each]
        return [*single, *self.judged, *([self.error] if self.error else [])]

    @property
    def counts(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for each in self.pieces.values():
            total.update(each["counts"])
        return dict(total)

    @property
    def reached(self) -> dict[str, int]:
        most: dict[str, int] = {}
        for each in self.pieces.values():
            for name, number in each.get("reached", {}).items():
                most[name] = max(number, most.get(name, number))
        return most

    def take(self, result: Result, seconds: float) -> None:
        piece: dict[str, Any] = {"seconds": round(seconds, 1), "counts": dict(result.counts)}
        for name in ("failure", "note"):
            if text := getattr(result, name):
                piece[name] = text
        if result.reached:
            piece["reached"] = dict(result.reached)
        self.pieces[result.piece] = piece
        self.seconds += seconds
        self.on |= result.on

    def as_dict(self) -> dict[str, Any]:
        return {
            "summary": self.summary,
            "planned": len(self.planned),
            "done": self.done,
            "failed": len(self.failures),
            "seconds": round(self.seconds, 1),
            "counts": self.counts,
            "reached": self.reached,
            "on": self.on,
            "failures": self.failures,
            "error": self.error,
            "absent": self.absent,
            "left": self.left,
            "pieces": self.pieces,
        }


class Results:
    """The document, in memory and on disk."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.identity = dict(identity)
        self.begun = _now()
        self.parts: dict[str, Kept] = {}

    def resume(self) -> None:
        """Take what an earlier run has left, if it is of this tree and these tools; else put it aside."""
        old = remembered(self.path)
        if not old:
            if self.path.exists():
                progress(f"{figure.log_path(self.path)} is damaged; all begins anew")
            return
        same = ("schema", "tree", "tools")
        if any(old.get(key) != self.identity[key] for key in same):
            commit = str(old.get("commit", "")) or "unknown"
            aside = self.path.with_name(f"{self.path.stem}-{commit[:12]}.json")
            os.replace(self.path, aside)
            progress(f"the last results are of other files or tools, and in {figure.log_path(aside)} now")
            return
        try:
            self.begun = str(old["begun"])
            for name, each in old["parts"].items():
                self.parts[name] = Kept(
                    seconds=float(each["seconds"]), pieces=dict(each["pieces"]), on=dict(each["on"]),
                    error=str(each["error"]),
                )  # fmt: skip
                _ = self.parts[name].as_dict()  # as it is laid out here
        except (AttributeError, KeyError, TypeError, ValueError):
            progress(f"{figure.log_path(self.path)} is damaged; all begins anew")
            self.parts.clear()

    def save(self) -> None:
        kept = {name: part.as_dict() for name, part in self.parts.items()}
        left = sum(len(part.left) for part in self.parts.values() if not part.absent)
        document = {
            **self.identity,
            "begun": self.begun,
            "written": _now(),
            "complete": not left and not any(part.error for part in self.parts.values()),
            "parts": kept,
        }
        try:
            write_if_changed(self.path, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise UserError(f"cannot write {self.path}: {error.strerror}") from None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def tree() -> str:
    """All files but documents, as a hash."""
    try:
        names = [name for name in tracked() if not name.endswith(".md")]
    except (OSError, subprocess.CalledProcessError):
        raise UserError("--long needs git: its results are of a commit") from None
    digest = hashlib.sha256()
    for name in names:
        digest.update(f"{name}\0{hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def identity() -> dict[str, Any]:
    """What results are of: the commit, the files, the tools."""
    commit = versions.first_line("git", "rev-parse", "HEAD")
    return {
        "schema": SCHEMA,
        "commit": commit,
        "changed": versions.tree().endswith("-dirty"),
        "tree": tree(),
        "tools": versions.tools(),
    }


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """One long run at a time in a tree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another ./vmi test --long is running in this tree") from None
        yield


# Running


class Pieces(Step):
    """How far a run is; without a terminal, a line for each tenth of a part."""

    def __init__(self) -> None:
        super().__init__("long", "looking what is left")
        self.told = ("", -1)

    def at(self, name: str, part: Kept, piece: str) -> None:
        failed = f", {len(part.failures)} failed" if part.failures else ""
        self.doing = f"{name}, {part.done} of {len(part.planned)} pieces{failed}; {piece}"
        tenth = (name, 10 * part.done // max(len(part.planned), 1))
        if tenth != self.told and not at_terminal():
            progress(self.text())
        self.told = tenth


class TreeChanged(UserError):
    """A piece would be of neither tree."""


def do(part: Part, kept: Kept, results: Results, step: Pieces, end: float) -> None:
    """Pieces of a part until all are done, or that moment has come."""
    kept.error = ""
    begun = time.monotonic()
    step.at(part.name, kept, "begins")
    try:
        with contextlib.closing(part.run(kept.left, LOGS / part.name)) as pieces:  # type: ignore[type-var]
            for result in pieces:
                now = time.monotonic()
                if results.identity["tree"] != tree():
                    raise TreeChanged(
                        f"files have changed meanwhile: {part.name} {result.piece} does not count"
                    )
                kept.take(result, now - begun)
                begun = now
                kept.judged = part.judge({name: each["counts"] for name, each in kept.pieces.items()})
                results.save()
                step.at(part.name, kept, f"{result.piece} done")
                if now >= end:
                    break
    except TreeChanged:
        raise
    except Exception as error:  # the other parts are worth more
        kept.error = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        progress(f"{part.name} cannot go on: {kept.error.splitlines()[0]}")
        results.save()


def do_all(chosen: Mapping[str, Part], results: Results, step: Pieces, end: float) -> None:
    """All parts; the time there is is shared out evenly, and what one leaves over goes to the others."""
    waiting = [name for name in chosen if results.parts[name].left]
    while waiting and time.monotonic() < end:
        again = []
        for number, name in enumerate(waiting):
            now = time.monotonic()
            if now >= end:
                return
            kept = results.parts[name]
            before = kept.done
            do(chosen[name], kept, results, step, now + (end - now) / (len(waiting) - number))
            if kept.left and not kept.error and kept.done > before:
                again.append(name)
        waiting = again


def choose(names: Sequence[str], every: Mapping[str, Part]) -> dict[str, Part]:
    for name in names:
        if name not in every:
            raise UserError(f"no part {name}; there are: {', '.join(every)}", 2)
    return {name: part for name, part in every.items() if not names or name in names}


def show_parts(names: Sequence[str]) -> int:
    """What parts there are, in how many pieces, and when they were last run whole."""
    rows, recorded = [], record.read(record.RECORD)
    for name, part in choose(names, built_parts()).items():
        commit, changed = record.age(name, part.of, recorded)
        rows.append(
            {"tests": name, "pieces": str(len(part.pieces())), "last whole": commit,
             "files changed since": changed, "what": part.absent() or part.summary}
        )  # fmt: skip
    print("\n".join(figure.as_table(rows)))
    return 0


def write_record(names: Sequence[str], path: Path = record.RECORD) -> int:
    """What results/long.json has of these parts, or of all, into the document that the tree keeps."""
    document = remembered(DOCUMENT)
    if not document:
        raise UserError(f"{figure.log_path(DOCUMENT)} is not there or damaged; ./vmi test --long writes it")
    chosen = choose(names, built_parts())
    new = [entry for entry in record.entries_of(document) if entry.part in chosen]
    record.write(path, record.merged(record.read(path), new))
    progress(f"{figure.log_path(path)} has {', '.join(entry.part for entry in new) or 'nothing new'}")
    return 0


def summary(chosen: Mapping[str, Part], results: Results) -> list[str]:
    """A table, what failed, what is left."""
    rows, lines = [], []
    for name in chosen:
        kept = results.parts[name]
        figures = record.figures(kept.as_dict())
        rows.append(
            {"tests": name, "done": str(kept.done), "of": str(len(kept.planned)),
             "failed": str(len(kept.failures)), "seconds": f"{kept.seconds:.0f}"}
        )  # fmt: skip
        if figures:
            lines += figure.wrapped(f"{name}: {figures}", "    ")
        if kept.absent:
            lines += figure.wrapped(f"{name}: not run: {kept.absent}", "    ")
        failures = kept.failures
        for failure in failures[:SHOWN]:
            lines += figure.wrapped(f"{name} FAILED: {failure.splitlines()[0]}", "    ")
        if len(failures) > SHOWN:
            lines.append(f"    and {len(failures) - SHOWN} more")
        if kept.left and not kept.absent:
            more = f" and {len(kept.left) - 3} more" if len(kept.left) > 3 else ""
            lines += figure.wrapped(f"{name}: left: {', '.join(kept.left[:3])}{more}", "    ")
    return ["", *figure.as_table(rows), "", *lines]


def long(names: Sequence[str], hours: float | None, anew: bool, skip: Sequence[str]) -> int:
    """The parts named, or all, for so many hours, or to their end. 0 if nothing has failed so far."""
    if skip:
        os.environ["VMI_SKIP"] = " ".join(skip)  # read by tests/guests.py
    every = built_parts()
    chosen = choose(names, every)
    if not chosen:
        raise UserError("there are no long tests: no tests/*/long.py")
    end = time.monotonic() + hours * 3600 if hours else float("inf")
    with alone(LOGS / "lock"):
        results = Results(DOCUMENT, identity())
        results.resume()
        for name in [name for name in results.parts if name not in every]:
            del results.parts[name]
        for name, part in every.items():
            kept = results.parts.setdefault(name, Kept())
            if anew and name in chosen:
                kept = results.parts[name] = Kept()
            kept.summary, kept.absent = part.summary, part.absent()
            kept.planned = part.pieces()
            kept.judged = part.judge({piece: each["counts"] for piece, each in kept.pieces.items()})
            if kept.absent and name in names:
                kept.error = kept.absent
        results.save()
        present = {name: part for name, part in chosen.items() if not results.parts[name].absent}
        step = Pieces()
        try:
            with shown(step):
                do_all(present, results, step, end)
        finally:
            results.save()
            print("\n".join(summary(chosen, results)))
            kept_parts = [results.parts[name] for name in chosen]
            done, planned = (sum(values) for values in zip(
                *((part.done, len(part.planned)) for part in kept_parts if not part.absent), strict=True
            )) if present else (0, 0)  # fmt: skip
            failed = sum(len(part.failures) for part in kept_parts)
            left = f"{planned - done} left" if planned > done else "nothing left"
            print(
                f"vmi test --long: {done} of {planned} pieces done, {failed} failed, {left} "
                f"in {time.monotonic() - step.started:.0f} s; all results: {figure.log_path(DOCUMENT)}"
            )
    return 1 if failed else 0
