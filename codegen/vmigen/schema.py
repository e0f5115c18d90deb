# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Checks a document against its JSON Schema and says what is wrong in words.

What a schema cannot say (references between parts, ordinals, registers) is in `rules`. Parts that the schema refused are
taken out of the document before the rules see it, so that one run tells both kinds of problem without telling one twice.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema

from .document import Map, Seq, describe
from .problems import Place, Problems, Stop, reason

_TYPES = {"string": "a text", "integer": "a whole number", "object": "a mapping", "array": "a list", "boolean": "true or false"}


def load_schema(path: Path) -> dict[str, Any]:
    """The schema in the file."""
    try:
        schema = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Stop(f"{path}:1:1: error: cannot read the schema ({reason(error)}); expected the project's spec folder; "
                   "restore the file") from None
    except ValueError as error:
        raise Stop(f"{path}:1:1: error: the schema is not JSON ({error}); expected JSON Schema; restore the file") from None
    if not isinstance(schema, dict):
        raise Stop(f"{path}:1:1: error: the schema is not an object; expected JSON Schema; restore the file")
    return schema


def check(document: Map, schema: dict[str, Any], problems: Problems) -> list[tuple[str | int, ...]]:
    """Notes every violation; returns the paths of the refused parts."""
    bad: list[tuple[str | int, ...]] = []
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        path = tuple(error.absolute_path)
        bad.append(path)
        _explain(document, path, error, problems)
    return bad


def prune(document: Map, bad: Iterable[tuple[str | int, ...]]) -> set[str]:
    """Takes the refused parts out; returns the top-level sections that lost something.

    An entry of a list (a call, a type) or of a mapping (an architecture, a backend's call) goes as a whole.
    """
    lost: set[str] = set()
    items: dict[str, set[int]] = {}
    for path in bad:
        if not path or not isinstance(path[0], str):
            lost.add("")
            continue
        section = path[0]
        lost.add(section)
        content = document.get(section)
        if len(path) > 1 and isinstance(content, Seq) and isinstance(path[1], int):
            items.setdefault(section, set()).add(path[1])
        elif len(path) > 1 and isinstance(content, Map) and section != "api":
            content.pop(str(path[1]), None)
        else:
            document.pop(section, None)
    for section, indices in items.items():
        content = document.get(section)
        if isinstance(content, Seq):
            keep = [i for i in range(len(content)) if i not in indices]
            values, places = [content[i] for i in keep], [content.places[i] for i in keep]
            content[:], content.places[:] = values, places
    return lost


def _place(document: Map, path: tuple[str | int, ...]) -> Place:
    node: Any = document
    place = document.place
    for key in path:
        if isinstance(node, Map):
            place = node.place_of(str(key))
            node = node.get(str(key))
        elif isinstance(node, Seq) and isinstance(key, int):
            place = node.place_of(key)
            node = node[key]
    return place


def _where(document: Map, path: tuple[str | int, ...]) -> str:
    """What the path leads to, in words: `call 'SetCR3'`."""
    node: Any = document
    best = ""
    for depth, key in enumerate(path):
        if not isinstance(node, (Map, Seq)):
            break
        node = node[key]    # type: ignore[call-overload]
        if isinstance(node, Map) and isinstance(node.get("name"), str) and depth <= 1:
            best = f" in '{node['name']}'"
        elif depth == 1 and isinstance(key, str):
            best = f" in '{key}'"
    return best


def _near(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(words), 1)
    return f"'{close[0]}'" if close else ""


def _explain(document: Map, path: tuple[str | int, ...], error: Any, problems: Problems) -> None:
    place = _place(document, path)
    where = _where(document, path)
    rule: str = error.validator
    value: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    description = schema.get("description") if isinstance(schema, dict) else None
    name = f"'{path[-1]}' is" if path and isinstance(path[-1], str) else "found"
    if rule == "required":
        missing = re.match(r"'([^']*)'", error.message)
        key = missing.group(1) if missing else "?"
        problems.add(place, f"key '{key}' is missing{where}", f"expected {_of(schema['properties'].get(key, {}))}", f"add `{key}: …`")
    elif rule == "additionalProperties":
        known = schema.get("properties", {})
        node = _node(document, path)
        for key in value:
            if key in known:
                continue
            at = node.key_place(key) if isinstance(node, Map) else place
            near = _near(key, known)
            problems.add(at, f"unknown key '{key}'{where}", f"expected one of {', '.join(known)}",
                         f"write {near} if that was meant, or remove it" if near else "remove it or correct its spelling")
    elif rule == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        expected = description or " or ".join(_TYPES.get(t, t) for t in types)
        mend = "put it in quotes" if "string" in types and isinstance(value, (int, float)) else "change the value"
        problems.add(place, f"{name} {describe(value)}{where}", f"expected {expected}", mend)
    elif rule == "enum":
        near = _near(value, [w for w in wanted if isinstance(w, str)]) if isinstance(value, str) else ""
        problems.add(place, f"{name} {describe(value)}{where}", f"expected {' or '.join(str(w) for w in wanted)}",
                     f"write {near} if that was meant" if near else "change the value")
    elif rule == "const":
        problems.add(place, f"{name} {describe(value)}{where}", f"expected {describe(wanted)}", "write that or remove the key")
    elif rule in ("minItems", "minProperties"):
        problems.add(place, f"{name} shorter than {wanted}{where}", f"expected at least {wanted}", "add an entry or remove the key")
    elif rule == "maxItems":
        problems.add(place, f"{name} a list of {len(value)}{where}", f"expected at most {wanted}", "remove the rest")
    elif rule == "not":
        problems.add(place, f"both 'result' and 'results'{where}", "expected one of them",
                     "use 'results' only for a call with several")
    else:
        problems.add(place, f"{name} {describe(value)}{where}", f"expected {description or error.message}", "change the value")


def _node(document: Map, path: tuple[str | int, ...]) -> Any:
    node: Any = document
    for key in path:
        node = node[key]
    return node


def _of(schema: Any) -> str:
    if isinstance(schema, dict):
        if "description" in schema:
            return str(schema["description"])
        if "$ref" in schema:
            return {"text": "a text", "line": "one line of text", "version": 'a version in quotes, as in "3.0"'}.get(
                str(schema["$ref"]).rpartition("/")[2], str(schema["$ref"]).rpartition("/")[2].replace("_", " "))
        kind = schema.get("type")
        return _TYPES.get(kind, "it") if isinstance(kind, str) else "it"
    return "it"
