# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The interface on all architectures at once, for pages that people read: what is alike is said once.

A call, structure, type or backend is here what it is on the first architecture that has it; its `on` has what
it is on each. Pages take from the first what the specification says once (names, texts), and from `on` what
may differ: registers, C types, layout, and how backends do a call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from .model import (
    Architecture,
    Argument,
    Backend,
    Call,
    Field,
    Hypercall,
    HypercallTable,
    Model,
    Spec,
    Structure,
    Type,
    Way,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Side(Generic[T]):
    """What something is on some architectures; `on` is empty where it is the same on all that have it."""

    on: tuple[str, ...]
    value: T


def sides(
    values: Mapping[str, T],
    alike: Callable[[T], object] = lambda value: value,
    everywhere: Collection[str] = (),
) -> list[Side[T]]:
    """Groups what architectures say: once for all that say it alike, which `alike` decides. `everywhere` has
    the architectures that could say something, if some of them do not."""
    groups: list[tuple[object, list[str], T]] = []
    for arch, value in values.items():
        said = alike(value)
        same = next((group for group in groups if group[0] == said), None)
        if same:
            same[1].append(arch)
        else:
            groups.append((said, [arch], value))
    if len(groups) == 1 and set(everywhere) <= set(values):
        return [Side((), groups[0][2])]
    return [Side(tuple(on), value) for _, on, value in groups]


def merged(lists: Mapping[str, Sequence[T]], same: Callable[[T], Hashable]) -> list[dict[str, T]]:
    """Joins lists: each entry by the architectures whose list has it. What one list alone has stands before
    the next entry that others have too."""
    keys: list[Hashable] = []
    entries: dict[Hashable, dict[str, T]] = {}
    for arch, items in lists.items():
        waiting: list[Hashable] = []
        for item in items:
            key = same(item)
            if key in entries:
                place = keys.index(key)
                keys[place:place] = waiting
                waiting = []
            else:
                entries[key] = {}
                waiting.append(key)
            entries[key][arch] = item
        keys += waiting
    return [entries[key] for key in keys]


@dataclass(frozen=True)
class Row:
    """An argument or result of a call, by its registers on each architecture that has it."""

    kind: str
    name: str
    """Empty for a call's only result."""
    type: Type
    summary: str
    unit: str | None
    registers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class EveryType(Type):
    """A type on all architectures."""

    on: Mapping[str, Type] = field(default_factory=dict)


@dataclass(frozen=True)
class EveryStructure(Structure):
    """A structure on all architectures that have it."""

    on: Mapping[str, Structure] = field(default_factory=dict)
    only: str = ""
    """The architectures that have it, unless all do."""

    @property
    def rows(self) -> list[dict[str, Field]]:
        """Its fields, each by the architectures that have it."""
        fields = {arch: structure.fields for arch, structure in self.on.items()}
        return merged(fields, lambda each: (each.name, each.type.name, each.count, each.summary))

    @property
    def same_layout(self) -> bool:
        """Whether every field is everywhere, and at the same offset."""
        return all(
            len(row) == len(self.on) and len({each.offset for each in row.values()}) == 1 for row in self.rows
        )


@dataclass(frozen=True)
class EveryCall(Call):
    """A call on all architectures that have it."""

    on: Mapping[str, Call] = field(default_factory=dict)
    only: str = ""
    """The architectures that have it, unless all do."""

    @property
    def rows(self) -> list[Row]:
        """Arguments, then results; one row where name, type and text are the same."""
        return [
            *_rows("argument", {arch: call.arguments for arch, call in self.on.items()}),
            *_rows("result", {arch: call.all_results for arch, call in self.on.items()}, not self.result),
        ]

    @property
    def registers(self) -> list[Side[Call]]:
        """By what it keeps and destroys."""
        return sides(self.on, lambda call: (call.kept, call.clobbers))


def _rows(kind: str, lists: Mapping[str, tuple[Argument, ...]], named: bool = True) -> list[Row]:
    found = merged(lists, lambda each: (each.name, each.type.name, each.summary, each.unit))
    rows = []
    for entry in found:
        first = next(iter(entry.values()))
        registers = {arch: each.registers for arch, each in entry.items()}
        rows.append(Row(kind, first.name if named else "", first.type, first.summary, first.unit, registers))
    return rows


@dataclass(frozen=True)
class EverySpec(Spec):
    """The specification on all architectures; its types, structures and calls know on which they are."""

    architectures: tuple[Architecture, ...] = ()

    @property
    def alone(self) -> dict[str, int]:
        """How many calls are on some architectures only, by their names."""
        only = [call.only for call in self.every_call if call.only]
        return {names: only.count(names) for names in dict.fromkeys(only)}

    @property
    def every_call(self) -> tuple[EveryCall, ...]:
        """The calls as what they are here."""
        return tuple(call for call in self.calls if isinstance(call, EveryCall))


@dataclass(frozen=True)
class EveryBackend(Backend):
    """A backend on all architectures that it is for."""

    on: Mapping[str, Backend] = field(default_factory=dict)
    only: str = ""
    """The architectures that it is for, unless it is for all."""

    def found(self, call: EveryCall) -> dict[str, Way]:
        """How it does a call on each architecture that has both."""
        return {arch: each.ways[call.name] for arch, each in self.on.items() if call.name in each.ways}

    @property
    def hypercall_rows(self) -> list[dict[str, tuple[HypercallTable, Hypercall]]]:
        """The hypercalls of its tables, each by the architectures that have it."""
        lists = {
            arch: [(table, each) for table in backend.tables for each in table.calls]
            for arch, backend in self.on.items()
        }
        return merged(lists, lambda pair: (pair[0].owner, pair[1].name, pair[1].number))


@dataclass(frozen=True)
class Everywhere:
    """What pages are rendered from."""

    spec: EverySpec
    backends: tuple[EveryBackend, ...]


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


def _by_name(lists: Mapping[str, Sequence[N]]) -> list[dict[str, N]]:
    return merged(lists, lambda each: each.name)


def everywhere(models: Mapping[str, Model]) -> Everywhere:
    """The models of all architectures as one."""
    specs = {arch: model.spec for arch, model in models.items()}
    first = next(iter(specs.values()))

    def known(entry: Mapping[str, Any]) -> dict[str, Any]:
        only = ", ".join(entry) if len(entry) < len(models) else ""
        return {**vars(next(iter(entry.values()))), "on": entry, "only": only}

    types = [
        EveryType(**(vars(next(iter(entry.values()))) | {"on": entry}))
        for entry in _by_name({arch: spec.types for arch, spec in specs.items()})
    ]
    structures = [
        EveryStructure(**known(entry))
        for entry in _by_name({arch: spec.structures for arch, spec in specs.items()})
    ]
    calls = [
        EveryCall(**known(entry)) for entry in _by_name({arch: spec.calls for arch, spec in specs.items()})
    ]
    shared = vars(first) | {
        "types": tuple(types),
        "structures": tuple(structures),
        "calls": tuple(sorted(calls, key=lambda call: call.ordinal)),
        "architectures": tuple(spec.architecture for spec in specs.values()),
    }
    backends = [
        EveryBackend(**known(entry))
        for entry in _by_name({arch: model.backends for arch, model in models.items()})
    ]
    return Everywhere(EverySpec(**shared), tuple(backends))
