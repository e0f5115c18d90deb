# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The part of `diff` that is about backends: what each one does of the interface, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import document as yaml
from . import schema
from .backends import BackendRules, BackendSource
from .document import Map, Seq
from .model import Backend, Kind, Spec
from .problems import Place, Problems

Found = Iterator[tuple[str, str, str, Place, str | None]]
"""Rule, subject, text, place and architecture of each change; no architecture where it is about all."""


@dataclass(frozen=True)
class Backends:
    """The backends of one side, checked and resolved for each supported architecture."""

    documents: dict[str, Map] = field(default_factory=dict)
    resolved: dict[str, dict[str, Backend]] = field(default_factory=dict)
    """By architecture, then by name."""

    def place(self, backend: Backend, call: str) -> Place:
        """Where it is said how the backend does the call: in its own file, or in that which it inherits
        from."""
        for name in (backend.name, backend.ways[call].origin):
            calls = self.documents[name].get("calls")
            if isinstance(calls, Map) and call in calls:
                return calls.place_of(call)
        return self.documents[backend.name].place_of("inherits")


def read(
    files: dict[str, bytes],
    specs: dict[str, tuple[Spec, set[str]]],
    architectures: set[str],
    backend_schema: dict[str, Any],
    problems: Problems,
) -> Backends:
    """The backends in these files (`…/NAME/backend.yaml`); `specs` has the resolved specification and the
    names of its calls by architecture."""
    sources = []
    for path, data in files.items():
        document = yaml.parse(path, data, problems)
        if document is not None and not schema.check(document, backend_schema, problems):
            sources.append(BackendSource(Path(path).parent, document))
    made = Backends({source.name: source.document for source in sources})
    if problems:
        return made
    for name, (spec, calls) in specs.items():
        listed = [source for source in sources if name in source.document["architectures"]]
        rules = BackendRules(listed, spec, calls, set(), architectures, problems)
        made.resolved[name] = {backend.name: backend for backend in rules.resolve()}
    return made


def compare(old: Backends, new: Backends, calls: dict[str, str]) -> Found:
    """All changes; `calls` has the calls that both sides have: the old name and the new one."""
    for name, document in old.documents.items():
        if name not in new.documents:
            yield "backend-removed", name, "is gone", document.place_of("name"), None
    for name, document in new.documents.items():
        if name not in old.documents:
            yield "backend-added", name, "is new", document.place_of("name"), None
        else:
            yield from _document(name, old.documents[name], document)
    for arch in old.resolved:
        if arch not in new.resolved:
            continue
        for name, before in old.resolved[arch].items():
            if name in new.resolved[arch]:
                yield from _calls(arch, before, new.resolved[arch][name], new, calls)


def _document(name: str, old: Map, new: Map) -> Found:
    for key in ("title", "summary"):
        if old[key] != new[key]:
            yield "documentation", name, f"'{key}' reads differently", new.place_of(key), None
    for arch in old["architectures"]:
        if arch not in new["architectures"]:
            text = f"is no longer for {arch}"
            yield "backend-architecture-removed", name, text, new.place_of("architectures"), None
    for i, arch in enumerate(new["architectures"]):
        if arch not in old["architectures"]:
            place = new["architectures"].place_of(i)
            yield "backend-architecture-added", name, f"is also for {arch}", place, None
    for key in ("priority", "sign", "inherits"):
        if old.get(key) != new.get(key):
            text = f"{key} {old.get(key, 'none')} is now {new.get(key, 'none')}"
            yield f"backend-{key}", name, text, new.place_of(key), None
    yield from _hypercalls(name, old, new)


def _hypercalls(name: str, old: Map, new: Map) -> Found:
    """Those that it has itself, and how they are made."""
    before, after = (side.get("hypercalls", Map(side.place)) for side in (old, new))
    for key in dict.fromkeys([*before, *after]):
        if key != "calls" and before.get(key) != after.get(key):
            yield "backend-hypercalls", name, f"'{key}' changed", after.place_of(key), None
    sides = (before.get("calls", Seq(old.place)), after.get("calls", Seq(new.place)))
    known, listed = ({part["name"]: part for part in side} for side in sides)
    for gone in known.keys() - listed.keys():
        yield "backend-hypercalls", name, f"{gone} is gone", known[gone].place, None
    for call, part in listed.items():
        if call not in known:
            yield "backend-hypercalls", name, f"{call} is new", part.place, None
        elif known[call] != part:
            yield "backend-hypercalls", name, f"{call} changed", part.place, None


def _calls(arch: str, old: Backend, new: Backend, side: Backends, calls: dict[str, str]) -> Found:
    for was_called, call in calls.items():
        before, after = old.ways.get(was_called), new.ways.get(call)
        if before is None or after is None:
            continue  # the specification of that architecture does not have it
        subject, place = f"{new.name}.{call}", side.place(new, call)
        did, does = (way.kind is not Kind.UNSUPPORTED for way in (before, after))
        if did and not does:
            yield "backend-unsupported", subject, f"unsupported now: {after.how}", place, arch
        elif does and not did:
            yield "backend-supported", subject, f"{after.kind} {after.how}", place, arch
        elif did and _manner(before) != _manner(after):
            text = f"{before.kind} {before.how} is now {after.kind} {after.how}"
            yield "backend-way", subject, text, place, arch
        elif (before.reason, before.note) != (after.reason, after.note):
            yield "documentation", subject, "its reason or note reads differently", place, arch


def _manner(way: Any) -> tuple[Any, ...]:
    return (way.kind, way.instructions, way.hypercalls, way.constants, way.routine, way.when, way.forms)
