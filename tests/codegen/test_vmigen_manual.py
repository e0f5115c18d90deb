# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The manual and the schemas say the same: each key that may be written is shown in codegen/README.md."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from vmigen_runs import PROJECT

SCHEMAS = ("vmi.schema.json", "backend.schema.json")


def keys(schema: Any) -> set[str]:
    """Every key that a schema knows."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", {}))
        for part in schema.values():
            found |= keys(part)
    elif isinstance(schema, list):
        for part in schema:
            found |= keys(part)
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_in_the_manual(name: str) -> None:
    manual = (PROJECT / "codegen/README.md").read_text()
    schema = json.loads((PROJECT / "spec" / name).read_text())
    assert len(keys(schema)) > 10
    assert {key for key in keys(schema) if f"{key}:" not in manual} == set()


def closed(schema: Any) -> bool:
    """Whether each object names its keys, or says what its values are."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "additionalProperties" not in schema:
            return False
        return all(closed(part) for part in schema.values())
    return all(closed(part) for part in schema) if isinstance(schema, list) else True


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid_and_strict(name: str) -> None:
    schema = json.loads((PROJECT / "spec" / name).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert closed(schema)
    assert not closed({"type": "object", "properties": {}})


def test_files_name_their_schema_in_the_first_line() -> None:
    files = [PROJECT / "spec/vmi.yaml", *sorted((PROJECT / "backends").glob("*/backend.yaml"))]
    for file in files:
        first = file.read_text().splitlines()[0]
        prefix = "# yaml-language-server: $schema="
        assert first.startswith(prefix), file
        assert (file.parent / first.removeprefix(prefix)).resolve().parent == PROJECT / "spec", file
        assert (file.parent / first.removeprefix(prefix)).is_file(), file
