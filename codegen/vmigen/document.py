# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""YAML with places: mappings, sequences and scalars that know their line and column.

The events of ruamel.yaml's parser are composed here rather than by its round-trip loader, because its parser
in C (ruamel.yaml.clib, used when installed) is some forty times as fast and gives events with the same marks.
The subset read is what the two formats need: one document of mappings, sequences and scalars of YAML 1.2's
core schema; no anchors, aliases, tags or merges, so that a value always stands where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from . import files
from .problems import Place, Problems, reason

DEPTH = 32
"""Deepest nesting that is read; the formats need seven levels."""

_INTEGER = re.compile(r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}


class Map(dict[str, Any]):
    """A mapping; `place_of(key)` is the place of a value, `key_place(key)` that of the key."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.key_places: dict[str, Place] = {}
        self.places: dict[str, Place] = {}

    def place_of(self, key: str) -> Place:
        """The place of the value at `key`; of the mapping itself where there is none."""
        return self.places.get(key, self.place)

    def key_place(self, key: str) -> Place:
        """The place of `key` itself; of the mapping where there is none."""
        return self.key_places.get(key, self.place)


class Seq(list[Any]):
    """A sequence; `place_of(index)` is the place of an item."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.places: list[Place] = []

    def place_of(self, index: int) -> Place:
        """The place of the item at `index`."""
        return self.places[index] if index < len(self.places) else self.place


class _Refused(Exception):
    def __init__(self, place: Place, found: str, expected: str, mend: str) -> None:
        super().__init__(found)
        self.parts = (place, found, expected, mend)


def load(path: Path, problems: Problems) -> Map | None:
    """The mapping in the file, or None with the problems noted."""
    try:
        data = files.read(path)
    except OSError as error:
        problems.add(
            Place(str(path)),
            f"cannot read the file ({reason(error)})",
            "expected a readable YAML file",
            "correct the path or its permissions",
        )
        return None
    return parse(str(path), data, problems)


def parse(name: str, data: bytes, problems: Problems) -> Map | None:
    """The mapping in the bytes; `name` is what places call them."""
    text = _decode(data, name, problems)
    if text is None:
        return None
    yaml = YAML(typ="safe")
    try:
        document = _Composer(yaml.parse(text), name, problems).document()
    except _Refused as refused:
        problems.add(*refused.parts)
        return None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        what = " ".join(str(error.problem or error.context or "not understood").split())
        problems.add(
            place,
            f"not valid YAML: {what}",
            "expected YAML 1.2",
            "look at indentation, quotes and brackets here and just before",
        )
        return None
    except YAMLError as error:
        problems.add(
            Place(name),
            f"not valid YAML: {str(error).splitlines()[0]}",
            "expected YAML 1.2",
            "look at the characters of the file",
        )
        return None
    if not isinstance(document, Map):
        problems.add(
            Place(name, 1, 1),
            f"the file holds {describe(document)}",
            "expected a mapping of keys to values",
            "see codegen/README.md for the format",
        )
        return None
    return document


def _decode(data: bytes, name: str, problems: Problems) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place, found = files.not_utf8(name, error)
        problems.add(place, found, "expected a text file in UTF-8", "save the file as UTF-8")
        return None
    text = text.removeprefix("\ufeff")
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        column = control.start() - (text.rfind("\n", 0, control.start()) + 1) + 1
        problems.add(
            Place(name, line, column),
            f"character U+{ord(control.group()):04X} is not text",
            "expected a text file",
            "remove the character, or name the right file",
        )
        return None
    if not text.strip():
        problems.add(
            Place(name, 1, 1),
            "the file is empty",
            "expected a mapping of keys to values",
            "see codegen/README.md for the format",
        )
        return None
    return text


def describe(value: object) -> str:
    """A value in words, for messages."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:37] + '...'}'"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "something else"


def scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2 (`010` is ten, `yes` is a text)."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > 40:  # far beyond any value of the formats; and int() refuses very long ones
            return float("inf")
        return int(text, 0 if text[:2] in ("0x", "0o") else 10)
    if _FLOAT.fullmatch(text):
        return float(
            text.replace(".inf", "inf")
            .replace(".Inf", "inf")
            .replace(".INF", "inf")
            .replace(".nan", "nan")
            .replace(".NaN", "nan")
            .replace(".NAN", "nan")
        )
    return text


class _Composer:
    """Builds the document from parser events."""

    def __init__(self, events: Iterator[Any], name: str, problems: Problems) -> None:
        self._events = events
        self._name = name
        self._problems = problems

    def document(self) -> Any:
        root: Any = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        self._place(event),
                        "a second document begins",
                        "expected one document per file",
                        "remove the `---` line",
                    )
            elif isinstance(event, (ScalarEvent, MappingStartEvent, SequenceStartEvent, AliasEvent)):
                root = self._node(event, 0)
        return root

    def _place(self, event: Any) -> Place:
        return Place(self._name, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any, depth: int) -> Any:
        place = self._place(event)
        if isinstance(event, AliasEvent) or event.anchor:
            raise _Refused(
                place,
                f"anchor or alias '{event.anchor}'",
                "the format has none",
                "write the value out where it is used",
            )
        if event.ctag is not None if hasattr(event, "ctag") else event.tag is not None:
            raise _Refused(place, "a tag (!)", "the format has none", "write the plain value")
        if depth > DEPTH:
            raise _Refused(
                place,
                f"nested more than {DEPTH} levels deep",
                "expected the format of codegen/README.md",
                "look for an unclosed bracket",
            )
        if isinstance(event, ScalarEvent):
            plain = event.implicit[0] if event.style in (None, "") else False
            return scalar(event.value) if plain else event.value
        if isinstance(event, SequenceStartEvent):
            return self._sequence(place, depth)
        return self._mapping(place, depth)

    def _sequence(self, place: Place, depth: int) -> Seq:
        result = Seq(place)
        while not isinstance(event := next(self._events), SequenceEndEvent):
            result.places.append(self._place(event))
            result.append(self._node(event, depth + 1))
        return result

    def _mapping(self, place: Place, depth: int) -> Map:
        result = Map(place)
        while not isinstance(event := next(self._events), MappingEndEvent):
            at = self._place(event)
            if not isinstance(event, ScalarEvent):
                raise _Refused(
                    at,
                    "a key that is not a plain text",
                    "expected `key: value`",
                    "quote the text if it begins with a bracket",
                )
            self._node(event, depth + 1)
            key = event.value
            value_event = next(self._events)
            value_place = self._place(value_event)
            value = self._node(value_event, depth + 1)
            if key in result:
                self._problems.add(
                    at,
                    f"key '{key}' is given twice (first on line {result.key_places[key].line})",
                    "expected each key once",
                    "remove one of the two",
                )
                continue
            result[key] = value
            result.key_places[key] = at
            result.places[key] = value_place
        return result
