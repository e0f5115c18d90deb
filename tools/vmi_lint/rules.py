# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What to look for and what to use instead, as the specification says it.

The resolved model of the generator (`model.json`) is read where it is named; else the specification itself.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmigen.cli import PROJECT, load
from vmigen.model import Spec
from vmigen.problems import Problems, reason
from vmigen.render import architectures

from .problems import InputError

SPECIFICATION = PROJECT / "spec" / "vmi.yaml"
# The one class whose instructions are right as they are where the selector is (codegen/README.md).
SELECTOR = "selector"
UNKNOWN = "unknown"
HINT = "hint"
BELOW_STACK = "stack"
CLASSES = {
    "privileged": "faults outside ring 0",
    "io": "faults where the ring is above IOPL",
    "sensitive": "does not fault, and shows or depends on what only the hypervisor knows",
    SELECTOR: "is right where the selector is one of the kernel's own ring",
    UNKNOWN: "was not looked at",
    HINT: "may be one that a hypervisor must know of",
    BELOW_STACK: "is lost at the next interrupt or call of the library",
}


@dataclass(frozen=True)
class Rule:
    """One instruction: its class, what it does, what to use instead and where that is written."""

    name: str
    kind: str
    summary: str
    calls: tuple[tuple[str, str], ...]
    instead: str | None
    source: str

    @property
    def id(self) -> str:
        """The name as an identifier: `mov-to-cr3`."""
        return re.sub(r"[^a-z0-9]+", "-", self.name)

    @property
    def level(self) -> str:
        """How much it matters, in SARIF's words."""
        return {SELECTOR: "note", HINT: "warning"}.get(self.kind, "error")

    @property
    def advice(self) -> str:
        """What to use instead: `use vmi_set_cr3 (SetCR3)`."""
        if self.calls:
            when = "if a hypervisor knows of it already, " if self.kind == HINT else ""
            return when + "use " + " or ".join(f"{symbol} ({name})" for name, symbol in self.calls)
        if self.kind == BELOW_STACK and self.instead:
            return self.instead
        return f"no call: {self.instead or 'not on this architecture'}"


UNDECODED = Rule(
    "unknown",
    UNKNOWN,
    "Bytes of a function that were not decoded.",
    (),
    "look at them by hand, and allow them ('unknown') if there is nothing",
    "Capstone and tools/vmi_lint/newer.py",
)
RED_ZONE = Rule(
    "red zone",
    BELOW_STACK,
    "A function keeps data below the stack pointer.",
    (),
    "compile with -mno-red-zone: an interrupt or a call of the library overwrites what is there",
    'System V ABI, AMD64 supplement, "The Stack Frame"',
)
NOT_INSTRUCTIONS = (UNDECODED, RED_ZONE)
"""Findings that no instruction of the specification stands for."""
ENTERING = frozenset(("int", "int3", "into", "syscall", "sysenter"))
"""By these a user program enters the kernel: right in the one, wrong in the other."""


@dataclass(frozen=True)
class Rules:
    """All rules by the instruction's name, and the version of the interface that they are of."""

    version: str
    by_name: dict[str, Rule]
    calls: dict[str, str]
    """C name by name of the call."""


def read(model: Path | None) -> Rules:
    """The rules of a model, or of the specification."""
    return _of_model(model) if model else _of_specification()


def _of_model(path: Path) -> Rules:
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))["spec"]
        calls = [(call["name"], call["c_name"], call["instructions"]) for call in spec["calls"]]
        return _rules(f"{spec['major']}.{spec['minor']}", calls, spec["instructions"])
    except OSError as error:
        raise InputError(f"{path}: cannot read the model ({reason(error)})") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: not a model; expected the generator's model.json") from None


@functools.cache
def _of_specification() -> Rules:
    calls: dict[str, tuple[str, str, Any]] = {}
    # Instructions are the same for all architectures; some calls are for one of them.
    for arch in architectures():
        problems = Problems()
        loaded = load(SPECIFICATION, [], arch, problems)
        if problems or loaded is None:
            raise InputError(str(problems))
        spec: Spec = loaded.model.spec
        calls |= {call.name: (call.name, call.c_name, call.instructions) for call in spec.calls}
    return _rules(
        f"{spec.major}.{spec.minor}", list(calls.values()), [vars(entry) for entry in spec.instructions]
    )


def _rules(version: str, calls: list[tuple[str, str, Any]], instructions: list[dict[str, Any]]) -> Rules:
    found = {}
    for entry in instructions:
        name = entry["name"]
        stand_in = tuple((call, symbol) for call, symbol, names in calls if name in names)
        found[name] = Rule(name, entry["kind"], entry["summary"], stand_in, entry["instead"], entry["source"])
    return Rules(version, found, {call: symbol for call, symbol, _ in calls})
