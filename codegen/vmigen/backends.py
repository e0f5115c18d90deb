# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Backends: their hypercalls, and for every call how it is done once inheritance is resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .document import Map, Seq, describe
from .model import (
    Argument,
    Backend,
    Call,
    Form,
    Hypercall,
    HypercallAbi,
    HypercallTable,
    Kind,
    Sign,
    Spec,
    Type,
    Way,
)
from .problems import Place, Problems
from .rules import KEYWORDS, OWN_NAMES, names

PRIVATE = "vmi__"
"""What a library's own symbols begin with; `vmi_` alone is the interface's."""


RESERVED_NAMES = frozenset(
    (
        # Kernels that choose among all backends when they start.
        "any",
        # Folders that the build's outputs have beside those of the backends.
        *("generated", "html", "include", "man", "reference", "roms", "vmi"),
        # Libraries, packages and programs that are called as a backend's are.
        *("checked", "config", "kernel", "lint", "runtime", "rust"),
        # Symbols and macros of the runtime, `vmi__NAME_…`.
        *("add", "alarm", "arch", "assert", "backend", "bind", "boot", "bound", "builtin", "check", "cpu"),
        *("cpus", "device", "devices", "driver", "drivers", "entropy", "exchange", "fault", "faults"),
        *("feature", "flavour", "form", "forms", "frame", "frames", "idt", "image", "inner", "is", "load"),
        *("loader", "memory", "multiboot", "multiboot2", "no", "option", "parse", "pc", "physical"),
        *("provider", "published", "pvh", "request", "rom", "scale", "site", "sites", "slots", "start"),
        *("table", "tables", "text", "tlb", "trace", "traced", "transfer", "window", "writing"),
    )
)
"""Names that no backend can have, nor can it have an architecture's: files or symbols would clash."""


@dataclass
class BackendSource:
    """A backend's folder and what was read from it."""

    folder: Path
    document: Map
    lost: set[str] = field(default_factory=set)
    refused_calls: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Its name; the folder's where the file has none."""
        return str(self.document.get("name", self.folder.name))


def _sign(given: Any) -> Sign:
    """The sign that backend.yaml gives; without one nothing is looked for."""
    if given is None:
        return Sign()
    return Sign(leaves=0, never=True) if given == "never" else Sign(**given)


class BackendRules:
    """Resolves backends that their schema accepted against a specification."""

    def __init__(
        self,
        sources: list[BackendSource],
        spec: Spec,
        call_names: set[str],
        spec_lost: set[str],
        architectures: set[str],
        problems: Problems,
    ) -> None:
        self._sources = sources
        self._spec = spec
        self._calls = {call.name: call for call in spec.calls}
        self._call_names = call_names
        self._spec_lost = spec_lost
        self._architectures = architectures
        self._types = {kind.name: kind for kind in spec.types}
        self._features = {feature.name: feature for feature in spec.features}
        self._problems = problems
        self._by_name: dict[str, BackendSource] = {}
        self._done: dict[str, Backend] = {}
        self._routines: dict[str, tuple[str, str]] = {}

    def resolve(self) -> tuple[Backend, ...]:
        """All backends, in the order in which they were given."""
        for source in self._sources:
            name = source.name
            if name in self._by_name:
                self._problems.add(
                    source.document.place_of("name"),
                    f"backend '{name}' is also in {self._by_name[name].folder}",
                    "expected each name once",
                    "rename one, or give the folder once",
                )
                continue
            self._by_name[name] = source
        ordered = [source for source in self._sources if self._by_name.get(source.name) is source]
        return tuple(self._backend(source, ()) for source in ordered)

    def _backend(self, source: BackendSource, children: tuple[str, ...]) -> Backend:
        name = source.name
        if name in self._done:
            return self._done[name]
        document = source.document
        self._identity(source)
        parent = self._parent(source, children)
        tables = self._tables(source, parent)
        backend = Backend(
            name,
            document.get("title", name),
            document.get("summary", ""),
            parent.name if parent else None,
            tuple(document.get("architectures", ())),
            document.get("priority", 0),
            _sign(document.get("sign")),
            tables,
            self._ways(source, parent, tables),
            tuple(document.get("drivers", parent.drivers if parent else ())),
        )
        self._done[name] = backend
        return backend

    def _identity(self, source: BackendSource) -> None:
        document = source.document
        if "name" in document and document["name"] != source.folder.name:
            self._problems.add(
                document.place_of("name"),
                f"name '{document['name']}' in folder '{source.folder.name}'",
                "expected the folder's name",
                "rename one of the two",
            )
        if source.name in RESERVED_NAMES or source.name in self._architectures:
            self._problems.add(
                document.place_of("name"),
                f"name '{source.name}' is reserved",
                "expected one that no other part of the build, the installed tree or the runtime has",
                "choose another, for the folder too",
            )
        listed = document.get("architectures")
        if not isinstance(listed, Seq):
            return
        for i, architecture in enumerate(listed):
            if architecture not in self._architectures and "architectures" not in self._spec_lost:
                self._problems.add(
                    listed.place_of(i),
                    f"unknown architecture '{architecture}'",
                    f"expected {names(sorted(self._architectures))}",
                    "correct it",
                )
        if self._spec.architecture.name not in listed:
            self._problems.add(
                listed.place,
                f"backend '{source.name}' is not for {self._spec.architecture.name}",
                f"it has {names(listed)}",
                "leave it out, or add the architecture to its list",
            )

    def _parent(self, source: BackendSource, children: tuple[str, ...]) -> Backend | None:
        document = source.document
        if "inherits" not in document:
            if "defaults" in document and "inherits" not in source.lost:
                self._problems.add(
                    document.key_place("defaults"),
                    "`defaults: inherited` without `inherits`",
                    "expected the backend to inherit from",
                    "add `inherits: NAME`, or list every call",
                )
            return None
        name = document["inherits"]
        place = document.place_of("inherits")
        if name == source.name or name in children:
            chain = " -> ".join([*children, source.name, name])
            self._problems.add(
                place,
                f"inheritance in a circle ({chain})",
                "expected a chain that ends",
                "remove one `inherits`",
            )
            return None
        if name not in self._by_name:
            self._problems.add(
                place,
                f"unknown backend '{name}'",
                f"expected one of {names(sorted(set(self._by_name) - {source.name}))}",
                "correct it, or give its folder to --backends as well",
            )
            return None
        return self._backend(self._by_name[name], (*children, source.name))

    # Hypercalls

    def _tables(self, source: BackendSource, parent: Backend | None) -> tuple[HypercallTable, ...]:
        inherited = parent.tables if parent else ()
        part = source.document.get("hypercalls")
        if not isinstance(part, Map):
            return inherited
        arch = self._spec.architecture
        prefix = part["prefix"]
        if not prefix.startswith(PRIVATE):
            self._problems.add(
                part.place_of("prefix"),
                f"prefix '{prefix}'",
                f"a library's own symbols begin with {PRIVATE}",
                f"write {PRIVATE}{prefix.lstrip('_')}",
            )
        for key in part:
            if (
                key not in ("prefix", "calls")
                and key not in self._architectures
                and "architectures" not in self._spec_lost
            ):
                self._problems.add(
                    part.key_place(key),
                    f"unknown key '{key}' in 'hypercalls'",
                    f"expected prefix, calls or an architecture ({names(sorted(self._architectures))})",
                    "correct it",
                )
        if arch.name not in part:
            self._problems.add(
                part.place,
                f"no hypercall convention for {arch.name}",
                "expected an entry for each architecture of the backend",
                f"add `{arch.name}: …`",
            )
            return inherited
        abi = self._abi(part[arch.name])
        if abi is None:
            return inherited
        taken = {call.c_name: table.owner for table in inherited for call in table.calls}
        calls: list[Hypercall] = []
        seen: dict[str, Place] = {}
        for item in part["calls"]:
            place = item.place_of("name")
            if item["name"] in seen:
                self._problems.add(
                    place,
                    f"hypercall '{item['name']}' is taken (line {seen[item['name']].line})",
                    "expected each once",
                    "choose another, or remove one",
                )
                continue
            seen[item["name"]] = place
            if prefix + item["name"] in taken:
                self._problems.add(
                    place,
                    f"'{prefix}{item['name']}' is also a hypercall of {taken[prefix + item['name']]}",
                    "expected names apart from the inherited ones",
                    "choose another prefix",
                )
            call = self._hypercall(item, prefix, abi)
            if call and self._here(item):
                calls.append(call)
        return (*inherited, HypercallTable(source.name, prefix, abi, tuple(calls)))

    def _here(self, part: Map) -> bool:
        """Whether a hypercall or an argument of one is there on this architecture."""
        listed = part.get("architectures")
        if listed is None:
            return True
        for i, name in enumerate(listed):
            if name not in self._architectures and "architectures" not in self._spec_lost:
                self._problems.add(
                    listed.place_of(i),
                    f"unknown architecture '{name}'",
                    f"expected {names(sorted(self._architectures))}",
                    "correct it",
                )
        return self._spec.architecture.name in listed

    def _abi(self, part: Map) -> HypercallAbi | None:
        arch = self._spec.architecture
        usable = [r for r in arch.registers if r not in (arch.stack_pointer, "flags")]
        good = True
        seen: dict[str, Place] = {}

        def check(register: str, place: Place, once: bool, known: list[str]) -> None:
            nonlocal good
            if register not in known:
                self._problems.add(
                    place,
                    f"unknown register '{register}' for a hypercall on {arch.name}",
                    f"expected one of {names(known)}",
                    "correct it",
                )
                good = False
            elif once and register in seen:
                self._problems.add(
                    place,
                    f"register '{register}' is taken (line {seen[register].line})",
                    "expected each once",
                    "choose another",
                )
                good = False
            seen.setdefault(register, place)

        check(part["number"], part.place_of("number"), True, usable)
        for i, register in enumerate(part["arguments"]):
            check(register, part["arguments"].place_of(i), True, usable)
        check(part["result"], part.place_of("result"), False, usable)
        clobbers = part["clobbers"]
        if isinstance(clobbers, Seq):
            for i, register in enumerate(clobbers):
                check(register, clobbers.place_of(i), False, [*usable, "flags"])
        if not good:
            return None
        dead = None if clobbers == "used" else () if clobbers == "none" else tuple(clobbers)
        return HypercallAbi(
            part["number"], tuple(part["arguments"]), part["result"], dead, tuple(part["transfer"])
        )

    def _hypercall(self, part: Map, prefix: str, abi: HypercallAbi) -> Hypercall | None:
        arch = self._spec.architecture
        free = list(abi.arguments)
        arguments: list[Argument] = []
        good = True
        for item, kind in self._typed(part.get("arguments", ()), "argument"):
            if kind is None:
                good = False
                continue
            if not self._here(item):
                continue
            words = -(-kind.bits // arch.word_bits)
            if words > len(free):
                self._problems.add(
                    item.place,
                    f"hypercall '{part['name']}' needs more registers for '{item['name']}'",
                    f"a hypercall carries {len(abi.arguments)} words ({names(abi.arguments)})",
                    "pass a pointer to a structure",
                )
                good = False
                break
            arguments.append(Argument(item["name"], kind, tuple(free[:words]), item.get("summary", ""), None))
            del free[:words]
        elements = [
            (item["name"], kind)
            for item, kind in self._typed(part.get("elements", ()), "part of an element")
            if self._here(item)
        ]
        if not good:
            return None
        used = tuple(r for a in arguments for r in a.registers)
        dead = used if abi.clobbers is None else abi.clobbers
        return Hypercall(
            part["name"],
            prefix + part["name"],
            part["number"],
            part.get("macro"),
            part["summary"],
            part.get("source"),
            part.get("obsolete"),
            tuple(arguments),
            tuple(r for r in dead if r != abi.result),
            tuple((name, kind) for name, kind in elements if kind),
        )

    def _typed(self, listed: Iterable[Map], what: str) -> Iterator[tuple[Map, Type | None]]:
        """What has a name and a type, with the type, or None if there is none such."""
        seen: set[str] = set()
        for item in listed:
            if item["name"] in seen:
                self._problems.add(
                    item.place_of("name"),
                    f"{what} '{item['name']}' is taken",
                    "expected each once",
                    "choose another",
                )
            if item["name"] in KEYWORDS or OWN_NAMES.fullmatch(item["name"]):
                self._problems.add(
                    item.place_of("name"),
                    f"{what} '{item['name']}' is a word of C or C++, or one that generated code uses",
                    "expected a name that can be used in both",
                    "choose another",
                )
            seen.add(item["name"])
            kind = self._types.get(item["type"])
            if kind is None or kind.bits == 0:
                if kind or "types" not in self._spec_lost:
                    self._problems.add(
                        item.place_of("type"),
                        f"unknown type '{item['type']}'",
                        f"expected one of {names(self._types)}",
                        "correct it, or add it to 'types' of the specification",
                    )
                kind = None
            yield item, kind

    # Calls

    def _ways(
        self, source: BackendSource, parent: Backend | None, tables: tuple[HypercallTable, ...]
    ) -> dict[str, Way]:
        document = source.document
        part = document.get("calls")
        entries = part if isinstance(part, Map) else Map(document.place)
        default = document.get("defaults") == "inherited" and parent is not None
        for name in entries:
            if name not in self._call_names and "calls" not in self._spec_lost:
                self._problems.add(
                    entries.key_place(name),
                    f"unknown call '{name}'",
                    "expected a call of the specification",
                    "correct it, or add the call to the specification",
                )
        ways: dict[str, Way] = {}
        for name, call in self._calls.items():
            if name in entries:
                way = self._way(source, entries, call, parent, tables)
                if way:
                    ways[name] = way
            elif default and parent is not None:
                if name in parent.ways:
                    ways[name] = parent.ways[name]
            elif (
                name not in source.refused_calls
                and "" not in source.lost
                and not ("calls" in source.lost and part is None)
                and not ("defaults" in source.lost or ("defaults" in document and parent is None))
            ):
                self._problems.add(
                    document.key_place("calls"),
                    f"call '{name}' is left out",
                    "expected every call of the specification",
                    f"add `{name}: …`" + (", or `defaults: inherited`" if "inherits" in document else ""),
                )
        return ways

    def _way(
        self,
        source: BackendSource,
        entries: Map,
        call: Call,
        parent: Backend | None,
        tables: tuple[HypercallTable, ...],
    ) -> Way | None:
        entry = entries[call.name]
        place = entries.place_of(call.name)
        if isinstance(entry, Map) and "each" in entry:
            if set(entry) != {"each"}:
                self._problems.add(
                    place,
                    f"call '{call.name}' has `each` and more",
                    "expected `each` alone",
                    "move the others into it, or remove them",
                )
                return None
            chosen = self._chosen(entry["each"], call)
            if chosen is None:
                return None
            entry = chosen
        if entry == "inherited" or (isinstance(entry, Map) and "inherited" in entry):
            if isinstance(entry, Map) and set(entry) - {"inherited", "note"}:
                self._problems.add(
                    place,
                    f"call '{call.name}' is inherited and more",
                    "expected one way",
                    "remove the others",
                )
                return None
            return self._inherited(
                source, place, call, parent, entry.get("note") if isinstance(entry, Map) else None
            )
        if not isinstance(entry, Map):
            return None
        given = [
            key for key in ("instruction", "forms", "hypercall", "routine", "unsupported") if key in entry
        ]
        if len(given) != 1 and given != ["hypercall", "routine"]:
            self._problems.add(
                place,
                f"call '{call.name}' is done by {names(given)}",
                "expected instruction, forms, hypercall, routine or unsupported "
                "(or hypercall and routine together)",
                "keep one way" if given else "add one",
            )
            return None
        if "constants" in entry and (given != ["hypercall"]):
            self._problems.add(
                entry.key_place("constants"),
                "`constants` without a direct hypercall",
                "they are what a direct hypercall gets",
                "remove them",
            )
            return None
        if "when" in entry and given != ["hypercall", "routine"]:
            self._problems.add(
                entry.key_place("when"),
                "`when` without a routine that makes hypercalls",
                "it says when that routine makes them",
                "remove it",
            )
            return None
        note = entry.get("note")
        if "routine" in entry and not self._routine(entry, call):
            return None
        if given == ["forms"]:
            return self._formed(source, entry, call, note)
        if given == ["instruction"]:
            return self._instruction(source, entry, call, note)
        if given == ["routine"]:
            return Way(Kind.ROUTINE, routine=entry["routine"], note=note, origin=source.name)
        if given == ["unsupported"]:
            return Way(Kind.UNSUPPORTED, reason=entry["unsupported"], note=note, origin=source.name)
        return self._hypercall_way(source, entry, call, tables, note)

    def _instruction(self, source: BackendSource, entry: Map, call: Call, note: str | None) -> Way | None:
        lines = entry["instruction"]
        if isinstance(lines, Map):
            lines = self._chosen(lines, call)
            if lines is None:
                return None
        if call.convention == "jump" and not lines:
            self._problems.add(
                entry.place_of("instruction"),
                f"call '{call.name}' is a jump and has no instruction",
                "expected lines that leave",
                "add them",
            )
            return None
        return Way(Kind.INSTRUCTION, tuple(lines), note=note, origin=source.name)

    def _formed(self, source: BackendSource, entry: Map, call: Call, note: str | None) -> Way | None:
        """A way of several forms: the last, with the others before it."""
        parts, forms = entry["forms"], list[Form]()
        if call.convention == "jump":
            self._problems.add(
                entry.place_of("forms"),
                f"call '{call.name}' is a jump and has forms",
                "expected one way for all processors: a bound site no longer tells a jump from a call",
                "keep one, or test the feature in a routine",
            )
            return None
        seen: dict[str, Place] = {}
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            given = [key for key in ("instruction", "routine") if key in part]
            if len(given) != 1:
                self._problems.add(
                    part.place,
                    f"a form of call '{call.name}' is done by {names(given)}",
                    "expected instruction or routine",
                    "keep one" if given else "add one",
                )
                return None
            if last != ("feature" not in part):
                self._problems.add(
                    part.place,
                    f"the last form of call '{call.name}' has a feature"
                    if last
                    else f"a form of call '{call.name}' has no feature and is not the last",
                    "expected one on each but the last, which is for all other processors",
                    "remove it" if last else "add `feature: …`",
                )
                return None
            if given == ["instruction"]:
                way = self._instruction(source, part, call, note)
                if way is None:
                    return None
            elif self._routine(part, call):
                way = Way(Kind.ROUTINE, routine=part["routine"], note=note, origin=source.name)
            else:
                return None
            if last:
                return replace(way, forms=tuple(forms))
            name = part["feature"]
            if name not in self._features:
                if "features" not in self._spec_lost:
                    self._problems.add(
                        part.place_of("feature"),
                        f"unknown feature '{name}'",
                        f"expected one of {names(self._features)}",
                        "correct it, or add it to 'features' of the specification",
                    )
                return None
            if name in seen:
                self._problems.add(
                    part.place_of("feature"),
                    f"feature '{name}' is taken (line {seen[name].line})",
                    "expected each once",
                    "remove one",
                )
                return None
            seen[name] = part.place_of("feature")
            forms.append(Form(self._features[name], way))
        return None

    def _chosen(self, part: Map, call: Call) -> Any:
        """What is said for this architecture, where it is said for each."""
        for name in part:
            if name not in self._architectures and "architectures" not in self._spec_lost:
                self._problems.add(
                    part.key_place(name),
                    f"unknown architecture '{name}'",
                    f"expected {names(sorted(self._architectures))}",
                    "correct it",
                )
        arch = self._spec.architecture.name
        if arch not in part:
            self._problems.add(
                part.place,
                f"call '{call.name}' is not said for {arch}",
                "expected an entry for each architecture of the backend",
                f"add `{arch}: …`",
            )
            return None
        return part[arch]

    def _inherited(
        self, source: BackendSource, place: Place, call: Call, parent: Backend | None, note: str | None
    ) -> Way | None:
        if "inherits" not in source.document and "inherits" not in source.lost:
            self._problems.add(
                place,
                f"call '{call.name}' is inherited, but backend '{source.name}' inherits from none",
                "expected `inherits: NAME`",
                "add it, or say how the call is done",
            )
            return None
        way = parent.ways.get(call.name) if parent else None
        if way and note:
            return replace(way, note=note)
        return way

    def _routine(self, entry: Map, call: Call) -> bool:
        name = entry["routine"]
        place = entry.place_of("routine")
        if not name.startswith(PRIVATE):
            self._problems.add(
                place,
                f"routine '{name}'",
                f"a library's own symbols begin with {PRIVATE}",
                f"rename it {PRIVATE}…",
            )
            return False
        prototype = (
            ", ".join(a.type.c for a in call.arguments)
            + " -> "
            + ", ".join(r.type.c for r in call.all_results)
            + (" by jmp" if call.convention == "jump" else "")
        )
        first = self._routines.setdefault(name, (prototype, call.name))
        if first[0] != prototype:
            self._problems.add(
                place,
                f"routine '{name}' also does '{first[1]}', which has another prototype",
                "expected one prototype per routine",
                "write two routines",
            )
            return False
        return True

    def _hypercall_way(
        self,
        source: BackendSource,
        entry: Map,
        call: Call,
        tables: tuple[HypercallTable, ...],
        note: str | None,
    ) -> Way | None:
        listed = entry["hypercall"]
        several = listed if isinstance(listed, Seq) else [listed]
        place = entry.place_of("hypercall")
        found: list[tuple[HypercallTable, Hypercall]] = []
        for i, name in enumerate(several):
            match = [(table, item) for table in reversed(tables) for item in table.calls if item.name == name]
            if match:
                found.append(match[0])
            elif "hypercalls" not in source.lost and not self._dropped(source, name):
                known = [item.name for table in tables for item in table.calls]
                self._problems.add(
                    listed.place_of(i) if isinstance(listed, Seq) else place,
                    f"unknown hypercall '{name}'",
                    f"expected one of {names(known)}",
                    "correct it, or add it to 'hypercalls'",
                )
        if len(found) != len(several):
            return None
        if "routine" in entry:
            return Way(
                Kind.HYPERCALL,
                hypercalls=tuple(several),
                routine=entry["routine"],
                note=note,
                origin=source.name,
                when=entry.get("when"),
            )
        if isinstance(listed, Seq):
            self._problems.add(
                place,
                f"call '{call.name}' lists hypercalls and has no routine",
                "expected the routine that makes them",
                "add `routine: …`, or give one hypercall that is made directly",
            )
            return None
        table, target = found[0]
        if not self._direct(entry, call, target):
            return None
        return Way(
            Kind.HYPERCALL,
            hypercalls=(target.name,),
            direct=target,
            table=table,
            constants=tuple(entry.get("constants", ())),
            note=note,
            origin=source.name,
        )

    @staticmethod
    def _dropped(source: BackendSource, name: str) -> bool:
        """Whether the hypercall is written there, but was refused for another reason."""
        part: Any = source.document.get("hypercalls")
        return isinstance(part, Map) and any(item["name"] == name for item in part["calls"])

    def _direct(self, entry: Map, call: Call, target: Hypercall) -> bool:
        constants = entry.get("constants", Seq(entry.place))
        place = entry.place_of("constants") if "constants" in entry else entry.place_of("hypercall")
        before = len(self._problems.found)
        if call.convention == "jump" or call.results:
            self._problems.add(
                entry.place_of("hypercall"),
                f"call '{call.name}' cannot be one hypercall",
                "a direct hypercall returns one value to its caller",
                "write a routine",
            )
            return False
        if len(constants) != len(target.arguments):
            self._problems.add(
                place,
                f"hypercall '{target.name}' gets {len(constants)} value(s)",
                f"expected {len(target.arguments)}",
                "list a number or an argument's name for each in `constants`",
            )
            return False
        arguments = {a.name: a for a in call.arguments}
        for i, (value, parameter) in enumerate(zip(constants, target.arguments, strict=True)):
            if isinstance(value, str):
                if value not in arguments:
                    self._problems.add(
                        constants.place_of(i),
                        f"call '{call.name}' has no argument '{value}'",
                        f"expected a number or one of {names(arguments)}",
                        "correct it",
                    )
                elif len(arguments[value].registers) != len(parameter.registers):
                    self._problems.add(
                        constants.place_of(i),
                        f"argument '{value}' has {arguments[value].type.bits} bits",
                        f"'{parameter.name}' of the hypercall has {parameter.type.bits}",
                        "write a routine",
                    )
            elif not -(1 << 31) <= value < (1 << 32):
                self._problems.add(
                    constants.place_of(i),
                    f"{describe(value)} is too large",
                    "expected a word",
                    "write a routine",
                )
        if call.result and len(call.result.registers) > 1:
            self._problems.add(
                entry.place_of("hypercall"),
                f"call '{call.name}' returns {call.result.type.bits} bits",
                "a hypercall returns one word",
                "write a routine",
            )
        return len(self._problems.found) == before
