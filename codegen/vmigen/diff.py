# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Compares two specifications and says of every change what it means for kernels that exist.

BREAKING: a source in C or assembly, or a provider of the published interface that others have built, that was
right by the old one is wrong by the new one. SOURCE-COMPATIBLE: sources stay right, objects must be compiled
again. COMPATIBLE: objects stay right. Both specifications are checked first, and so are the backends beside
them, where both sides have some: a kernel that is linked with one relies on what that one does.
"""

from __future__ import annotations

import difflib
import json
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from . import diff_backends, earlier, files, schema
from . import document as yaml
from .document import Map
from .model import Argument, Call, Spec
from .problems import Place, Problems, Stop, reason
from .rules import SpecRules, names, version

SPECIFICATION = "spec/vmi.yaml"
"""What a git revision without a path, or the folder of a tree, stands for."""
BACKENDS = "backends"
BACKEND_FILE = "backend.yaml"


class Level(StrEnum):
    """What a change means."""

    BREAKING = "BREAKING"
    SOURCE = "SOURCE-COMPATIBLE"
    COMPATIBLE = "COMPATIBLE"


_B, _S, _C = Level.BREAKING, Level.SOURCE, Level.COMPATIBLE

RULES: dict[str, tuple[Level, str]] = {
    "api-name": (_B, "The interface has another name."),
    "api-version-lowered": (_B, "The version went back."),
    "api-major-raised": (_C, "A new major version: it announces what breaks."),
    "api-minor-raised": (_C, "A new minor version: it announces what was added."),
    "since-raised": (_B, "Something is promised only from a later version on."),
    "since-lowered": (_C, "Something is promised from an earlier version on."),
    "added-unannounced": (_B, "Something new claims to be in a version that there was without it."),
    "documentation": (_C, "Only words changed."),
    "architecture-added": (_C, "A new architecture."),
    "architecture-removed": (_B, "An architecture is gone."),
    "architecture-supported": (_C, "A planned architecture is supported."),
    "architecture-withdrawn": (_B, "A supported architecture is only planned."),
    "architecture-planned": (_C, "A planned architecture changed."),
    "architecture-word": (_B, "Registers have another width."),
    "architecture-convention": (_C, "The convention changed; what follows is told at calls and structures."),
    "architecture-register-added": (_C, "Calls keep one more register."),
    "architecture-register-removed": (_B, "Calls no longer promise anything of a register."),
    "type-added": (_C, "A new type."),
    "type-removed": (_C, "A type is gone; what follows is told where it was used."),
    "type-changed": (_C, "A type changed; what follows is told where it is used."),
    "constant-added": (_C, "A new constant."),
    "constant-removed": (_B, "A constant is gone, or has another name."),
    "constant-value": (_S, "A constant has another value."),
    "constant-value-published": (_B, "A constant of the published interface has another value."),
    "constants-flags": (_C, "Alternatives may now be or'ed."),
    "constants-enum": (_B, "Flags are now alternatives."),
    "structure-added": (_C, "A new structure."),
    "structure-removed": (_B, "A structure is gone."),
    "structure-size": (_S, "A structure has another size."),
    "structure-size-published": (_B, "A structure of the published interface has another size."),
    "structure-packed": (_S, "A structure has another alignment."),
    "field-added": (_C, "A new field; what it moves is told by other rules."),
    "field-reserved-used": (_C, "A reserved field has got a meaning."),
    "field-removed": (_B, "A field is gone, or has another name."),
    "field-moved": (_S, "A field lies elsewhere."),
    "field-moved-published": (_B, "A field of the published interface lies elsewhere."),
    "field-type": (_B, "A field has another type in C."),
    "field-meaning": (_B, "A field has the same type in C and stands for something else."),
    "field-word": (_C, "A field has the same type in C here, and a register's width where that is another."),
    "field-array-grown": (_S, "An array has more elements."),
    "call-added": (_C, "A new call."),
    "call-removed": (_B, "A call is gone."),
    "call-architecture-added": (_C, "A call is there on one more architecture."),
    "call-architecture-removed": (_B, "A call is gone on an architecture."),
    "call-renamed": (_B, "A call has another published name, which backends name it by."),
    "call-symbol": (_B, "A call has another symbol."),
    "call-ordinal": (_S, "An extension has another ordinal."),
    "call-ordinal-published": (_B, "A call of the published interface has another ordinal."),
    "call-ordinal-reused": (_B, "The ordinal of a call that is gone was given to another."),
    "call-group": (_C, "A call is in another group."),
    "call-category": (_C, "A call stands under another heading."),
    "call-convention": (_B, "A call has another convention."),
    "call-instructions": (_C, "A call stands for other instructions."),
    "call-returns": (_B, "A call that never came back does."),
    "call-noreturn": (_B, "A call that came back never does."),
    "argument-added": (_B, "A call takes one more argument."),
    "argument-removed": (_B, "A call takes one argument less."),
    "argument-order": (_B, "Arguments are in another order."),
    "argument-renamed": (_C, "An argument has another name."),
    "argument-type": (_B, "An argument has another type in C."),
    "argument-const": (_C, "A call no longer writes what an argument points to."),
    "argument-meaning": (_B, "An argument has the same type in C and stands for something else."),
    "argument-word": (
        _C,
        "An argument has the same type in C here, and a register's width where that is another.",
    ),
    "argument-registers": (_B, "An argument is passed elsewhere."),
    "argument-unit": (_B, "An argument has another unit."),
    "result-added": (_S, "A call that returned nothing returns something."),
    "result-removed": (_B, "A call returns nothing, or one value less."),
    "result-several": (_B, "A call returns another number of values."),
    "result-renamed": (_C, "One of several results has another name."),
    "result-type": (_B, "A result has another type in C."),
    "result-meaning": (_B, "A result has the same type in C and stands for something else."),
    "result-word": (
        _C,
        "A result has the same type in C here, and a register's width where that is another.",
    ),
    "result-registers": (_B, "A result is returned elsewhere."),
    "result-unit": (_B, "A result has another unit."),
    "register-destroyed": (_B, "A call destroys a register that assembly relied on."),
    "register-destroyed-c": (_S, "A call of convention c destroys one more of the registers that C may."),
    "register-kept": (_C, "A call keeps a register that it destroyed."),
    "memory-added": (_S, "A call may touch memory that the compiler knows of."),
    "memory-removed": (_B, "A call is no barrier for the compiler any more."),
    "site-length": (_C, "A call's sites have another length; objects compiled before keep theirs."),
    "term-added": (_C, "A new term; the calls that require it are told."),
    "term-removed": (_C, "A term is gone; the calls that required it are told."),
    "requirement-added": (_B, "The caller must see to more."),
    "requirement-removed": (_C, "The caller must see to less."),
    "requirement-reworded": (_C, "What the caller must see to is worded otherwise."),
    "promises-added": (_C, "What calls promise of suspend, stack and interrupts is said for the first time."),
    "suspend-lost": (_B, "What a call did is lost at a suspend: the kernel makes the call again."),
    "suspend-changed": (_C, "A call's effect is not lost at a suspend, or there is none."),
    "stack-grown": (_S, "A call may take more stack; VMI_STACK_CALL covers it once compiled again."),
    "stack-shrunk": (_C, "A call takes less stack."),
    "interruptible-added": (_B, "Interrupts may come in while a call is made, where none did."),
    "interruptible-removed": (_C, "No interrupts come in while a call is made."),
    "nmi-added": (_C, "The handler of an NMI may make a call."),
    "nmi-removed": (_B, "The handler of an NMI must not make a call that it could."),
    "error-first": (_B, "A call that could not fail can."),
    "error-added": (_C, "A call that could fail can in another way."),
    "error-removed": (_C, "A call fails in one way less."),
    "unsupported-value": (_B, "A call that is unsupported returns something else."),
    "feature-added": (_C, "One more feature of processors is described; forms of calls may be for it."),
    "feature-removed": (_C, "A feature of processors is no longer described."),
    "feature-changed": (_C, "What is said of a feature of processors changed."),
    "instruction-added": (_C, "One more instruction is listed."),
    "instruction-removed": (_C, "An instruction is no longer listed."),
    "instruction-changed": (_C, "What is said of an instruction changed."),
    "backend-added": (_C, "A new backend."),
    "backend-removed": (_B, "A backend is gone: no kernel can be linked with it."),
    "backend-architecture-added": (_C, "A backend is for one more architecture."),
    "backend-architecture-removed": (_B, "A backend is for one architecture less."),
    "backend-unsupported": (_B, "A backend no longer does a call that it did; its kernels miss it."),
    "backend-supported": (_C, "A backend does a call that it did not."),
    "backend-way": (_C, "A backend does a call in another way."),
    "backend-inherits": (_C, "A backend builds on another one; what follows is told at its calls."),
    "backend-priority": (_C, "Where several backends could run, another one may be bound at boot."),
    "backend-sign": (_C, "Another sign is looked for before a backend may be bound at boot."),
    "backend-hypercalls": (_C, "A backend's own hypercalls changed; only its library makes them."),
}
"""Every rule: what a change means, and what it is."""

_SIMILAR = 0.6
"""From this likeness on a text is the same one, worded otherwise (difflib's ratio)."""


@dataclass(frozen=True)
class Change:
    """One change; its place is in the new specification, or in the old one where something is gone."""

    rule: str
    subject: str
    text: str
    place: Place
    architectures: tuple[str, ...] = ()
    """Those that it is about; none where it is about all."""

    @property
    def level(self) -> Level:
        """What it means."""
        return RULES[self.rule][0]

    def __str__(self) -> str:
        where = f" ({names(self.architectures)})" if self.architectures else ""
        return f"{self.place}: {self.level} {self.rule}: {self.subject}: {self.text}{where}"


@dataclass(frozen=True)
class Version:
    """A specification that has been checked, with the model of each supported architecture."""

    name: str
    document: Map
    specs: dict[str, Spec]
    backends: diff_backends.Backends | None = None
    """None where nothing is said of them."""
    earlier: bool = False
    """Whether it was written before there were terms and promises (`earlier.py`)."""

    @property
    def api(self) -> tuple[int, int]:
        """Its version."""
        return self.document["api"]["major"], self.document["api"]["minor"]


def read(argument: str, schema_path: Path, backend_schema: Path | None) -> Version:
    """What is in a file or a tree's folder, or in a git revision (`REV`, `REV:path`).

    The backends are those of the same tree. They are left aside without a schema for them, and where the
    specification lies in no tree.
    """
    path = Path(argument)
    if path.is_dir() and (path / SPECIFICATION).exists():
        path = path / SPECIFICATION
    beside = None
    if path.exists():
        name, data = str(path), _file(path)
        if backend_schema and path.absolute().match(SPECIFICATION):
            beside = _backends_on_disk(path)
    else:
        name = argument if ":" in argument else f"{argument}:{SPECIFICATION}"
        data = _git(argument, "show", "--end-of-options", name)
        within = name.partition(":")[2]
        # git takes `./` for the working directory's place in the tree.
        if backend_schema and PurePosixPath(within).match(SPECIFICATION) and not within.startswith("."):
            beside = _backends_in_git(name)
    return checked(name, data, schema_path, beside, backend_schema)


def checked(
    name: str,
    data: bytes,
    schema_path: Path,
    backends: dict[str, bytes] | None = None,
    backend_schema: Path | None = None,
) -> Version:
    """The specification in the bytes, and the backends in others by their paths; `name` is what places call
    the specification."""
    problems = Problems()
    document = yaml.parse(name, data, problems)
    before = document is not None and earlier.brought_over(document)
    if document is not None and not schema.check(document, schema.load_schema(schema_path), problems):
        specs: dict[str, tuple[Spec, set[str]]] = {}
        for arch, part in document["architectures"].items():
            if part["status"] == "supported":
                rules = SpecRules(document, arch, set(), problems)
                spec = rules.resolve()
                if spec is not None:
                    specs[arch] = spec, rules.call_names
        beside = None
        if backends and backend_schema and not problems:
            known, loaded = set(document["architectures"]), schema.load_schema(backend_schema)
            beside = diff_backends.read(backends, specs, known, loaded, problems)
        if not problems:
            resolved = {arch: spec for arch, (spec, _) in specs.items()}
            return Version(name, document, resolved, beside, before)
    raise Stop(str(problems), 2)


def _file(path: Path) -> bytes:
    try:
        return files.read(path)
    except OSError as error:
        raise Stop(
            f"vmi diff: error: cannot read '{path}' ({reason(error)}); "
            "expected a specification; correct the path",
            2,
        ) from None


def _backends_on_disk(specification: Path) -> dict[str, bytes]:
    tree = specification.absolute().parent.parent
    return {str(path): _file(path) for path in sorted((tree / BACKENDS).glob(f"*/{BACKEND_FILE}"))}


def _backends_in_git(name: str) -> dict[str, bytes]:
    revision, _, path = name.partition(":")
    folder = PurePosixPath(path).parent.parent / BACKENDS
    listed = _git(name, "ls-tree", "-r", "-z", "--name-only", "--full-tree", revision, f"{folder}/")
    found = [each for each in listed.decode("utf-8", "replace").split("\0") if each]
    return {
        f"{revision}:{each}": _git(name, "show", "--end-of-options", f"{revision}:{each}")
        for each in found
        if PurePosixPath(each).match(f"{BACKENDS}/*/{BACKEND_FILE}")
    }


def _git(argument: str, *words: str) -> bytes:
    """What git prints. A revision that begins with a dash would be taken for an option."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False)
    except OSError as error:
        raise Stop(
            f"vmi diff: error: cannot run git ({reason(error)}); install it, or name files", 2
        ) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").splitlines()
        why = (said or ["git failed"])[0].removeprefix("fatal: ")
        raise Stop(
            f"vmi diff: error: '{argument}' is neither a file nor a git revision ({why}); "
            "expected a path, REV or REV:path; correct it",
            2,
        )
    return done.stdout


def compare(old: Version, new: Version) -> list[Change]:
    """All changes, breaking ones first, then by place."""
    found = _Comparison(old, new).run()
    order = list(Level)
    return sorted(
        found, key=lambda change: (order.index(change.level), change.place, change.rule, change.subject)
    )


class _Comparison:
    def __init__(self, old: Version, new: Version) -> None:
        self._old, self._new = old, new
        self._found: dict[tuple[str, str, str, Place], list[str]] = {}
        # What is supported on one side only is told as a whole.
        self._archs = [arch for arch in old.specs if arch in new.specs]

    def run(self) -> list[Change]:
        self._api()
        self._architectures()
        self._types()
        self._constants()
        self._structures()
        self._instructions()
        self._features()
        self._terms()
        pairs = self._calls()
        if self._old.backends is not None and self._new.backends is not None:
            for change in diff_backends.compare(self._old.backends, self._new.backends, pairs):
                self._add(*change)
        return [Change(*what, tuple(archs)) for what, archs in self._found.items()]

    def _add(self, rule: str, subject: str, text: str, place: Place, arch: str | None = None) -> None:
        """Notes a change, of one architecture or of all."""
        assert rule in RULES
        archs = self._found.setdefault((rule, subject, text, place), [])
        if arch is not None and arch not in archs:
            archs.append(arch)

    # Helpers

    def _sections(self, name: str) -> tuple[dict[str, Map], dict[str, Map]]:
        """A section's entries by name, of both sides."""
        sides = (self._old.document.get(name, ()), self._new.document.get(name, ()))
        old, new = ({part["name"]: part for part in side} for side in sides)
        return old, new

    def _published(self, part: Map) -> bool:
        """Whether something is of the first version of its major one: others have built on that, too."""
        return bool(part["since"] == f"{self._old.api[0]}.0")

    def _since(self, subject: str, old: Map, new: Map) -> None:
        if old["since"] != new["since"]:
            later = version(new["since"]) > version(old["since"])
            text = f"since {old['since']} is now {new['since']}"
            self._add("since-raised" if later else "since-lowered", subject, text, new.place_of("since"))

    def _new_thing(self, rule: str, subject: str, part: Map) -> None:
        for arch in part.get("architectures", (None,)):
            self._add(rule, subject, "is new", part.place, arch)
        if version(part["since"]) <= self._old.api:
            was = ".".join(map(str, self._old.api))
            text = f"since {part['since']}, but version {was} was there without it; raise api.minor"
            self._add("added-unannounced", subject, text, part.place_of("since"))

    def _words(self, subject: str, old: Map, new: Map, keys: Iterable[str]) -> None:
        for key in keys:
            if old.get(key) != new.get(key):
                what = "is new" if key not in old else "is gone" if key not in new else "reads differently"
                self._add("documentation", subject, f"'{key}' {what}", new.place_of(key))

    # Sections

    def _api(self) -> None:
        old, new = self._old.document["api"], self._new.document["api"]
        if old["name"] != new["name"]:
            self._add("api-name", "api", f"name {old['name']} is now {new['name']}", new.place_of("name"))
        before, after = self._old.api, self._new.api
        if before != after:
            rule = "api-major-raised" if after[0] > before[0] else "api-minor-raised"
            if after < before:
                rule = "api-version-lowered"
            text = f"version {before[0]}.{before[1]} is now {after[0]}.{after[1]}"
            self._add(rule, "api", text, new.place_of("major" if before[0] != after[0] else "minor"))

    def _architectures(self) -> None:
        old, new = self._old.document["architectures"], self._new.document["architectures"]
        for name in old:
            if name not in new:
                self._add("architecture-removed", name, "is gone", old.key_place(name))
        for name, after in new.items():
            if name not in old:
                self._add("architecture-added", name, "is new", new.key_place(name))
                continue
            before = old[name]
            if before["status"] != after["status"]:
                rule = (
                    "architecture-supported" if after["status"] == "supported" else "architecture-withdrawn"
                )
                text = f"{before['status']} is now {after['status']}"
                self._add(rule, name, text, after.place_of("status"))
            changed = [
                key for key in (*before, *after) if key != "status" and before.get(key) != after.get(key)
            ]
            if before["status"] != "supported":
                for key in dict.fromkeys(changed):
                    self._add("architecture-planned", name, f"'{key}' changed", after.place_of(key))
                continue
            for key in dict.fromkeys(changed):
                self._architecture(name, key, before, after)

    def _architecture(self, name: str, key: str, before: Map, after: Map) -> None:
        place = after.place_of(key)
        if key == "word_bits":
            text = f"{before[key]} bits are now {after[key]}"
            self._add("architecture-word", name, text, place)
        elif key == "registers":
            for register in before[key]:
                if register not in after[key]:
                    self._add("architecture-register-removed", name, f"{register} is gone", place)
            for register in after[key]:
                if register not in before[key]:
                    self._add("architecture-register-added", name, f"{register} is new", place)
        else:
            self._add("architecture-convention", name, f"'{key}' changed", place)

    def _types(self) -> None:
        old, new = self._sections("types")
        for name, before in old.items():
            if name not in new:
                self._add("type-removed", name, "is gone", before.place)
        for name, after in new.items():
            if name not in old:
                self._add("type-added", name, "is new", after.place)
                continue
            before = old[name]
            for key in ("c", "bits", "pointer", "word"):
                if before.get(key) != after.get(key):
                    text = f"'{key}': {before.get(key)} is now {after.get(key)}"
                    self._add("type-changed", name, text, after.place_of(key))
            self._words(name, before, after, ("summary",))

    def _constants(self) -> None:
        sides = (self._old.document["constants"], self._new.document["constants"])
        old, new = (
            {group["prefix"] + value["name"]: (group, value) for group in side for value in group["values"]}
            for side in sides
        )
        old_groups, new_groups = self._sections("constants")
        for name, (_, value) in old.items():
            if name not in new:
                self._add("constant-removed", name, "is gone", value.place)
        for name, (_, value) in new.items():
            if name not in old:
                self._add("constant-added", name, "is new", value.place)
                continue
            before_group, before = old[name]
            if before["value"] != value["value"]:
                rule = "constant-value-published" if self._published(before_group) else "constant-value"
                text = f"value {before['value']} is now {value['value']}"
                self._add(rule, name, text, value.place_of("value"))
            self._words(name, before, value, ("summary",))
        for name, group in new_groups.items():
            if name not in old_groups:
                prefix = group["prefix"]
                if not any(other["prefix"] == prefix for other in old_groups.values()):
                    self._new_thing("constant-added", f"group {name}", group)
                continue
            before = old_groups[name]
            self._since(f"group {name}", before, group)
            if before["kind"] != group["kind"]:
                rule = "constants-flags" if group["kind"] == "flags" else "constants-enum"
                text = f"kind {before['kind']} is now {group['kind']}"
                self._add(rule, f"group {name}", text, group.place_of("kind"))
            self._words(f"group {name}", before, group, ("summary", "source"))

    def _structures(self) -> None:
        old, new = self._sections("structures")
        for name, before in old.items():
            if name not in new:
                self._add("structure-removed", name, "is gone", before.place)
        for name, after in new.items():
            if name not in old:
                self._new_thing("structure-added", name, after)
                continue
            self._since(name, old[name], after)
            self._words(name, old[name], after, ("summary", "source"))
            for arch in self._archs:
                self._structure(arch, name, old[name], after)

    def _structure(self, arch: str, name: str, before: Map, after: Map) -> None:
        old, new = (_named(side.specs[arch].structures, name) for side in (self._old, self._new))
        published = "-published" if self._published(before) else ""
        if old.size != new.size:
            text = f"{old.size} bytes are now {new.size}"
            self._add(f"structure-size{published}", name, text, after["size"].place_of(arch), arch)
        if old.packed != new.packed:
            text = "is now packed" if new.packed else "is no longer packed"
            self._add("structure-packed", name, text, after.place_of("packed"))
        old_parts = {part["name"]: part for part in _there(before, "fields", arch)}
        parts = {part["name"]: part for part in _there(after, "fields", arch)}
        old_fields = {field.name: field for field in old.fields}
        fields = {field.name: field for field in new.fields}
        for field in old.fields:
            if field.name in fields:
                continue
            end = field.offset + field.size
            heirs = [f for f in new.fields if f.name not in old_fields and field.offset <= f.offset < end]
            if field.name.startswith("reserved") and heirs:
                text = f"is now {names(f.name for f in heirs)}"
                place = parts[heirs[0].name].place
                self._add("field-reserved-used", f"{name}.{field.name}", text, place, arch)
            else:
                self._add(
                    "field-removed", f"{name}.{field.name}", "is gone", old_parts[field.name].place, arch
                )
        for field in new.fields:
            subject, part = f"{name}.{field.name}", parts[field.name]
            if field.name not in old_fields:
                self._add("field-added", subject, "is new", part.place, arch)
                continue
            was = old_fields[field.name]
            if was.offset != field.offset:
                text = f"offset {was.offset} is now {field.offset}"
                self._add(f"field-moved{published}", subject, text, part.place, arch)
            if was.type.c != field.type.c:
                text = f"{was.type.c} is now {field.type.c}"
                self._add("field-type", subject, text, part.place_of("type"), arch)
            elif was.type.name != field.type.name:
                text = f"type {was.type.name} is now {field.type.name}"
                self._add(
                    _meaning("field", was.type.name, field.type.name),
                    subject,
                    text,
                    part.place_of("type"),
                    arch,
                )
            if was.count != field.count:
                grown = was.count is not None and field.count is not None and field.count > was.count
                text = f"{was.count or 'no'} elements are now {field.count or 'none'}"
                rule = "field-array-grown" if grown else "field-type"
                self._add(rule, subject, text, part.place_of("count"), arch)
            self._words(subject, old_parts[field.name], part, ("summary",))

    def _instructions(self) -> None:
        old, new = self._sections("instructions")
        for name, before in old.items():
            if name not in new:
                self._add("instruction-removed", name, "is gone", before.place)
        for name, after in new.items():
            if name not in old:
                self._add("instruction-added", name, "is new", after.place)
                continue
            for key in ("class", "summary", "instead", "source"):
                if old[name].get(key) != after.get(key):
                    self._add("instruction-changed", name, f"'{key}' changed", after.place_of(key))

    def _features(self) -> None:
        old, new = self._sections("features")
        for name, before in old.items():
            if name not in new:
                self._add("feature-removed", name, "is gone", before.place)
        for name, after in new.items():
            if name not in old:
                self._add("feature-added", name, "is new", after.place)
                continue
            for key in ("cpuid", "summary", "source"):
                if old[name].get(key) != after.get(key):
                    self._add("feature-changed", name, f"'{key}' changed", after.place_of(key))

    def _terms(self) -> None:
        if self._old.earlier != self._new.earlier:
            return  # what calls require is compared by its words
        old, new = self._sections("terms")
        for name, before in old.items():
            if name not in new:
                self._add("term-removed", name, "is gone", before.place)
        for name, after in new.items():
            if name not in old:
                self._add("term-added", name, "is new", after.place)
                continue
            if old[name]["summary"] != after["summary"]:
                text = _short(after["summary"])
                self._add("requirement-reworded", f"term {name}", text, after.place_of("summary"))
            self._words(f"term {name}", old[name], after, ("source",))

    # Calls

    def _calls(self) -> dict[str, str]:
        """Returns the names of those that both sides have, the old one and the new one."""
        if self._old.earlier and not self._new.earlier:
            text = "calls say `suspend`, `stack` and `interruptible`"
            self._add("promises-added", "calls", text, self._new.document.key_place("calls"))
        old, new = self._sections("calls")
        by_symbol = {part["symbol"]: part for part in new.values()}
        pairs: list[tuple[Map, Map]] = []
        gone: list[Map] = []
        for name, before in old.items():
            after = new.get(name) or by_symbol.get(before["symbol"])
            if after is not None and (after["name"] == name or after["name"] not in old):
                pairs.append((before, after))
            else:
                gone.append(before)
        known = {after["name"] for _, after in pairs}
        for part in gone:
            for arch in part.get("architectures", (None,)):
                self._add("call-removed", part["name"], "is gone", part.place, arch)
        free = {part["ordinal"]: part["name"] for part in gone}
        for name, after in new.items():
            if name not in known:
                self._new_thing("call-added", name, after)
            if after["ordinal"] in free:
                text = f"ordinal {after['ordinal']} was that of {free[after['ordinal']]}"
                self._add("call-ordinal-reused", name, text, after.place_of("ordinal"))
        for before, after in pairs:
            self._call(before, after)
        return {before["name"]: after["name"] for before, after in pairs}

    def _call(self, before: Map, after: Map) -> None:
        name = after["name"]

        def changed(key: str, rule: str) -> None:
            if before.get(key) != after.get(key):
                self._add(rule, name, f"{key} {before.get(key)} is now {after.get(key)}", after.place_of(key))

        changed("name", "call-renamed")
        changed("symbol", "call-symbol")
        changed("ordinal", "call-ordinal-published" if self._published(before) else "call-ordinal")
        changed("group", "call-group")
        changed("category", "call-category")
        changed("convention", "call-convention")
        self._since(name, before, after)
        self._words(name, before, after, ("summary", "description", "replaces", "source"))
        if before.get("instructions", []) != after.get("instructions", []):
            now = names(after.get("instructions", []))
            self._add("call-instructions", name, f"now {now}", after.place_of("instructions"))
        if before["memory"] != after["memory"]:
            rule = "memory-added" if after["memory"] else "memory-removed"
            text = f"memory {str(before['memory']).lower()} is now {str(after['memory']).lower()}"
            self._add(rule, name, text, after.place_of("memory"))
        if ("noreturn" in before) != ("noreturn" in after):
            if "noreturn" in after:
                self._add("call-noreturn", name, "does not return any more", after.place_of("noreturn"))
            else:
                self._add("call-returns", name, "returns now", before.place_of("noreturn"))
        self._requirements(name, before, after)
        self._errors(name, before, after)
        self._promises(name, before, after)
        for arch in self._archs:
            had, has = (arch in part.get("architectures", (arch,)) for part in (before, after))
            if had != has:
                rule, text = ("removed", "is gone") if had else ("added", "is new")
                place = (after if "architectures" in after else before).place_of("architectures")
                self._add(f"call-architecture-{rule}", name, f"{text} there", place, arch)
            if not (had and has):
                continue
            old, new = (
                _named(side.specs[arch].calls, part["name"])
                for side, part in ((self._old, before), (self._new, after))
            )
            if old.site != new.site:
                text = f"{old.site} bytes are now {new.site}"
                self._add("site-length", name, text, after.place_of("site"), arch)
            self._arguments(name, arch, old, new, before, after)
            self._results(name, arch, old, new, before, after)
            self._registers(name, arch, old, new, after)

    def _requirements(self, name: str, before: Map, after: Map) -> None:
        """Terms, by their names; a name that is new may stand for the words of one that is gone."""
        old, new = (
            {
                term: next(part["summary"] for part in side.document.get("terms", ()) if part["name"] == term)
                for term in part.get("requires", ())
            }
            for side, part in ((self._old, before), (self._new, after))
        )
        left = {term: words for term, words in old.items() if term not in new}
        for i, (term, words) in enumerate(new.items()):
            if term in old:
                continue
            place = after["requires"].place_of(i)
            near = max(left, key=lambda other: _likeness(left[other], words), default=None)
            if near is None or _likeness(left[near], words) < _SIMILAR:
                self._add("requirement-added", name, f"{term}: {_short(words)}", place)
                continue
            same = left.pop(near) == words
            if not (same and self._old.earlier):  # which had words in place of names
                self._add("requirement-reworded", name, f"{term}: {_short(words)}", place)
        for term, words in left.items():
            place = before["requires"].place_of(list(old).index(term))
            said = words if self._old.earlier else f"{term}: {words}"
            self._add("requirement-removed", name, _short(said), place)

    def _promises(self, name: str, before: Map, after: Map) -> None:
        """What a call says of suspend, stack and interrupts."""
        if self._old.earlier or self._new.earlier:
            return
        if before["suspend"] != after["suspend"]:
            rule = "suspend-lost" if after["suspend"] == "lost" else "suspend-changed"
            text = f"suspend {before['suspend']} is now {after['suspend']}"
            self._add(rule, name, text, after.place_of("suspend"))
        if before["stack"] != after["stack"]:
            rule = "stack-grown" if after["stack"] > before["stack"] else "stack-shrunk"
            text = f"{before['stack']} bytes are now {after['stack']}"
            self._add(rule, name, text, after.place_of("stack"))
        if before["interruptible"] != after["interruptible"]:
            rule = "interruptible-added" if after["interruptible"] else "interruptible-removed"
            text = "interrupts may come in now" if after["interruptible"] else "no interrupts come in now"
            self._add(rule, name, text, after.place_of("interruptible"))
        if ("nmi" in before) != ("nmi" in after):
            rule, said, text = (
                ("nmi-added", after, "an NMI handler may make it now")
                if "nmi" in after
                else ("nmi-removed", before, "an NMI handler must not make it any more")
            )
            self._add(rule, name, text, said.place_of("nmi"))

    def _errors(self, name: str, before: Map, after: Map) -> None:
        old = {part["value"]: part for part in before.get("errors", ())}
        new = {part["value"]: part for part in after.get("errors", ())}
        for value, part in new.items():
            if value not in old:
                rule = "error-added" if old else "error-first"
                self._add(rule, name, f"{value}: {_short(part['when'])}", part.place)
            else:
                self._words(f"{name} {value}", old[value], part, ("when",))
        for value, part in old.items():
            if value not in new:
                self._add("error-removed", name, f"{value} is gone", part.place)

    def _arguments(self, name: str, arch: str, old: Call, new: Call, before: Map, after: Map) -> None:
        was, now = [a.name for a in old.arguments], [a.name for a in new.arguments]
        parts, old_parts = _there(after, "arguments", arch), _there(before, "arguments", arch)
        if was != now and sorted(was) == sorted(now):
            text = f"{names(was)} is now {names(now)}"
            self._add("argument-order", name, text, after.place_of("arguments"), arch)
            return
        pairs: list[tuple[int, int]]
        if len(was) == len(now):
            # By position, as C takes them: another name there is another name, and nothing else.
            pairs = [(i, i) for i in range(len(was))]
        else:
            pairs = [(was.index(argument), i) for i, argument in enumerate(now) if argument in was]
            for i, argument in enumerate(was):
                if argument not in now:
                    self._add("argument-removed", f"{name}.{argument}", "is gone", old_parts[i].place, arch)
            for i, argument in enumerate(now):
                if argument not in was:
                    self._add("argument-added", f"{name}.{argument}", "is new", parts[i].place, arch)
        for i, j in pairs:
            subject = f"{name}.{now[j]}"
            if was[i] != now[j]:
                text = f"name {was[i]} is now {now[j]}"
                self._add("argument-renamed", subject, text, parts[j].place_of("name"), arch)
            self._value("argument", subject, arch, old.arguments[i], new.arguments[j], old_parts[i], parts[j])

    def _value(
        self, what: str, subject: str, arch: str, old: Argument, new: Argument, before: Map, after: Map
    ) -> None:
        """An argument or a result."""
        place = after.place_of("type")
        if old.type.c != new.type.c:
            const = what == "argument" and new.type.c == f"const {old.type.c}"
            rule = "argument-const" if const else f"{what}-type"
            self._add(rule, subject, f"{old.type.c} is now {new.type.c}", place, arch)
        elif old.type.name != new.type.name:
            text = f"type {old.type.name} is now {new.type.name}"
            self._add(_meaning(what, old.type.name, new.type.name), subject, text, place, arch)
        if old.registers != new.registers:
            text = f"{names(old.registers)} is now {names(new.registers)}"
            listed = after.get("registers", {})
            # Where they follow from the convention the argument as a whole is their place.
            at = listed.place_of(arch) if arch in listed else after.place
            self._add(f"{what}-registers", subject, text, at, arch)
        if old.unit is not None and new.unit is not None and old.unit != new.unit:
            text = f"unit {old.unit} is now {new.unit}"
            self._add(f"{what}-unit", subject, text, after.place_of("unit"))
            self._words(subject, before, after, ("summary",))
        else:
            self._words(subject, before, after, ("summary", "unit"))

    def _results(self, name: str, arch: str, old: Call, new: Call, before: Map, after: Map) -> None:
        if not old.all_results and new.all_results:
            place = after.place_of("result" if "result" in after else "results")
            text = f"returns {names(r.type.name for r in new.all_results)}"
            self._add("result-added", name, text, place, arch)
        elif old.all_results and not new.all_results:
            place = before.place_of("result" if "result" in before else "results")
            self._add("result-removed", name, "returns nothing", place, arch)
        elif len(old.all_results) != len(new.all_results):
            text = f"{len(old.all_results)} values are now {len(new.all_results)}"
            place = after.place_of("result" if "result" in after else "results")
            self._add("result-several", name, text, place, arch)
        else:
            for i, (was, now) in enumerate(zip(old.all_results, new.all_results, strict=True)):
                one = "result" in after
                part = after["result"] if one else after["results"][i]
                old_part = before["result"] if "result" in before else before["results"][i]
                subject = name if one else f"{name}.{now.name}"
                if was.name != now.name:
                    text = f"name {was.name} is now {now.name}"
                    self._add("result-renamed", subject, text, part.place_of("name"))
                self._value("result", subject, arch, was, now, old_part, part)
            if old.unsupported != new.unsupported:
                text = f"{old.unsupported:#x} is now {new.unsupported:#x}"
                key = next((key for key in ("unsupported", "errors") if key in after), "result")
                self._add("unsupported-value", name, text, after.place_of(key), arch)

    def _registers(self, name: str, arch: str, old: Call, new: Call, after: Map) -> None:
        """What a call keeps; an argument's register that is not listed as destroyed is kept, too."""
        place = after["clobbers"].place_of(arch)
        both = set(old.kept) | set(new.kept)
        for register in self._new.specs[arch].architecture.registers:
            if register not in both:
                continue
            known = register in self._old.specs[arch].architecture.registers
            if register in old.kept and register not in new.kept:
                rule = "register-destroyed-c" if new.convention == "c" else "register-destroyed"
                self._add(rule, name, f"{register} is not kept any more", place, arch)
            elif register in new.kept and register not in old.kept and known:
                self._add("register-kept", name, f"{register} is kept now", place, arch)


def _meaning(what: str, old: str, new: str) -> str:
    """The rule for another type that is the same in C: mere numbers differ in width alone."""
    plain = all(re.fullmatch(r"[us][0-9]+|word", name) for name in (old, new))
    return f"{what}-word" if plain else f"{what}-meaning"


def _there(part: Map, key: str, arch: str) -> list[Map]:
    """The arguments or fields that are there on an architecture."""
    return [item for item in part.get(key, ()) if arch in item.get("architectures", (arch,))]


def _named(parts: Iterable[Any], name: str) -> Any:
    return next(part for part in parts if part.name == name)


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 72 else f"{line[:71]}…"


# Announcements and output


def announced(changes: Iterable[Change], text: str, heading: str) -> Iterator[Change]:
    """Those changes that a section of CHANGES.md does not name by rule and subject."""
    found = re.search(rf"^## {re.escape(heading)}\b.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    section = found.group() if found else ""
    for change in changes:
        if change.level is Level.COMPATIBLE:
            continue
        rule = re.escape(change.rule)
        subject = re.escape(change.subject)
        if not re.search(rf"`{rule}`[^\n]*`{subject}`", section):
            yield change


def as_text(changes: list[Change], write: Callable[[str], None]) -> None:
    """A line per change, and a summary."""
    for change in changes:
        write(str(change))
    counts = ", ".join(f"{sum(c.level is level for c in changes)} {level}" for level in Level)
    write(f"vmi diff: {counts}")


def as_json(old: Version, new: Version, changes: list[Change]) -> str:
    """Everything, for other tools."""
    return json.dumps(
        {
            "old": {"name": old.name, "version": ".".join(map(str, old.api))},
            "new": {"name": new.name, "version": ".".join(map(str, new.api))},
            "counts": {str(level): sum(c.level is level for c in changes) for level in Level},
            "changes": [
                {
                    "level": str(change.level),
                    "rule": change.rule,
                    "subject": change.subject,
                    "text": change.text,
                    "architectures": list(change.architectures),
                    "file": change.place.file,
                    "line": change.place.line,
                    "column": change.place.column,
                }
                for change in changes
            ],
        },
        indent=2,
        ensure_ascii=False,
    )
