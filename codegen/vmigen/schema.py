# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Checks a document against its JSON Schema and says what is wrong in words.

What a schema cannot say (references between parts, ordinals, registers) is in `rules`. Parts that the schema
refused are taken out of the document before the rules see it, so that one run tells both kinds of problem
without telling one twice.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jsonschema

from . import files
from .document import Map, Seq, describe
from .problems import Place, Problems, Stop, reason

_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
}


def load_schema(path: Path) -> dict[str, Any]:
    """The schema in the file."""
    try:
        schema = json.loads(files.text(path))
    except OSError as error:
        raise Stop(
            f"{path}:1:1: error: cannot read the schema ({reason(error)}); expected the spec folder; "
            "restore the file"
        ) from None
    except ValueError as error:
        raise Stop(
            f"{path}:1:1: error: the schema is not JSON ({error}); expected JSON Schema; restore the file"
        ) from None
    if not isinstance(schema, dict):
        raise Stop(f"{path}:1:1: error: the schema is not an object; expected JSON Schema; restore the file")
    definitions = schema.pop("$defs", {})
    return dict(_inline(schema, definitions))


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with each reference replaced by what it refers to: lookups take half of the checking.

    What stands beside a reference (a description) goes before what the definition says.
    """
    if isinstance(schema, list):
        return [_inline(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _inline(part, definitions) for key, part in schema.items() if key != "$ref"}
    if "$ref" not in schema:
        return parts
    return _inline(definitions[schema["$ref"].removeprefix("#/$defs/")], definitions) | parts


def _is_integer(_: jsonschema.TypeChecker, value: object) -> bool:
    """JSON Schema calls 39.0 an integer; for YAML and for this generator it is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _enum(_: Any, listed: list[Any], value: object, schema: object) -> Iterable[jsonschema.ValidationError]:
    if not any(type(value) is type(each) and value == each for each in listed):
        yield jsonschema.ValidationError(f"not one of {listed}")


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"enum": _enum},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def check(document: Map, schema: dict[str, Any], problems: Problems) -> list[tuple[str | int, ...]]:
    """Notes every violation; returns the paths of the refused parts."""
    bad: list[tuple[str | int, ...]] = []
    for error in _Validator(schema).iter_errors(document):
        path = tuple(error.absolute_path)
        bad.append(path)
        _explain(document, path, error, problems)
    return bad


def prune(document: Map, bad: Iterable[tuple[str | int, ...]]) -> set[str]:
    """Takes the refused parts out; returns the top-level sections that lost something.

    An entry of a list (a call, a type, a hypercall) or of the mappings `architectures` and `calls` goes by
    itself; any other part goes with its whole section. The empty name stands for the document as a whole.
    """
    lost: set[str] = set()
    items: dict[int, tuple[Seq, set[int]]] = {}
    for path in bad:
        section = str(path[0]) if path else ""
        lost.add(section)
        content = document.get(section)
        if isinstance(content, Map) and path[1:2] == ("calls",) and isinstance(content.get("calls"), Seq):
            content, path = content["calls"], path[1:]
        if isinstance(content, Seq) and len(path) > 1 and isinstance(path[1], int):
            items.setdefault(id(content), (content, set()))[1].add(path[1])
        elif isinstance(content, Map) and len(path) > 1 and section in ("architectures", "calls"):
            content.pop(str(path[1]), None)
        else:
            document.pop(section, None)
    for sequence, indices in items.values():
        keep = [i for i in range(len(sequence)) if i not in indices]
        values, places = [sequence[i] for i in keep], [sequence.places[i] for i in keep]
        sequence[:], sequence.places[:] = values, places
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
    """The entry (call, type, hypercall, …) that holds what the path leads to, in words: ` in 'SetCR3'`."""
    found = ""
    for length in range(2, min(len(path), 4)):
        entry = _node(document, path[:length])
        if isinstance(entry, Map) and isinstance(entry.get("name"), str):
            found = f" in '{entry['name']}'"
        elif length == 2 and isinstance(path[1], str):
            found = f" in '{path[1]}'"
    return found


def _near(word: str, words: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(words), 1) if len(word) <= 100 else []
    return f"'{close[0]}'" if close else ""


def _explain(document: Map, path: tuple[str | int, ...], error: Any, problems: Problems) -> None:
    place = _place(document, path)
    rule: str = error.validator
    of_keys = rule in ("required", "additionalProperties", "not")
    where = _where(document, (*path, "") if of_keys else path)
    value: Any = error.instance
    wanted: Any = error.validator_value
    schema: Any = error.schema
    description = schema.get("description") if isinstance(schema, dict) else None
    name = f"'{path[-1]}' is" if path and isinstance(path[-1], str) else "found"
    if rule == "required":
        missing = re.match(r"'([^']*)'", error.message)
        key = missing.group(1) if missing else "?"
        problems.add(
            place,
            f"key '{key}' is missing{where}",
            f"expected {_meaning(schema['properties'].get(key))}",
            f"add `{key}: …`",
        )
    elif rule == "additionalProperties":
        known = schema.get("properties", {})
        node = _node(document, path)
        for key in value:
            if key in known:
                continue
            at = node.key_place(key) if isinstance(node, Map) else place
            # A hint takes its time: only for those that are shown.
            near = "" if problems.many else _near(key, known)
            problems.add(
                at,
                f"unknown key '{key}'{where}",
                f"expected one of {', '.join(known)}",
                f"write {near} if that was meant, or remove it"
                if near
                else "remove it or correct its spelling",
            )
    elif rule == "type":
        types = [wanted] if isinstance(wanted, str) else wanted
        expected = description or " or ".join(_TYPES.get(t, t) for t in types)
        if types == ["object"] and description:
            expected = f"a mapping ({description})"
        mend = (
            "put it in quotes"
            if "string" in types and isinstance(value, (int, float))
            else "change the value"
        )
        problems.add(place, f"{name} {describe(value)}{where}", f"expected {expected}", mend)
    elif rule == "enum":
        near = _near(value, [w for w in wanted if isinstance(w, str)]) if isinstance(value, str) else ""
        problems.add(
            place,
            f"{name} {describe(value)}{where}",
            f"expected {description or ' or '.join(str(w) for w in wanted)}",
            f"write {near} if that was meant" if near else "change the value",
        )
    elif rule == "const":
        problems.add(
            place,
            f"{name} {describe(value)}{where}",
            f"expected {describe(wanted)}",
            "write that or remove the key",
        )
    elif rule in ("minItems", "minProperties"):
        problems.add(
            place,
            f"{name} shorter than {wanted}{where}",
            f"expected at least {wanted}",
            "add an entry or remove the key",
        )
    elif rule == "maxItems":
        problems.add(
            place, f"{name} a list of {len(value)}{where}", f"expected at most {wanted}", "remove the rest"
        )
    elif rule == "uniqueItems":
        twice = next(each for i, each in enumerate(value) if each in value[:i])
        where_listed = value.place_of(list(value).index(twice)) if isinstance(value, Seq) else place
        problems.add(
            place,
            f"'{twice}' is named twice{where} (first on line {where_listed.line})",
            "expected each once",
            "remove one",
        )
    elif rule == "not":
        problems.add(
            place,
            f"both 'result' and 'results'{where}",
            "expected one of them",
            "use 'results' only for a call with several",
        )
    else:
        problems.add(
            place,
            f"{name} {describe(value)}{where}",
            f"expected {description or error.message}",
            "change the value",
        )


def _node(document: Map, path: tuple[str | int, ...]) -> Any:
    node: Any = document
    for key in path:
        node = node[key]
    return node


def _meaning(schema: Any) -> str:
    """What a schema expects, in words."""
    if not isinstance(schema, dict):
        return "it"
    return str(schema.get("description") or _TYPES.get(str(schema.get("type")), "it"))
