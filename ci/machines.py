# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What ran where: a record for each machine, CPU model, firmware and architecture that was booted.

Tests write records, of the ordinary tier and of the long one; `./vmi report` shows them as a matrix. They are
in results/machines.json, one for each cell, the newest:

    {"schema": 1, "boots": [{
      "machine": "pc", "cpu": "pentium3", "firmware": "SeaBIOS", "architecture": "i386",
      "verdict": "runs", "words": "52 checks, 9 skipped", "where": "QEMU 7.2.0, TCG",
      "date": "2026-01-31 12:00 UTC", "tier": "ordinary"}]}

A whole run of `./vmi test` forgets the ordinary tier's at its beginning, so that each cell is of that run
or a later one, or of the long tier.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from . import ktap, versions
from .rig import STATUS, Outcome
from .util import ARCHITECTURES, RESULTS, locked, remembered, write_if_changed

SCHEMA = 1
DOCUMENT = RESULTS / "machines.json"

VERDICTS = ("runs", "refuses", "fails", "absent")
"""All its checks passed; it said why it cannot run, and ended so; neither; there is no such machine here."""
TIERS = ("ordinary", "long")

CANNOT_RUN = "vmi: cannot run: "
"""How a library's last words begin (runtime/start.c)."""


def now() -> str:
    """This minute, in UTC."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


@functools.cache
def qemu(accelerator: str = "TCG") -> str:
    """Where a boot was, if it was in the QEMU of this machine."""
    version = re.search(r"version (\S+)", versions.first_line("qemu-system-x86_64", "--version"))
    return f"QEMU {version[1] if version else '(of unknown version)'}, {accelerator}"


@dataclass(frozen=True)
class Boot:
    """One cell of the matrix."""

    machine: str
    """As its player names it, with what makes it another one: `pc`, `microvm, without pit`, `pc, 8 GiB`."""
    cpu: str
    """The CPU model, as its player names it."""
    firmware: str
    """And the loader, if it is not the player's own: `SeaBIOS`, `OVMF, GRUB`."""
    architecture: str
    """Of the kernel."""
    verdict: str
    """One of VERDICTS."""
    words: str
    """What was checked, why the kernel refuses, what failed, or why there is no such machine."""
    where: str
    """What played the machine, with its version."""
    date: str = field(default_factory=now)
    tier: str = "ordinary"
    """One of TIERS."""

    def __post_init__(self) -> None:
        for each in fields(self):
            if not isinstance(getattr(self, each.name), str):
                raise TypeError(f"{each.name}: expected text")
        for value, known in (
            (self.verdict, VERDICTS), (self.tier, TIERS), (self.architecture, ARCHITECTURES)
        ):  # fmt: skip
            if value not in known:
                raise ValueError(f"{value!r}: expected one of {', '.join(known)}")

    @property
    def cell(self) -> tuple[str, str, str, str]:
        return (self.machine, self.cpu, self.firmware, self.architecture)


def judge(console: str, status: int | None, silent: bool = False) -> tuple[str, str]:
    """Verdict and words of a boot, from its console and the exit status of its QEMU (`isa-debug-exit`; None
    if the deadline ended it). `silent` is a machine without a console, of which only the end can be
    seen."""
    end = STATUS.get(status >> 1, "") if status is not None and status & 1 else ""
    if silent and end in ("pass", "refused"):
        return ("runs" if end == "pass" else "refuses", "there is no console to say anything on")
    return verdict(console, end)


def verdict(console: str, end: str) -> tuple[str, str]:
    """The same, where how the kernel ended is known by its word (ci.rig.STATUS), or not known (empty)."""
    refused = re.search(rf"{re.escape(CANNOT_RUN)}(.*?)(?:; halted)?\r?$", console, re.MULTILINE)
    if end == "refused" and refused:
        return "refuses", refused[1]
    report = ktap.parse(console)
    failures = report.failures()
    passed, skipped = report.count("pass"), report.count("skip")
    if end == "pass" and not failures and passed:
        return "runs", f"{passed} checks" + (f", {skipped} skipped" if skipped else "")
    lines = [line for line in console.splitlines() if line.strip()]
    ended = f"ended with {end}" if end else "did not end by itself"
    panics = [line for line in lines if line.startswith("PANIC: ")]
    none = ["no check was made"] if report.started and not passed else []
    known = (panics, failures if report.started else [], none, lines[-1:], ["and said nothing"])
    said = next(filter(None, known))[0].strip()
    return "fails", f"{ended}; {said}"


def judged(outcome: Outcome) -> tuple[str, str]:
    """The same of a rig's guest, whose end names the word."""
    found = re.search(r"^exit status \S+ \((\w+)\)$", outcome.end)
    return verdict(outcome.console, found[1] if found else "")


def read(document: Mapping[str, Any]) -> list[Boot]:
    """The records of a document; one that is laid out otherwise raises KeyError, TypeError or ValueError."""
    if document.get("schema") != SCHEMA:
        raise ValueError(f"schema {document.get('schema')!r}: expected {SCHEMA}")
    return [Boot(**each) for each in document["boots"]]


def _kept(path: Path) -> list[Boot]:
    try:
        return read(remembered(path))
    except (AttributeError, KeyError, TypeError, ValueError):  # none, damaged, or of another version
        return []


def _write(path: Path, boots: Iterable[Boot]) -> None:
    rows = [asdict(boot) for boot in sorted(boots, key=lambda boot: boot.cell)]
    write_if_changed(path, json.dumps({"schema": SCHEMA, "boots": rows}, indent=1) + "\n")


def record(boot: Boot, path: Path = DOCUMENT) -> Boot:
    """Keep this boot as its cell's; safe between processes."""
    with locked(path.with_suffix(".lock")):
        _write(path, [*(each for each in _kept(path) if each.cell != boot.cell), boot])
    return boot


def note(
    machine: str, cpu: str, firmware: str, architecture: str, judgement: tuple[str, str], where: str = ""
) -> Boot:
    """Keep a boot of the ordinary tier, of such a verdict and words; in the QEMU of this machine, if nothing
    else is said."""
    return record(Boot(machine, cpu, firmware, architecture, *judgement, where or qemu()))


def forget(tier: str, path: Path = DOCUMENT) -> None:
    """Drop that tier's records."""
    with locked(path.with_suffix(".lock")):
        if path.exists():
            _write(path, [each for each in _kept(path) if each.tier != tier])
