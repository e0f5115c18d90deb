# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""From the model to the text of every output, through the templates.

Templates are found by name in `templates/`; a backend's own `templates/` folder comes first for that
backend's files. All outputs are rendered before any is written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import jinja2

from . import files, i386, rust, x86_64
from .common import FORM_ROOM, entry_point, prototype
from .compiled import CompiledTemplates
from .model import (
    Architecture,
    Argument,
    Backend,
    Call,
    Field,
    Hypercall,
    HypercallTable,
    Kind,
    Model,
    Spec,
    Way,
)
from .problems import Place, Problems, reason
from .rules import names, slug
from .sides import EveryBackend, EveryCall, EverySpec, EveryStructure, EveryType, Row, Side, everywhere, sides
from .text import backslashed, c_string, cell, comment, entry, hang, in_comment, json_lines, trailing

TEMPLATES = Path(__file__).resolve().parent / "templates"
_GENERATORS: dict[str, ModuleType] = {"i386": i386, "x86_64": x86_64}

_COMPILED: dict[str, Any] = {"keep_trailing_newline": True, "trim_blocks": True, "lstrip_blocks": True}
"""How templates are compiled."""

# What one template may take; the largest takes some 100 KB and a tenth of a second.
MOST_TEXT = 16 << 20
"""Characters."""
MOST_SECONDS = 20.0
"""Of the processor's time, so that a busy machine makes no difference."""
MOST_STEPS = 1_000_000
"""Numbers of a `range`."""


def architectures() -> list[str]:
    """Architectures that code can be generated for."""
    return sorted(_GENERATORS)


BACKEND_OUTPUTS = (
    "stubs.S",
    "routines.h",
    "hypercalls.S",
    "hypercalls.h",
    "calls.c",
    "rom.S",
    "inline.inc",
)


DIGESTS = "digests.json"
"""A digest of each architecture's model: what changes where pages do."""


class _Refused(Exception):
    """A template that cannot be read, or that does not end."""

    def __init__(self, found: str, place: Place | None = None) -> None:
        super().__init__(found)
        self.place = place


class _Loader(jinja2.FileSystemLoader):
    """Says which file it is that cannot be read; no folder or pipe in its place is overlooked."""

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Any]:
        parts = jinja2.loaders.split_template_path(template)
        for folder in self.searchpath:
            path = Path(folder, *parts)
            if not os.path.lexists(path):
                continue
            try:
                return files.read(path).decode("utf-8"), str(path), lambda: True
            except UnicodeDecodeError as error:
                place, found = files.not_utf8(str(path), error)
                raise _Refused(found, place) from None
            except OSError as error:
                raise _Refused(f"cannot read ({reason(error)})", Place(str(path))) from None
        raise jinja2.TemplateNotFound(template)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Ends, at some line of a template, what takes more than MOST_SECONDS."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(number: int, frame: object) -> None:
        raise _Refused(f"takes more than {MOST_SECONDS:g} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _filled(template: jinja2.Template, context: dict[str, Any]) -> str:
    """A template's text, unless there is no end to it."""
    parts: list[str] = []
    length = 0
    made: Any = template.generate(context)
    for part in made:
        parts.append(part)
        length += len(part)
        if length > MOST_TEXT:
            # Raised where the template stands, for its line.
            made.throw(_Refused(f"writes more than {MOST_TEXT >> 20} MiB"))
    return "".join(parts)


def _range(*bounds: int) -> range:
    """`range` of templates. Filters that go through a long one are not to be stopped."""
    steps = range(*bounds)
    if len(steps) > MOST_STEPS:
        raise _Refused(f"a range of more than {MOST_STEPS} numbers")
    return steps


@dataclass(frozen=True)
class Output:
    """One file to render; `sources` are named in its banner, `more` are names that its template sees. A
    `page` for people is of all architectures."""

    path: str
    template: str | None
    sources: tuple[str, ...]
    backend: Backend | None = None
    category: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    page: bool = False


def outputs(
    model_categories: Iterable[str],
    backends: Iterable[Backend],
    spec_source: str,
    parts: Sequence[str] = (),
) -> list[Output]:
    """All outputs, in the order in which they are listed; `parts` are those that calls are in."""
    spec = (spec_source,)
    listed = list(backends)
    everything = (spec_source, "the backends") if listed else spec
    found = [
        Output("include/vmi/vmi.h", "vmi.h.j2", spec),
        Output("include/vmi/constants.h", "constants.h.j2", spec),
        Output("slots.S", "slots.S.j2", spec),
        Output("pointers.S", "pointers.S.j2", spec),
        Output("flavour.S", "flavour.S.j2", spec),
        Output("flavour.inc", "flavour.inc.j2", spec),
        Output("flavour.syms", "flavour.syms.j2", spec),
        Output("rust/vmi.rs", "vmi.rs.j2", spec),
    ]
    for backend in listed:
        own = (spec_source, backend_source(backend.name))
        found += [Output(f"{backend.name}/{name}", f"{name}.j2", own, backend) for name in BACKEND_OUTPUTS]
        found += [
            Output(f"{backend.name}/stubs-{part}.S", "stubs.S.j2", own, backend, more={"part": part})
            for part in parts
        ]
        if backend.drivers:
            found.append(Output(f"{backend.name}/drivers.c", "drivers.c.j2", own, backend))
    found += [
        Output("model.json", None, everything),
        Output(DIGESTS, None, everything),
        Output("support-matrix.md", "support-matrix.md.j2", everything, page=True),
        Output("reference/README.md", "reference-index.md.j2", spec, page=True),
    ]
    found += [
        Output(f"reference/{slug(category)}.md", "reference.md.j2", everything, category=category, page=True)
        for category in model_categories
    ]
    return found


def backend_source(name: str) -> str:
    """What banners call a backend's file; no path of the build machine stands in an output."""
    return f"{name}/backend.yaml"


class Renderer:
    """Renders a model's outputs."""

    def __init__(
        self,
        models: Mapping[str, Model],
        arch: str,
        spec_source: str,
        folders: dict[str, Path],
        problems: Problems,
        checks: Mapping[str, Sequence[str]],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._checks = checks
        self._more = more or {}
        self._models = models
        self._everywhere = everywhere(models)
        self._model = models[arch]
        self._spec_source = spec_source
        self._problems = problems
        self._arch = self._model.spec.architecture
        self._generator = _GENERATORS[arch]
        self._environments: dict[Path | None, jinja2.Environment] = {}
        self._json_texts: dict[str, str] = {}
        self._folders = folders

    def outputs(self) -> list[Output]:
        """Everything that `generate` writes."""
        spec, backends = self._model.spec, self._model.backends
        return outputs(self._everywhere.spec.categories, backends, self._spec_source, spec.parts)

    def render(self, wanted: Sequence[Output] | None = None) -> dict[str, str]:
        """Path and text of every output, or of those wanted; what a template did wrong is noted."""
        texts: dict[str, str] = {}
        for output in self.outputs() if wanted is None else wanted:
            if output.template is None:
                made = self._digests() if output.path == DIGESTS else self._json(self._arch.name)
                texts[output.path] = made
                continue
            text = self._fill(output)
            if text is not None:
                texts[output.path] = text
        return texts

    def templates(self) -> list[Path]:
        """Every template file that an output may come from."""
        folders = [TEMPLATES, *(folder / "templates" for folder in self._folders.values())]
        return [path for folder in folders for path in sorted(folder.glob("*.j2"))]

    def _environment(self, backend: Backend | None) -> jinja2.Environment:
        own = self._folders[backend.name] / "templates" if backend else None
        if own is not None and not own.is_dir():
            if os.path.lexists(own):
                raise _Refused("is no folder", Place(str(own)))
            own = None
        if own not in self._environments:
            folders = [own, TEMPLATES] if own else [TEMPLATES]
            environment = jinja2.Environment(
                loader=_Loader(folders),
                undefined=jinja2.StrictUndefined,
                autoescape=_is_html,
                bytecode_cache=CompiledTemplates(TEMPLATES, repr(_COMPILED)),
                **_COMPILED,
            )
            environment.globals.update(self._functions())
            self._environments[own] = environment
        return self._environments[own]

    def _fill(self, output: Output) -> str | None:
        assert output.template is not None
        folders = [TEMPLATES]
        if output.backend:
            folders.append(self._folders[output.backend.name] / "templates")
        seen = self._everywhere if output.page else self._model
        context: dict[str, Any] = {
            "spec": seen.spec,
            "backends": seen.backends,
            "banner": banner(output),
        }
        if output.backend:
            context |= {"backend": output.backend, "guard": partial(_guard, output.backend)}
        if output.category is not None:
            context |= {"category": output.category, "calls": seen.spec.categories[output.category]}
        context |= output.more
        try:
            with _bounded():
                return _filled(self._environment(output.backend).get_template(output.template), context)
        except jinja2.TemplateSyntaxError as error:
            place = Place(error.filename or error.name or output.template, error.lineno, 1)
            self._problems.add(place, f"template: {error.message}", "expected Jinja2", "correct the template")
        except Exception as error:  # a template can raise anything, and its author must see where
            found = error.place if isinstance(error, _Refused) else None
            found = found or _template_line(error.__traceback__, folders)
            known = (jinja2.TemplateNotFound, _Refused, RecursionError, MemoryError)
            if found is None and not isinstance(error, known):
                raise
            what = str(error) or type(error).__name__
            if isinstance(error, jinja2.TemplateNotFound):
                what = f"no template '{error}'"
            self._problems.add(
                found or Place(str(TEMPLATES / output.template)),
                f"template: {what}",
                "expected only names and values that the model has",
                "correct the template (codegen/README.md lists the names)",
            )
        return None

    def _functions(self) -> dict[str, Any]:
        """What templates may call."""
        arch, generator = self._arch, self._generator
        return {
            "range": _range,
            "syntax": generator.SYNTAX,
            "backslashed": backslashed,
            "comment": comment,
            "in_comment": in_comment,
            "trailing": trailing,
            "hang": hang,
            "c_string": c_string,
            "entry": entry,
            "cell": cell,
            "names": names,
            "slug": slug,
            "place": _place,
            "loaded": _loaded,
            "contract": partial(_contract, arch=arch),
            "kind": _kind,
            "heading": _heading,
            "wrapper": generator.wrapper,
            "c_compatible": partial(generator.c_compatible, arch=arch),
            "inline": generator.inline,
            "live": generator.live,
            "rust": rust,
            "rust_arch": generator.RUST_ARCH,
            "stub": partial(generator.stub, arch=arch),
            "entry_point": partial(
                entry_point, stub=partial(generator.stub, arch=arch), framed=generator.framed
            ),
            "form_room": FORM_ROOM,
            "hypercall_stub": generator.hypercall_stub,
            "framed": generator.framed,
            "hypercall_parameters": _hypercall_parameters,
            "needs_interface": _needs_interface,
            "hypercall_convention": generator.HYPERCALL_CONVENTION,
            "dies": _dies,
            "routines": partial(_routines, self._model.spec),
            "declaration": _declaration,
            "count": _count,
            "inherited": _inherited,
            "checks": self._checks,
            "shown_by": self._shown_by,
            "digest": self._digest,
            "in_short": _in_short,
            "declarations": _declarations,
            "stubs_on": self._stubs_on,
            "row_registers": _row_registers,
            "c_types": _c_types,
            "sizes": _sizes,
            "field_declarations": _field_declarations,
            "field_offsets": _field_offsets,
            "offset_columns": _offset_columns,
            "everywhere_text": _everywhere_text,
            "way_cells": _way_cells,
            "way_texts": _way_texts,
            "either": _either,
            **self._more,
        }

    def _stubs_on(self, call: EveryCall, backend: EveryBackend) -> list[Side[list[str]]]:
        """A library's entry point on each architecture."""
        lines: dict[str, list[str]] = {
            arch: _GENERATORS[arch].stub(call.on[arch], way, self._models[arch].spec.architecture)
            for arch, way in backend.found(call).items()
        }
        return sides(lines, everywhere=call.on)

    def _shown_by(self, call: Call) -> list[str]:
        """The checks that show a call: those that are generated for each that comes back, then others."""
        named = list(self._checks.get(call.symbol, ()))
        if call.convention != "jump" and not call.noreturn:
            named = ["contract", "matrix", *named]
        return [f"{name}.{call.name}" if name in ("contract", "matrix") else name for name in named]

    def _backend_part(self, backend: Backend, model: Model) -> dict[str, Any]:
        hypercalls = [
            {
                "name": call.name,
                "c_name": call.c_name,
                "number": call.number,
                "macro": call.macro,
                "summary": call.summary,
                "source": call.source,
                "obsolete": call.obsolete,
                "counter": call.counter,
                "owner": table.owner,
                "arguments": [
                    {"name": a.name, "type": a.type.name, "registers": a.registers} for a in call.arguments
                ],
                "clobbers": call.clobbers,
                "number_register": table.abi.number,
                "result": table.abi.result,
                "transfer": table.abi.transfer,
            }
            for table in backend.tables
            for call in table.calls
        ]
        return {
            "name": backend.name,
            "title": backend.title,
            "summary": backend.summary,
            "inherits": backend.inherits,
            "architectures": backend.architectures,
            "hypercalls": hypercalls,
            "calls": {call.name: self._way_json(backend, call, model.spec) for call in model.spec.calls},
        }

    def _digest(self, backend: Backend) -> str:
        """What tells a backend's library and its image of one build from those of another."""
        calls = [(call.ordinal, call.c_name, call.convention) for call in self._model.spec.calls]
        model = {"arch": self._arch.name, "calls": calls, "backend": self._backend_part(backend, self._model)}
        return hashlib.sha256(json_lines(model).encode()).hexdigest()

    def _digests(self) -> str:
        made = {
            "generated": f"from {self._spec_source}; do not edit",
            "license": "MIT OR GPL-2.0-only",
            "models": {arch: hashlib.sha256(self._json(arch).encode()).hexdigest() for arch in self._models},
        }
        return json_lines(made) + "\n"

    def _json(self, arch: str) -> str:
        if arch not in self._json_texts:
            self._json_texts[arch] = self._json_of(self._models[arch])
        return self._json_texts[arch]

    def _json_of(self, of: Model) -> str:
        spec = of.spec
        spec_part = vars(spec) | {
            "architecture": vars(spec.architecture),
            "calls": [
                {key: value for key, value in vars(call).items() if key != "part" or value}
                | {"c_name": call.c_name, "prototype": _declaration(call)}
                for call in spec.calls
            ],
        }
        backends = [self._backend_part(backend, of) for backend in of.backends]
        model = {
            "generated": f"from {self._spec_source}; do not edit",
            "license": "MIT OR GPL-2.0-only",
            "spec": spec_part,
            "backends": backends,
        }
        return json_lines(model) + "\n"

    def _way_json(self, backend: Backend, call: Call, spec: Spec) -> dict[str, Any]:
        way = backend.ways[call.name]
        stub = partial(_GENERATORS[spec.architecture.name].stub, arch=spec.architecture)
        return {
            "kind": str(way.kind),
            "how": way.how,
            "origin": way.origin,
            "inherited": way.origin != backend.name,
            "hypercalls": way.hypercalls,
            "routine": way.routine,
            "direct": way.direct is not None,
            "reason": way.reason,
            "when": way.when,
            "note": way.note,
            "instructions": stub(call, way),
            "forms": [
                {
                    "feature": form.feature.name,
                    "kind": str(form.way.kind),
                    "how": form.way.how,
                    "routine": form.way.routine,
                    "instructions": stub(call, form.way),
                }
                for form in way.forms
            ],
        }


def banner(output: Output) -> str:
    """The first lines of a generated file, in its comment syntax."""
    lines = [
        "SPDX-License-Identifier: MIT OR GPL-2.0-only",
        f"Generated from {' and '.join(output.sources)} by the template {output.template}; do not edit.",
    ]
    if output.path.endswith((".md", ".html")):
        return "\n".join(f"<!-- {line} -->" for line in lines)
    if output.path.startswith("man/"):
        return "\n".join(f'.\\" {line}' for line in lines)
    if output.path.endswith(".syms"):
        return "\n".join(f"# {line}" for line in lines)
    if output.path.endswith(".rs"):
        return "\n".join(f"// {line}" for line in lines)
    return "\n".join(f"/* {line} */" for line in lines)


def _is_html(template: str | None) -> bool:
    return template is not None and template.endswith(".html.j2")


# Model to text


def _guard(backend: Backend, name: str) -> str:
    return f"VMI__{backend.name.upper()}_{name}"


def _heading(category: str) -> str:
    return category[0].upper() + category[1:]


def _place(argument: Argument) -> str:
    unit = f"{in_comment(argument.unit)}; " if argument.unit else ""
    return f"({unit}{':'.join(reversed(argument.registers))})"


def _registers_of(arguments: Iterable[Argument]) -> str:
    return ", ".join(f"{':'.join(reversed(a.registers))} {a.name}" for a in arguments)


def _loaded(call: Hypercall, table: HypercallTable) -> str:
    return ", ".join(filter(None, (f"{table.abi.number} number", _registers_of(call.arguments))))


def _contract(call: Call, arch: Architecture) -> str:
    taken = _registers_of(call.arguments) or "nothing"
    if call.convention == "jump":
        return f"Entered by a jump with the stack of the instruction; does not return. In: {taken}."
    given = ", ".join(f"{':'.join(reversed(r.registers))} {r.name}" for r in call.all_results) or "nothing"
    out = "does not return" if call.noreturn else f"out: {given}"
    return f"In: {taken}; {out}; destroyed: {names(call.clobbers)}."


def _kind(way: Way) -> str:
    if way.kind is Kind.HYPERCALL:
        return f"hypercall {names(way.hypercalls)}" + (" by routine" if way.routine else "")
    return str(way.kind)


def _hypercall_parameters(call: Hypercall) -> list[str]:
    return [argument.type.declare(argument.name) for argument in call.arguments]


def _needs_interface(backend: Backend) -> bool:
    """Whether arguments of hypercalls have types that vmi.h declares."""
    types = [argument.type for table in backend.tables for call in table.calls for argument in call.arguments]
    return any("struct" in each.c for each in types)


def _dies(table: HypercallTable) -> str:
    if table.abi.clobbers is None:
        return "Destroys the argument registers that were used."
    return f"Destroys {names(table.abi.clobbers)}."


@dataclass(frozen=True)
class Routine:
    """A routine of a library, with the calls that it does."""

    name: str
    calls: tuple[Call, ...]
    hypercalls: tuple[str, ...]
    parameters: list[str]
    returns: str


def _routines(spec: Spec, backend: Backend) -> list[Routine]:
    by_name: dict[str, list[Call]] = {}
    for call in spec.calls:
        way = backend.ways[call.name]
        for routine in dict.fromkeys([way.routine, *(form.way.routine for form in way.forms)]):
            if routine:
                by_name.setdefault(routine, []).append(call)
    found = []
    for name, calls in by_name.items():
        parameters, returns = prototype(calls[0])
        hypercalls = tuple(dict.fromkeys(h for call in calls for h in backend.ways[call.name].hypercalls))
        found.append(Routine(name, tuple(calls), hypercalls, parameters, returns))
    return found


def _declaration(call: Call) -> str:
    if call.convention == "jump":
        return f"jmp {call.c_name}"
    parameters, returns = prototype(call)
    space = "" if returns.endswith("*") else " "
    return f"{returns}{space}{call.c_name}({', '.join(parameters) or 'void'});"


def _declarations(call: EveryCall) -> list[Side[str]]:
    return sides({arch: _declaration(each) for arch, each in call.on.items()})


def _row_registers(row: Row, everywhere: Collection[str]) -> list[Side[str]]:
    """Where a call's argument or result is, high register first."""
    places = {arch: ":".join(reversed(registers)) for arch, registers in row.registers.items()}
    return sides(places, everywhere=everywhere)


def _c_types(of: EveryType) -> list[Side[str]]:
    return sides({arch: each.c for arch, each in of.on.items()})


def _sizes(structure: EveryStructure) -> list[Side[int]]:
    return sides({arch: each.size for arch, each in structure.on.items()})


def _field_declarations(row: Mapping[str, Field], everywhere: Collection[str] = ()) -> list[Side[str]]:
    return sides({arch: each.declaration for arch, each in row.items()}, everywhere=everywhere)


def _field_offsets(row: Mapping[str, Field]) -> list[Side[int]]:
    return sides({arch: each.offset for arch, each in row.items()})


def _offset_columns(structure: EveryStructure) -> list[str]:
    """Architectures whose offsets a table of its fields shows: one where they are all the same."""
    return list(structure.on)[: 1 if structure.same_layout else None]


def _everywhere_text(spec: EverySpec) -> str:
    """How many calls there are, and where: for the beginning of an index."""
    both = " and ".join(arch.name for arch in spec.architectures)
    alone = spec.alone
    parts = [f"{len(spec.calls) - sum(alone.values())} on {both}"]
    parts += [f"{number} on {which} only" for which, number in alone.items()]
    return f"{len(spec.calls)} calls: {', '.join(parts)}." if alone else f"{len(spec.calls)} calls on {both}."


def _either(values: Sequence[Side[Any]], mark: str = "{}") -> str:
    """What architectures say, in a line of text: `uint32_t on i386, uint64_t on x86_64`."""
    said = [(mark.format(side.value), f" on {names(side.on)}" if side.on else "") for side in values]
    return ", ".join("".join(each) for each in said)


def _count(backend: Backend, kind: str) -> int:
    return sum(way.kind == kind for way in backend.ways.values())


def _inherited(backend: Backend) -> int:
    return sum(way.origin != backend.name for way in backend.ways.values())


_SIGNS = {Kind.INSTRUCTION: "I", Kind.HYPERCALL: "H", Kind.ROUTINE: "R", Kind.UNSUPPORTED: "-"}


def _in_short(names: Sequence[str], most: int = 4) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _way_cell(backend: Backend, call: Call) -> str:
    way = backend.ways[call.name]
    text = "".join(
        f"{_SIGNS[form.way.kind]} {_shortened(form.way)} with {form.feature.name}, else "
        for form in way.forms
    )
    text += _SIGNS[way.kind]
    if way.kind is Kind.HYPERCALL:
        text += f" {', '.join(way.hypercalls)}"
        if way.when:
            text += f", {way.when}"
    elif way.kind is Kind.UNSUPPORTED:
        text += f" {way.reason}"
    elif way.kind is Kind.INSTRUCTION or way.forms:
        text += f" {_shortened(way)}"
    if way.origin != backend.name:
        text += f" ↑ {way.origin}"
    return text + (f" ({way.note})" if way.note else "")


def _inherited_alike(backend: EveryBackend, call: EveryCall) -> Way | None:
    """A way that is inherited on all architectures from the same backend, which says what it does on each."""
    ways = backend.found(call)
    if set(ways) != set(call.on) or len({(way.kind, way.origin, way.note) for way in ways.values()}) != 1:
        return None
    way = next(iter(ways.values()))
    return None if way.origin == backend.name or any(each.forms for each in ways.values()) else way


def _way_cells(backend: EveryBackend, call: EveryCall) -> list[Side[str]]:
    """The matrix's cell, on each architecture where they differ."""
    cells = {arch: _way_cell(backend.on[arch], call.on[arch]) for arch in backend.found(call)}
    found = sides(cells, everywhere=call.on)
    way = _inherited_alike(backend, call)
    if len(found) == 1 or way is None:
        return found
    return [Side((), f"{_SIGNS[way.kind]} ↑ {way.origin}" + (f" ({way.note})" if way.note else ""))]


def _way_texts(backend: EveryBackend, call: EveryCall) -> list[Side[tuple[str, str]]]:
    """Kind and text of how a backend does a call, on each architecture where they differ."""
    texts = {
        arch: (str(way.kind), _way_text(backend.on[arch], way)) for arch, way in backend.found(call).items()
    }
    found = sides(texts, everywhere=call.on)
    way = _inherited_alike(backend, call)
    if len(found) == 1 or way is None:
        return found
    text = f"inherited from {way.origin}" + (f". {way.note}" if way.note else "")
    return [Side((), (str(way.kind), text))]


def _shortened(way: Way) -> str:
    """How, without its forms; the reference pages have the long ones."""
    how = replace(way, forms=()).how
    return how if way.kind is not Kind.INSTRUCTION or len(how) <= 32 else f"{len(way.instructions)} lines"


def _way_text(backend: Backend, way: Way) -> str:
    text = way.how
    if way.kind is Kind.HYPERCALL and way.routine:
        text += f", from the routine {way.routine}"
        if way.when:
            text += f", {way.when}"
    if way.direct is not None and way.constants:
        text += f" with {', '.join(str(value) for value in way.constants)}"
    if way.origin != backend.name:
        text += f"; inherited from {way.origin}"
    return text + (f". {way.note}" if way.note else "")


def _template_line(traceback: TracebackType | None, folders: list[Path]) -> Place | None:
    """The innermost line of a template in a traceback; Jinja2 maps its frames to template lines."""
    found: Place | None = None
    while traceback:
        file = traceback.tb_frame.f_code.co_filename
        if Path(file).suffix == ".j2" and Path(file).parent in folders:
            found = Place(file, traceback.tb_lineno, 1)
        traceback = traceback.tb_next
    return found
