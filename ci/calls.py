# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Calls of the interface in words: arguments by name, flags and errors by theirs, as the specification has
them (the generator's model.json)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .ring import Call, Entry, Listed, Shape
from .util import UserError

SMALL = 1 << 10
"""Counts and the like are written in base 16 from here on; addresses, frames and registers always are."""
_NUMBER = re.compile(r"[us]\d+")
"""Types of counts and the like."""

Values = dict[str, tuple[int, str]]
"""By name, numbers and how they are written."""


class Interface:
    """The specification, of one architecture, with the hypercalls of a backend."""

    def __init__(self, spec: Mapping[str, Any], hypercalls: Sequence[Mapping[str, Any]] = ()) -> None:
        self.calls: dict[int, dict[str, Any]] = {each["ordinal"]: each for each in spec["calls"]}
        self._constants = {each["name"]: each for each in spec["constants"]}
        self._types = {each["name"]: each for each in spec["types"]}
        self.word_bits: int = spec["architecture"]["word_bits"]
        self.hypercalls = {each["number"]: each for each in hypercalls}

    @classmethod
    def built(cls, tree: Path, backend: str = "") -> Interface:
        """That of a build tree."""
        model = json.loads((tree / "include/vmi/model.json").read_text())
        known = {each["name"]: each["hypercalls"] for each in model["backends"]}
        return cls(model["spec"], known.get(backend, ()))

    @property
    def shapes(self) -> dict[int, Shape]:
        """Of each call, by its ordinal."""
        return {
            ordinal: Shape(call["stack"], call["convention"] == "jump")
            for ordinal, call in self.calls.items()
        }

    def name(self, ordinal: int) -> str:
        """Of a call, or `call_N` of one that the specification does not have."""
        return str(self.calls[ordinal]["name"]) if ordinal in self.calls else f"call_{ordinal}"

    def arguments(self, ordinal: int, words: Sequence[int]) -> Values:
        """Of a call whose record has these words."""
        call = self.calls.get(ordinal)
        return self._values(call["arguments"], words) if call else {}

    def results(self, ordinal: int, words: Sequence[int]) -> Values:
        """Likewise; the only result is called `result`."""
        call = self.calls.get(ordinal)
        if not call:
            return {}
        return self._values([*([call["result"]] if call["result"] else []), *call["results"]], words)

    def hypercall(self, number: int) -> str:
        """Name of a hypercall, or `hypercall_N` of one that the backend does not have."""
        return str(self.hypercalls[number]["name"]) if number in self.hypercalls else f"hypercall_{number}"

    def words(self, each: Entry | Listed) -> tuple[str, Values, Values]:
        """Name, arguments and results of what was called; of an element of a list what it has."""
        if isinstance(each, Call):
            return (
                self.name(each.ordinal),
                self.arguments(each.ordinal, each.arguments),
                self.results(each.ordinal, each.results),
            )
        name, table = self.hypercall(each.number), self.hypercalls.get(each.number)
        if not table:
            return name, {}, self._answer(each.result)
        element = isinstance(each, Listed) and each.element
        listed = [
            {
                "registers": [""],
                **argument,
                "type": self._types[argument["type"]],
                "constants": [],
                "unit": None,
            }
            for argument in table["elements" if element else "arguments"]
        ]
        return name, self._values(listed, each.arguments), self._answer(each.result)

    def _answer(self, word: int | None) -> Values:
        """A hypercall's result is a word with a sign."""
        if word is None:
            return {}
        value = word - (1 << self.word_bits) if word >> self.word_bits - 1 else word
        return {"result": (value, str(value) if abs(value) < SMALL else f"{value:#x}")}

    def _values(self, listed: Sequence[Mapping[str, Any]], words: Sequence[int]) -> Values:
        found = {}
        at = 0
        for each in listed:
            count = len(each["registers"])
            if at + count > len(words):
                break  # a record with fewer words than its call has
            bits = each["type"]["bits"] // count
            value = sum((words[at + i] & (1 << bits) - 1) << bits * i for i in range(count))
            at += count
            if each["type"]["c"].startswith("int") and value >> each["type"]["bits"] - 1:
                value -= 1 << each["type"]["bits"]
            found[each["name"]] = value, self._text(each, value)
        return found

    def _text(self, each: Mapping[str, Any], value: int) -> str:
        if value < 0:
            return self._named("error", value) or str(value)
        if each["constants"]:
            return self._constant(each["constants"], value, each["type"]["bits"])
        small = value < SMALL and _NUMBER.fullmatch(each["type"]["name"])
        return str(value) if small or each["unit"] else f"{value:#x}"

    def _named(self, group: str, value: int, bits: int = 64) -> str:
        """The value of a group that is this number."""
        for each in self._constants[group]["values"]:
            if (each["value"] - value) % (1 << bits) == 0:
                return str(each["c_name"])
        return ""

    def _constant(self, groups: Sequence[str], value: int, bits: int) -> str:
        """Flags first, then what is left as one of a list."""
        parts, rest = [], value
        for group in groups:
            if self._constants[group]["kind"] == "flags":
                for each in self._constants[group]["values"]:
                    if each["value"] and rest & each["value"] == each["value"]:
                        parts.append(str(each["c_name"]))
                        rest &= ~each["value"]
        if rest or not parts:
            lists = [group for group in groups if self._constants[group]["kind"] != "flags"]
            name = next(filter(None, (self._named(group, rest, bits) for group in lists)), "")
            parts.append(name or (f"{rest:#x}" if rest >= SMALL else str(rest)))
        return "|".join(parts)


def chosen(interface: Interface, patterns: Sequence[str]) -> set[int]:
    """Ordinals of the calls whose names match one of the patterns, all without any; UserError for a pattern
    that none matches."""
    found: set[int] = set()
    for pattern in patterns:
        matching = {n for n, call in interface.calls.items() if fnmatchcase(call["name"], pattern)}
        if not matching:
            raise UserError(
                f"--calls {pattern}: no call of the interface has such a name; docs/reference/ lists them", 2
            )
        found |= matching
    return found if patterns else set(interface.calls)
