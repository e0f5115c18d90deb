# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What a schema cannot say about the specification, and its resolution into the model.

Every function here notes all problems of its part and returns what could be resolved; the caller renders
nothing unless no problem was noted at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .document import Map, Seq
from .model import (
    Architecture,
    Argument,
    Call,
    Constant,
    Constants,
    Error,
    Feature,
    Field,
    Instruction,
    Kind,
    Spec,
    Structure,
    Term,
    Type,
)
from .problems import Place, Problems

SITE = 5
"""Bytes of a direct call, and of a call's site if the specification does not say more."""

EXTENSIONS = 128
"""First ordinal of the extension group."""

KEYWORDS = frozenset(
    """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const const_cast
    constexpr continue decltype default delete do double dynamic_cast else enum explicit export extern false
    float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator or
    or_eq private protected public register reinterpret_cast restrict return short signed sizeof static
    static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename
    typeof union
    unsigned using virtual void volatile wchar_t while xor xor_eq linux unix i386
    """.split()  # noqa: SIM905
)
"""Words that are no names in C or C++, or that GCC predefines as macros in its GNU modes."""

OWN_NAMES = re.compile(r"reg_.*|stack[0-9]+|.*_t|vmi_.*")
"""Names of locals and types in generated code."""

RESERVED_SYMBOLS = frozenset(
    (
        *(
            "calls",
            "calls_count",
            "hypercalls",
            "hypercalls_count",
            "call_count",
            "call_info",
            "hypercall_info",
        ),
        *("entry", "image_start", "text_end", "rodata_end", "image_end"),
    )
)
"""`vmi_…` names that the tables and the linker script define."""

RESERVED_MACROS = (
    "VMI_ORDINAL_",
    "VMI_ORDINALS",
    "VMI_API_",
    "VMI_SIZEOF_",
    "VMI_OFFSETOF_",
    "VMI__",
    "VMI_COUNT_CALLS",
    "VMI_TRANSFER_OVERRIDE",
    "VMI_VMI_H",
    "VMI_CONSTANTS_H",
)
"""What generated macros begin with."""

_FIXED = re.compile(r"u?int(8|16|32|64)_t")
_STACK = re.compile(r"stack([0-9]+)")


def stack_index(register: str) -> int | None:
    """The number in `stackN`, None for a register."""
    match = _STACK.fullmatch(register)
    return int(match.group(1)) if match else None


def c_places(arch: Architecture, widths: Sequence[int]) -> list[tuple[str, ...]]:
    """Where GCC's regparm(3) puts arguments of these widths in words.

    An argument that does not fit into the registers that are left goes to the stack, and so do all behind it
    (GCC manual, x86 function attributes, regparm; seen in gcc 12's and clang 14's output).
    """
    free = list(arch.arguments)
    stack = 0
    places: list[tuple[str, ...]] = []
    for width in widths:
        if width <= len(free):
            places.append(tuple(free[:width]))
            del free[:width]
        else:
            free = []
            places.append(tuple(f"stack{stack + i}" for i in range(width)))
            stack += width
    return places


def names(words: Iterable[str]) -> str:
    """A list of names for a message."""
    return ", ".join(words) or "nothing"


def version(text: str) -> tuple[int, int]:
    """A version as numbers."""
    major, _, minor = text.partition(".")
    return int(major), int(minor)


def slug(category: str) -> str:
    """A category as a file name."""
    return re.sub(r"[^a-z0-9]+", "-", category.lower()).strip("-")


class SpecRules:
    """Resolves a specification that its schema accepted, for one architecture."""

    def __init__(self, document: Map, arch_name: str, lost: set[str], problems: Problems) -> None:
        self._doc = document
        self._arch_name = arch_name
        self._lost = lost
        self._problems = problems
        self._types: dict[str, Type] = {}
        self._constants: dict[str, Constants] = {}
        self._terms: dict[str, Term] = {}
        api = document.get("api")
        self._api = (int(api["major"]), int(api["minor"])) if api else None
        self._arch: Architecture | None = None
        self.call_names: set[str] = set()

    def resolve(self) -> Spec | None:
        """The model, or None where not even a partial one makes sense."""
        self._arch = self._architecture()
        if self._arch is None:
            return None
        self._resolve_types()
        constants = self._resolve_constants()
        structures = self._resolve_structures()
        self._resolve_terms()
        features = self._resolve_features()
        calls = self._resolve_calls()
        instructions = self._resolve_instructions()
        api = self._doc.get("api")
        if not api:
            return None
        return Spec(
            api["name"],
            api["major"],
            api["minor"],
            self._arch,
            tuple(self._types.values()),
            constants,
            structures,
            calls,
            instructions,
            features,
            tuple(self._terms.values()),
        )

    # Helpers

    def _section(self, name: str) -> Seq:
        section = self._doc.get(name)
        return section if isinstance(section, Seq) else Seq(self._doc.place)

    def _once(self, seen: dict[Any, Place], key: Any, place: Place, what: str) -> bool:
        if key in seen:
            first = seen[key]
            self._problems.add(
                place,
                f"{what} is taken (line {first.line})",
                "expected each once",
                "choose another, or remove one",
            )
            return False
        seen[key] = place
        return True

    def _since(self, part: Map) -> None:
        if self._api and version(part["since"]) > self._api:
            self._problems.add(
                part.place_of("since"),
                f"since {part['since']} is above the interface's version",
                f"expected at most {self._api[0]}.{self._api[1]}",
                "correct it, or raise api.minor",
            )

    def _known_architectures(self, listed: Iterable[str], place: Callable[[str], Place]) -> None:
        known = self._doc.get("architectures", {})
        for name in listed:
            if name not in known and "architectures" not in self._lost:
                self._problems.add(
                    place(name),
                    f"unknown architecture '{name}'",
                    f"expected {names(known)}",
                    "correct it, or add it to 'architectures'",
                )

    def _per_architecture(self, part: Map) -> Any:
        """The entry for this architecture; complains about unknown ones."""
        self._known_architectures(part, part.key_place)
        if self._arch_name not in part:
            self._problems.add(
                part.place,
                f"nothing for architecture '{self._arch_name}'",
                "expected an entry for each supported one",
                f"add `{self._arch_name}: …`",
            )
            return None
        return part[self._arch_name]

    def _here(self, part: Map) -> bool:
        """Whether a part of the specification is there on this architecture; complains about unknown ones."""
        listed = part.get("architectures")
        if listed is None:
            return True
        places = {name: listed.place_of(i) for i, name in enumerate(listed)}
        self._known_architectures(listed, places.__getitem__)
        known = self._doc.get("architectures", {})
        for key in ("registers", "clobbers", "site"):
            for name in part.get(key, ()):
                if name in known and name not in listed:
                    self._problems.add(
                        part[key].key_place(name),
                        f"{key} for {name}, where '{part['name']}' is not there",
                        f"expected only {names(listed)}",
                        "remove the entry, or add the architecture to `architectures`",
                    )
        return self._arch_name in listed

    def _type(self, part: Map, key: str = "type") -> Type | None:
        name = part[key]
        if name in self._types:
            return self._types[name]
        if "types" not in self._lost:
            self._problems.add(
                part.place_of(key),
                f"unknown type '{name}'",
                f"expected one of {names(self._types)}",
                "correct it, or add it to 'types'",
            )
        return None

    def _c_name(self, part: Map, what: str) -> None:
        if part["name"] in KEYWORDS or OWN_NAMES.fullmatch(part["name"]):
            self._problems.add(
                part.place_of("name"),
                f"{what} '{part['name']}' is a word of C or C++, or one that generated code uses",
                "expected a name that can be used in both",
                "choose another",
            )

    # Parts

    def _architecture(self) -> Architecture | None:
        result: Architecture | None = None
        for name, part in self._doc.get("architectures", {}).items():
            registers = part["registers"]
            good = True
            seen: dict[Any, Place] = {}
            for i, register in enumerate(registers):
                if stack_index(register) is not None:
                    self._problems.add(
                        registers.place_of(i),
                        f"register '{register}'",
                        "stackN stands for words of the stack",
                        "choose the processor's name",
                    )
                self._once(seen, register, registers.place_of(i), f"register '{register}'")
            for key in ("arguments", "result", "scratch"):
                used: dict[Any, Place] = {}
                for i, register in enumerate(part[key]):
                    good &= self._known_register(register, registers, part[key].place_of(i), name)
                    self._once(used, register, part[key].place_of(i), f"register '{register}'")
            if name == self._arch_name and good:
                result = Architecture(
                    name,
                    part["word_bits"],
                    tuple(registers),
                    tuple(part["arguments"]),
                    part["stack_words"],
                    tuple(part["result"]),
                    tuple(part["scratch"]),
                    dict(part.get("alignment", {})),
                    "derived" in part,
                )
        return result

    def _known_register(self, register: str, registers: Iterable[str], place: Place, arch: str) -> bool:
        if register in registers:
            return True
        self._problems.add(
            place,
            f"unknown register '{register}' for {arch}",
            f"expected one of {names(registers)}",
            "correct it",
        )
        return False

    def _resolve_types(self) -> None:
        assert self._arch
        seen: dict[Any, Place] = {}
        structures = {part["name"] for part in self._section("structures")}
        for part in self._section("types"):
            if not self._once(seen, part["name"], part.place_of("name"), f"type '{part['name']}'"):
                continue
            kinds = [key for key in ("bits", "pointer", "word") if key in part]
            if len(kinds) != 1:
                self._problems.add(
                    part.place,
                    f"type '{part['name']}' has "
                    + (f"{names(kinds)}" if kinds else "neither of 'bits', 'pointer' and 'word'"),
                    "expected one of them",
                    "give `bits: N` for a number, `pointer: true` for a pointer, `word: true` for a register",
                )
                self._lost.add("types")
                continue
            pointer = "pointer" in part
            bits = part.get("bits", self._arch.word_bits)
            if ("c" in part) == ("word" in part):
                self._problems.add(
                    part.place,
                    f"type '{part['name']}' has "
                    + ("a name in C, though its width differs" if "c" in part else "no name in C"),
                    "expected `c` just for types that are no word",
                    "remove it" if "c" in part else "add `c: …`",
                )
                self._lost.add("types")
                continue
            c = " ".join(part["c"].split()) if "c" in part else f"uint{bits}_t"
            fixed = _FIXED.fullmatch(c)
            if pointer != c.endswith("*"):
                self._problems.add(
                    part.place_of("c"),
                    f"'{c}' {'is no' if pointer else 'is a'} pointer in C",
                    "expected `pointer: true` just for types that end in *",
                    "correct one of the two",
                )
            elif not pointer and bits == 0 and c != "void":
                self._problems.add(
                    part.place_of("c"), f"'{c}' with no bits", "expected void", "give its width in bits"
                )
            elif not pointer and bits and not (fixed and int(fixed.group(1)) == bits):
                self._problems.add(
                    part.place_of("c"),
                    f"'{c}' for {bits} bits",
                    f"expected uint{bits}_t or int{bits}_t",
                    "correct the type or its bits",
                )
            named = re.search(r"\bstruct (?:vmi_)?(\w+)", c)
            if (
                named
                and "structures" not in self._lost
                and (named.group(1) not in structures or "struct vmi_" not in c)
            ):
                self._problems.add(
                    part.place_of("c"),
                    f"unknown structure 'struct {named.group(1)}'",
                    f"expected struct vmi_ and one of {names(sorted(structures))}",
                    "correct it, or add it to 'structures'",
                )
            self._types[part["name"]] = Type(part["name"], c, bits, pointer, part["summary"])
        architectures = self._doc.get("architectures", {})
        for architecture in architectures.values():
            for name in architecture.get("alignment", {}):
                if name not in self._types and "types" not in self._lost:
                    self._problems.add(
                        architecture["alignment"].key_place(name),
                        f"unknown type '{name}'",
                        f"expected one of {names(self._types)}",
                        "correct it, or add it to 'types'",
                    )

    def _resolve_constants(self) -> tuple[Constants, ...]:
        seen: dict[Any, Place] = {}
        macros: dict[Any, Place] = {}
        for part in self._section("constants"):
            self._since(part)
            if not self._once(seen, part["name"], part.place_of("name"), f"group '{part['name']}'"):
                continue
            values: list[Constant] = []
            numbers: dict[Any, Place] = {}
            for value in part["values"]:
                c_name = part["prefix"] + value["name"]
                if c_name.startswith(RESERVED_MACROS):
                    self._problems.add(
                        value.place_of("name"),
                        f"'{c_name}' is a name that the generator uses",
                        f"expected none that begins with {names(RESERVED_MACROS[:5])}",
                        "choose another",
                    )
                if not self._once(macros, c_name, value.place_of("name"), f"'{c_name}'"):
                    continue
                number = value["value"]
                if part["kind"] == "flags":
                    if number < 0:
                        self._problems.add(
                            value.place_of("value"),
                            f"flag '{value['name']}' is negative",
                            "expected bits",
                            "use an unsigned number, or kind: enum",
                        )
                elif number in numbers:
                    self._problems.add(
                        value.place_of("value"),
                        f"value {number} is taken (line {numbers[number].line})",
                        "expected each value of an enum once",
                        "choose another, or kind: flags",
                    )
                numbers.setdefault(number, value.place_of("value"))
                text = f"{number:#x}" if part["kind"] == "flags" else str(number)
                values.append(Constant(value["name"], c_name, number, text, value["summary"]))
            self._constants[part["name"]] = Constants(
                part["name"],
                part["prefix"],
                part["kind"],
                part["summary"],
                part["source"],
                part["since"],
                tuple(values),
            )
        for kind in Kind:
            if f"VMI_KIND_{kind.upper()}" not in macros and "constants" not in self._lost:
                self._problems.add(
                    self._doc.key_place("constants"),
                    f"constant 'VMI_KIND_{kind.upper()}' is missing",
                    "the table of calls needs one for each kind",
                    "add it to a group with the prefix VMI_KIND_",
                )
        return tuple(self._constants.values())

    def _resolve_structures(self) -> tuple[Structure, ...]:
        assert self._arch
        seen: dict[Any, Place] = {}
        structures: list[Structure] = []
        for part in self._section("structures"):
            self._since(part)
            self._once(seen, part["name"], part.place_of("name"), f"structure '{part['name']}'")
            declared = self._per_architecture(part["size"])
            packed = "packed" in part
            fields: list[Field] = []
            field_names: dict[Any, Place] = {}
            offset, largest, complete = 0, 1, True
            for item in part["fields"]:
                if not self._here(item):
                    continue
                self._once(field_names, item["name"], item.place_of("name"), f"field '{item['name']}'")
                self._c_name(item, "field")
                kind = self._type(item)
                if kind is None or kind.bits == 0:
                    if kind:
                        self._problems.add(
                            item.place_of("type"),
                            f"field '{item['name']}' is void",
                            "expected a type with a size",
                            "choose another type",
                        )
                    complete = False
                    continue
                align = 1 if packed else self._arch.alignment.get(kind.name, kind.bits // 8)
                largest = max(largest, align)
                offset = -(-offset // align) * align
                count = item.get("count")
                size = kind.bits // 8 * (count or 1)
                fields.append(Field(item["name"], kind, count, offset, size, item["summary"]))
                offset += size
            size = -(-offset // largest) * largest
            if complete and declared is not None and declared != size:
                self._problems.add(
                    part["size"].place_of(self._arch_name),
                    f"structure '{part['name']}' is declared {declared} bytes long",
                    f"its fields take {size}",
                    "correct the size or the fields",
                )
            structures.append(
                Structure(
                    part["name"], part["summary"], part["source"], part["since"], packed, size, tuple(fields)
                )
            )
        return tuple(structures)

    def _resolve_instructions(self) -> tuple[Instruction, ...]:
        seen: dict[Any, Place] = {}
        instructions: list[Instruction] = []
        for part in self._section("instructions"):
            if self._once(seen, part["name"], part.place_of("name"), f"instruction '{part['name']}'"):
                instructions.append(
                    Instruction(
                        part["name"], part["class"], part["summary"], part.get("instead"), part["source"]
                    )
                )
        if self._lost & {"instructions", "calls"}:
            return tuple(instructions)
        named: set[str] = set()
        for call in self._section("calls"):
            once: dict[Any, Place] = {}
            for i, name in enumerate(call.get("instructions", ())):
                place = call["instructions"].place_of(i)
                self._once(once, name, place, f"instruction '{name}'")
                named.add(name)
                if name not in seen:
                    self._problems.add(
                        place,
                        f"unknown instruction '{name}'",
                        "expected one of the section `instructions`",
                        "correct it, or add it there",
                    )
        for part in self._section("instructions"):
            if (part["name"] in named) == ("instead" in part):
                self._problems.add(
                    part.place,
                    f"instruction '{part['name']}' has "
                    + ("both a call and 'instead'" if "instead" in part else "no call and no 'instead'"),
                    "expected one of them to say what to use",
                    "name it in a call's `instructions`, or give `instead: …`",
                )
        return tuple(instructions)

    def _resolve_terms(self) -> None:
        seen: dict[Any, Place] = {}
        used = {name for call in self._section("calls") for name in call.get("requires", ())}
        for part in self._section("terms"):
            self._once(seen, part["name"], part.place_of("name"), f"term '{part['name']}'")
            if part["name"] not in used and "calls" not in self._lost:
                self._problems.add(
                    part.place_of("name"),
                    f"no call requires '{part['name']}'",
                    "expected each term to be named by one",
                    "name it in a call's `requires`, or remove it",
                )
            self._terms[part["name"]] = Term(part["name"], part["summary"], part.get("source"))

    def _resolve_features(self) -> tuple[Feature, ...]:
        seen: dict[Any, Place] = {}
        bits: dict[Any, Place] = {}
        found: list[Feature] = []
        for part in self._section("features"):
            told = part["cpuid"]
            where = (told["leaf"], told.get("subleaf", 0), told["register"], told["bit"])
            if self._once(
                seen, part["name"], part.place_of("name"), f"feature '{part['name']}'"
            ) and self._once(bits, where, part.place_of("cpuid"), "this bit of CPUID"):
                self._feature_constant(part, len(found))
                found.append(Feature(part["name"], len(found), *where, part["summary"], part["source"]))
        return tuple(found)

    def _feature_constant(self, part: Map, number: int) -> None:
        """A feature's bit in the constants group `feature`, where there is one."""
        group, name = self._constants.get("feature"), part["name"].upper()
        if group is None or any((value.name, value.value) == (name, 1 << number) for value in group.values):
            return
        self._problems.add(
            part.place_of("name"),
            f"feature '{part['name']}' has not its bit among the constants 'feature'",
            f"expected {name} with the value {1 << number:#x}",
            "add it there; features are added at the end",
        )

    # Calls

    def _resolve_calls(self) -> tuple[Call, ...]:
        seen_names: dict[Any, Place] = {}
        symbols: dict[Any, Place] = {}
        ordinals: dict[Any, Place] = {}
        slugs: dict[str, str] = {}
        calls: list[Call] = []
        for part in self._section("calls"):
            self.call_names.add(part["name"])
            self._since(part)
            fresh = self._once(seen_names, part["name"], part.place_of("name"), f"call '{part['name']}'")
            self._once(symbols, part["symbol"], part.place_of("symbol"), f"symbol '{part['symbol']}'")
            self._once(ordinals, part["ordinal"], part.place_of("ordinal"), f"ordinal {part['ordinal']}")
            if part["symbol"] in RESERVED_SYMBOLS:
                self._problems.add(
                    part.place_of("symbol"),
                    f"symbol 'vmi_{part['symbol']}' is a name that the libraries use",
                    "expected a free one",
                    "choose another",
                )
            core = part["ordinal"] < EXTENSIONS
            if core != (part["group"] == "core"):
                self._problems.add(
                    part.place_of("ordinal"),
                    f"ordinal {part['ordinal']} in group {part['group']}",
                    f"core has 0 to {EXTENSIONS - 1}, extension has those from {EXTENSIONS}",
                    "correct the ordinal or the group",
                )
            page = slug(part["category"])
            if slugs.setdefault(page, part["category"]) != part["category"]:
                self._problems.add(
                    part.place_of("category"),
                    f"category '{part['category']}' and '{slugs[page]}' make one page name",
                    "expected categories that differ in letters or digits",
                    "use one spelling",
                )
            call = self._call(part) if self._here(part) else None
            if call and fresh:
                calls.append(call)
        return tuple(sorted(calls, key=lambda call: call.ordinal))

    def _call(self, part: Map) -> Call | None:
        assert self._arch
        arch = self._arch
        before = len(self._problems.found)
        local_names: dict[Any, Place] = {}
        listed = [item for item in part.get("arguments", ()) if self._here(item)]
        derived = self._derived(part, listed)
        arguments = [
            self._argument(part, item, local_names, places)
            for item, places in zip(listed, derived, strict=True)
        ]
        results = [self._argument(part, item, local_names, None) for item in part.get("results", ())]
        result: Argument | None = None
        if "result" in part:
            item = part["result"]
            kind = self._type(item)
            width = -(-kind.bits // arch.word_bits) if kind else 1
            registers = self._item_places(part, item, arch.result[:width])
            if kind and registers is not None:
                result = self._passed("result", kind, registers, item)
        carried = (result.registers if result else ()) + tuple(
            register for item in results if item for register in item.registers
        )
        clobbers = self._clobbers(part["clobbers"], carried)
        requires = self._requires(part)
        if clobbers is None or None in arguments or None in results or ("result" in part and result is None):
            return None
        good_arguments = [a for a in arguments if a]
        good_results = [r for r in results if r]
        self._check_registers(part, listed, good_arguments, result, good_results, clobbers)
        self._check_shape(part, good_arguments, good_results)
        errors = self._errors(part, result)
        unsupported = self._unsupported(part, result, good_results)
        if len(self._problems.found) != before:
            return None
        kept = tuple(r for r in arch.registers if r not in carried and r not in clobbers)
        description = part.get("description")
        return Call(
            part["name"],
            part["symbol"],
            part["ordinal"],
            part["group"],
            part["category"],
            part["since"],
            part["summary"],
            description.strip() if description else None,
            part["replaces"],
            tuple(part.get("instructions", ())),
            part["convention"],
            tuple(good_arguments),
            result,
            tuple(good_results),
            clobbers,
            kept,
            part["memory"],
            "noreturn" in part or part["convention"] == "jump",
            part["suspend"],
            part["stack"],
            part["interruptible"],
            "nmi" in part,
            part.get("part"),
            requires,
            errors,
            unsupported,
            self._site(part),
            part["source"],
        )

    def _site(self, part: Map) -> int:
        """Bytes of the call's sites on this architecture."""
        if "site" not in part:
            return SITE
        self._known_architectures(part["site"], part["site"].key_place)
        return int(part["site"].get(self._arch_name, SITE))

    def _derived(self, part: Map, arguments: Sequence[Map]) -> list[tuple[str, ...] | None]:
        """Where convention c has these arguments, on architectures that do not list it."""
        assert self._arch
        if not (self._arch.derived and part["convention"] == "c"):
            return [None] * len(arguments)
        kinds = [self._types.get(item["type"]) for item in arguments]
        widths = [-(-kind.bits // self._arch.word_bits) if kind and kind.bits else 1 for kind in kinds]
        return list(c_places(self._arch, widths))

    def _argument(
        self, call: Map, part: Map, seen: dict[Any, Place], derived: tuple[str, ...] | None
    ) -> Argument | None:
        self._once(seen, part["name"], part.place_of("name"), f"name '{part['name']}'")
        self._c_name(part, "name")
        kind = self._type(part)
        registers = self._item_places(call, part, derived)
        if kind is None or registers is None:
            return None
        return self._passed(part["name"], kind, registers, part)

    def _passed(self, name: str, kind: Type, registers: tuple[str, ...], part: Map) -> Argument:
        """An argument or result whose type and registers are known."""
        for i, group in enumerate(part.get("constants", ())):
            if group not in self._constants and "constants" not in self._lost:
                self._problems.add(
                    part["constants"].place_of(i),
                    f"unknown group of constants '{group}'",
                    f"expected one of {names(self._constants)}",
                    "correct it, or add it to 'constants'",
                )
        constants = tuple(part.get("constants", ()))
        return Argument(name, kind, registers, part["summary"], part.get("unit"), constants)

    def _item_places(self, call: Map, part: Map, derived: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Registers of an argument or result: those listed, or those that convention c has it in."""
        assert self._arch
        given = part.get("registers")
        if self._arch.derived and call["convention"] == "c" and derived is not None:
            if given is not None and self._arch_name in given:
                self._problems.add(
                    given.place_of(self._arch_name),
                    f"registers on {self._arch_name}, where convention c tells them",
                    f"expected none for {self._arch_name}",
                    "remove the entry",
                )
                return None
            for register in derived:
                index = stack_index(register)
                if index is not None and index >= self._arch.stack_words:
                    self._problems.add(
                        part.place,
                        f"'{part.get('name', 'result')}': more arguments than "
                        f"convention c carries on {self._arch_name}",
                        f"expected at most {len(self._arch.arguments)} words",
                        "pass a pointer to a structure",
                    )
                    return None
            return derived
        if given is None:
            self._problems.add(
                part.place,
                f"no registers for {self._arch_name}",
                "expected the registers that carry it",
                f"add `registers: {{{self._arch_name}: […]}}`",
            )
            return None
        return self._places(given)

    def _clobbers(self, part: Map, carried: tuple[str, ...]) -> tuple[str, ...] | None:
        """Registers that may die; `scratch` stands for all that C may destroy but those of the result."""
        assert self._arch
        if self._per_architecture(part) == "scratch":
            return tuple(register for register in self._arch.scratch if register not in carried)
        return self._places(part)

    def _requires(self, part: Map) -> tuple[Term, ...]:
        found: list[Term] = []
        for i, name in enumerate(part.get("requires", ())):
            if name in self._terms:
                found.append(self._terms[name])
            elif "terms" not in self._lost:
                self._problems.add(
                    part["requires"].place_of(i),
                    f"unknown term '{name}'",
                    f"expected one of {names(self._terms)}",
                    "correct it, or add it to 'terms'",
                )
        return tuple(found)

    def _places(self, part: Map) -> tuple[str, ...] | None:
        """Registers for this architecture, each known and named once."""
        registers = self._per_architecture(part)
        if registers is None:
            return None
        assert self._arch
        good = True
        seen: dict[Any, Place] = {}
        for i, register in enumerate(registers):
            place = registers.place_of(i)
            index = stack_index(register)
            if index is None:
                good &= self._known_register(register, self._arch.registers, place, self._arch_name)
            elif index >= self._arch.stack_words:
                self._problems.add(
                    place,
                    f"'{register}': more arguments than the convention carries",
                    f"expected at most {self._arch.stack_words} words on the stack",
                    "pass a pointer to a structure",
                )
                good = False
            good &= self._once(seen, register, place, f"register '{register}'")
        return tuple(registers) if good else None

    def _check_registers(
        self,
        part: Map,
        listed: Sequence[Map],
        arguments: list[Argument],
        result: Argument | None,
        results: list[Argument],
        clobbers: tuple[str, ...],
    ) -> None:
        assert self._arch
        arch = self._arch
        c_convention = part["convention"] == "c"
        derived = arch.derived and c_convention
        halves = part["convention"] == "registers"
        several = part.get("results", Seq(part.place))
        for items, sources, key in ((arguments, listed, "arguments"), (results, several, "results")):
            used: dict[Any, Place] = {}
            for i, item in enumerate(items):
                if derived:
                    self._fits(item, sources[i].place, sources[i].place_of("type"), halves)
                    continue
                places = sources[i]["registers"][self._arch_name]
                for j, register in enumerate(item.registers):
                    self._once(used, register, places.place_of(j), f"register '{register}'")
                    self._general(register, places.place_of(j), key == "arguments" and c_convention)
                self._fits(item, places.place, sources[i].place_of("type"), halves)
        if result and derived:
            self._fits(result, part["result"].place, part["result"].place_of("type"), halves)
        elif result:
            places = part["result"]["registers"][self._arch_name]
            self._fits(result, places.place, part["result"].place_of("type"), halves)
            for j, register in enumerate(result.registers):
                self._general(register, places.place_of(j), False)
            if c_convention and result.registers != arch.result[: len(result.registers)]:
                self._problems.add(
                    places.place,
                    f"result in {names(result.registers)}",
                    f"convention c has it in {names(arch.result[: len(result.registers)])}",
                    "correct it, or convention: registers",
                )
        places = part["clobbers"][self._arch_name]
        carried = {r for item in [*results, *([result] if result else [])] for r in item.registers}
        for j, register in enumerate(clobbers if isinstance(places, Seq) else ()):
            if register in carried:
                self._problems.add(
                    places.place_of(j),
                    f"register '{register}' carries a result and is clobbered",
                    "expected only registers besides the result's",
                    "remove it from the list",
                )
            elif stack_index(register) is not None or register == arch.stack_pointer:
                self._problems.add(
                    places.place_of(j),
                    f"'{register}' cannot be clobbered",
                    "a call keeps the stack",
                    "remove it",
                )
            elif c_convention and register not in arch.scratch:
                self._problems.add(
                    places.place_of(j),
                    f"register '{register}' is clobbered under convention c",
                    f"a C function destroys only {names(arch.scratch)}",
                    "remove it, or convention: registers",
                )
        if c_convention and not derived:
            widths = [-(-item.type.bits // arch.word_bits) for item in arguments]
            for i, (item, expected) in enumerate(zip(arguments, c_places(arch, widths), strict=True)):
                if item.registers != expected and len(item.registers) == widths[i]:
                    at = listed[i]["registers"][self._arch_name]
                    self._problems.add(
                        at.place,
                        f"argument '{item.name}' in {names(item.registers)}",
                        f"convention c has it in {names(expected)}",
                        "correct it, or convention: registers",
                    )
                    break

    def _general(self, register: str, place: Place, stack: bool) -> None:
        assert self._arch
        if stack_index(register) is not None:
            if not stack:
                self._problems.add(
                    place,
                    f"'{register}' is no register",
                    "only arguments of convention c go on the stack",
                    "choose a register",
                )
        elif register in ("flags", self._arch.stack_pointer, self._arch.frame_pointer):
            self._problems.add(
                place,
                f"register '{register}' cannot carry a value",
                "the compiler keeps it to itself",
                "choose another",
            )

    def _fits(self, item: Argument, place: Place, type_place: Place, halves: bool) -> None:
        assert self._arch
        if item.type.bits == 0:
            self._problems.add(
                type_place,
                f"'{item.name}' is void",
                "expected a type with a size",
                "choose another, or remove it",
            )
            return
        words = -(-item.type.bits // self._arch.word_bits)
        # Instructions of 64-bit processors, too, have 64 bits in the low halves of two registers.
        split = halves and item.type.bits == 64 and words == 1
        if split and len(item.registers) == 2:
            return
        if len(item.registers) != words:
            self._problems.add(
                place,
                f"'{item.name}' has {item.type.bits} bits and {len(item.registers)} register(s)",
                f"expected {words}{', or 2 with a half in each' if split else ''}, low first",
                "correct the registers or the type",
            )

    def _check_shape(self, part: Map, arguments: list[Argument], results: list[Argument]) -> None:
        assert self._arch
        arch, convention = self._arch, part["convention"]
        if convention == "jump":
            for key in ("arguments", "result", "results", "errors", "unsupported"):
                if key in part:
                    self._problems.add(
                        part.key_place(key),
                        f"'{key}' on a call of convention jump",
                        "a jump takes and returns nothing",
                        "remove it, or choose another convention",
                    )
        if "results" in part and convention == "c":
            self._problems.add(
                part.key_place("results"),
                "several results under convention c",
                "C returns one",
                "use `result`, or convention: registers",
            )
        if results and arch.derived and len(arguments) + len(results) > len(arch.arguments):
            self._problems.add(
                part.key_place("results"),
                f"call '{part['name']}' has {len(arguments)} arguments and {len(results)} results",
                f"convention c carries {len(arch.arguments)} on {arch.name}, pointers to results included",
                "return a structure through one pointer",
            )
        if "noreturn" in part:
            for key in ("result", "results"):
                if key in part:
                    self._problems.add(
                        part.key_place(key),
                        f"'{key}' on a call that never comes back",
                        "expected none",
                        "remove it or 'noreturn'",
                    )

    def _errors(self, part: Map, result: Argument | None) -> tuple[Error, ...]:
        errors: list[Error] = []
        if "errors" not in part or part["convention"] == "jump":
            return ()
        if result is None or not result.type.signed:
            self._problems.add(
                part.key_place("errors"),
                f"call '{part['name']}' has errors",
                "its result must be a signed type to carry them",
                "change the result's type or remove the errors",
            )
        group = self._constants.get("error")
        seen: dict[Any, Place] = {}
        for item in part["errors"]:
            self._once(seen, item["value"], item.place_of("value"), f"error '{item['value']}'")
            constant = next((c for c in group.values if c.name == item["value"]), None) if group else None
            if constant and constant.value >= 0:
                self._problems.add(
                    item.place_of("value"),
                    f"error '{item['value']}' is {constant.value}",
                    "expected a negative number, which no good result is",
                    "name another, or correct its value",
                )
            if constant:
                errors.append(Error(constant, item["when"]))
            elif "constants" not in self._lost:
                known = names(c.name for c in group.values) if group else "a constants group named error"
                self._problems.add(
                    item.place_of("value"),
                    f"unknown error '{item['value']}'",
                    f"expected {known}",
                    "correct it, or add it to the group",
                )
        return tuple(errors)

    def _unsupported(self, part: Map, result: Argument | None, results: list[Argument]) -> int:
        if "unsupported" in part:
            value = int(part["unsupported"])
            if result is None:
                self._problems.add(
                    part.key_place("unsupported"),
                    f"call '{part['name']}' returns no single value",
                    "a value for `unsupported` needs a result",
                    "remove it",
                )
                return 0
            bits = result.type.bits
            if not -(1 << bits - 1) <= value < (1 << bits) or (value < 0 and not result.type.signed):
                self._problems.add(
                    part.place_of("unsupported"),
                    f"value {value} does not fit {result.type.name}",
                    f"expected a value of {bits} bits{'' if result.type.signed else ' without sign'}",
                    "correct it",
                )
            return value
        if "errors" in part and result:
            group = self._constants.get("error")
            missing = next((c for c in group.values if c.name == "ENOSYS"), None) if group else None
            if missing:
                return missing.value
            if "constants" not in self._lost:
                self._problems.add(
                    part.key_place("errors"),
                    f"call '{part['name']}' has errors, but there is no ENOSYS",
                    "a backend without the call returns it",
                    "add ENOSYS to the constants group `error`",
                )
        return 0
