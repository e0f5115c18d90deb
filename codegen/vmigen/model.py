# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The resolved model: what templates and other tools read. Everything here has been checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True)
class Architecture:
    """A processor architecture, with the registers of the C convention."""

    name: str
    word_bits: int
    registers: tuple[str, ...]
    arguments: tuple[str, ...]
    stack_words: int
    result: tuple[str, ...]
    scratch: tuple[str, ...]
    alignment: dict[str, int]
    derived: bool

    @property
    def stack_pointer(self) -> str:
        """The stack pointer's name."""
        return "esp" if self.word_bits == 32 else "rsp"

    @property
    def frame_pointer(self) -> str:
        """The frame pointer's name."""
        return "ebp" if self.word_bits == 32 else "rbp"


@dataclass(frozen=True)
class Type:
    """A type of arguments, results and fields."""

    name: str
    c: str
    bits: int
    pointer: bool
    summary: str

    @property
    def signed(self) -> bool:
        """Whether it is one of C's signed fixed-width types."""
        return self.c.startswith("int")

    def declare(self, name: str, count: int | None = None) -> str:
        """A declaration in C: `uint32_t low`, `const char *text`."""
        space = "" if self.c.endswith("*") else " "
        return f"{self.c}{space}{name}" + (f"[{count}]" if count else "")


@dataclass(frozen=True)
class Constant:
    """One constant; `c_name` is what C and assembly call it."""

    name: str
    c_name: str
    value: int
    text: str
    summary: str


@dataclass(frozen=True)
class Constants:
    """A group of constants."""

    name: str
    prefix: str
    kind: str
    summary: str
    source: str
    since: str
    values: tuple[Constant, ...]


@dataclass(frozen=True)
class Field:
    """A field of a structure, with where it lies."""

    name: str
    type: Type
    count: int | None
    offset: int
    size: int
    summary: str

    @property
    def declaration(self) -> str:
        """The field in C, without the semicolon."""
        return self.type.declare(self.name, self.count)


@dataclass(frozen=True)
class Structure:
    """A structure; its C name is `struct vmi_NAME`."""

    name: str
    summary: str
    source: str
    since: str
    packed: bool
    size: int
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Instruction:
    """An instruction that a kernel does not use itself; `instead` where no call stands for it."""

    name: str
    kind: str
    summary: str
    instead: str | None
    source: str


@dataclass(frozen=True)
class Feature:
    """A feature of processors, and the bit of CPUID's result that tells of it.

    Its number is its place in the list, and its bit where features are a set (VMI_FEATURE_…)."""

    name: str
    number: int
    leaf: int
    subleaf: int
    register: str
    bit: int
    summary: str
    source: str


@dataclass(frozen=True)
class Term:
    """What a caller holds, by a name that tools know."""

    name: str
    summary: str
    source: str | None


@dataclass(frozen=True)
class Argument:
    """An argument or one of several results."""

    name: str
    type: Type
    registers: tuple[str, ...]
    summary: str
    unit: str | None
    constants: tuple[str, ...] = ()
    """Groups whose values it has, the first one's where two have the same number."""


@dataclass(frozen=True)
class Error:
    """An error that a call returns."""

    constant: Constant
    when: str


@dataclass(frozen=True)
class Call:
    """One call of the interface on one architecture."""

    name: str
    symbol: str
    ordinal: int
    group: str
    category: str
    since: str
    summary: str
    description: str | None
    replaces: str
    instructions: tuple[str, ...]
    convention: str
    arguments: tuple[Argument, ...]
    result: Argument | None
    results: tuple[Argument, ...]
    clobbers: tuple[str, ...]
    kept: tuple[str, ...]
    memory: bool
    noreturn: bool
    suspend: str
    stack: int
    interruptible: bool
    nmi: bool
    part: str | None
    requires: tuple[Term, ...]
    errors: tuple[Error, ...]
    unsupported: int
    site: int
    source: str

    @property
    def c_name(self) -> str:
        """The library's symbol, which is also the wrapper's name."""
        return f"vmi_{self.symbol}"

    @property
    def all_results(self) -> tuple[Argument, ...]:
        """The result or results."""
        return (self.result,) if self.result else self.results

    @property
    def result_registers(self) -> tuple[str, ...]:
        """Every register that carries a result."""
        return tuple(register for result in self.all_results for register in result.registers)


@dataclass(frozen=True)
class Spec:
    """The specification for one architecture."""

    name: str
    major: int
    minor: int
    architecture: Architecture
    types: tuple[Type, ...]
    constants: tuple[Constants, ...]
    structures: tuple[Structure, ...]
    calls: tuple[Call, ...]
    instructions: tuple[Instruction, ...]
    features: tuple[Feature, ...]
    terms: tuple[Term, ...]

    @property
    def ordinals(self) -> int:
        """One more than the highest ordinal."""
        return max((call.ordinal for call in self.calls), default=-1) + 1

    @property
    def categories(self) -> dict[str, list[Call]]:
        """Calls by category; categories and calls in order of ordinals."""
        result: dict[str, list[Call]] = {}
        for call in self.calls:
            result.setdefault(call.category, []).append(call)
        return result

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts that calls are in, in order of ordinals."""
        return tuple(dict.fromkeys(call.part for call in self.calls if call.part))


class Kind(StrEnum):
    """How a backend does a call, after inheritance."""

    INSTRUCTION = "instruction"
    HYPERCALL = "hypercall"
    ROUTINE = "routine"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True)
class HypercallAbi:
    """How a hypercall is made: registers and the lines that enter the hypervisor."""

    number: str
    arguments: tuple[str, ...]
    result: str
    clobbers: tuple[str, ...] | None  # None: those that were loaded
    transfer: tuple[str, ...]


@dataclass(frozen=True)
class Hypercall:
    """One hypercall; an argument occupies one or two registers."""

    name: str
    c_name: str
    number: int
    macro: str | None
    summary: str
    source: str | None
    obsolete: str | None
    arguments: tuple[Argument, ...]
    clobbers: tuple[str, ...]
    elements: tuple[tuple[str, Type], ...]
    """Name and type of what each element of the list has that the first argument points to."""

    @property
    def counter(self) -> str:
        """The symbol of its counter."""
        return f"{self.c_name}_count"


@dataclass(frozen=True)
class HypercallTable:
    """The hypercalls that one backend brought in."""

    owner: str
    prefix: str
    abi: HypercallAbi
    calls: tuple[Hypercall, ...]

    @property
    def transfer(self) -> str:
        """The assembler macro that enters the hypervisor."""
        return f"vmi__{self.owner}_transfer"


@dataclass(frozen=True)
class Way:
    """How one backend does one call, after inheritance; `origin` is the backend that said so.

    With `forms` it is what a processor gets that has none of their features.
    """

    kind: Kind
    instructions: tuple[str, ...] = ()
    hypercalls: tuple[str, ...] = ()
    direct: Hypercall | None = None
    table: HypercallTable | None = None
    constants: tuple[int | str, ...] = ()
    routine: str | None = None
    reason: str | None = None
    note: str | None = None
    origin: str = ""
    when: str | None = None
    forms: tuple[Form, ...] = ()

    @property
    def how(self) -> str:
        """One line that says how: the instructions, the hypercalls, the routine or the reason; of several
        forms each, the best first."""
        forms = [f"{form.way.how} with {form.feature.name}" for form in self.forms]
        return ", else ".join([*forms, self._how])

    @property
    def _how(self) -> str:
        if self.kind is Kind.INSTRUCTION:
            return "; ".join(self.instructions) or "nothing"
        if self.kind is Kind.HYPERCALL:
            return ", ".join(self.hypercalls)
        if self.kind is Kind.ROUTINE:
            return self.routine or ""
        return self.reason or ""


@dataclass(frozen=True)
class Form:
    """The way of a call on processors that have a feature."""

    feature: Feature
    way: Way


@dataclass(frozen=True)
class Sign:
    """What leaves of CPUID show where a backend may be at home (VMI__ROM_SIGN_… in runtime/image/rom.h)."""

    leaf: int = 0
    leaves: int = 1
    eax: int | None = None
    ebx: int | None = None
    ecx: int | None = None
    edx: int | None = None
    never: bool = False
    """It is not to be found by asking."""

    @property
    def registers(self) -> int:
        """Bits of those that are compared."""
        if self.never:
            return 1
        return sum(1 << i for i, name in enumerate(_REGISTERS) if getattr(self, name) is not None)

    @property
    def values(self) -> tuple[tuple[str, int], ...]:
        return tuple((name, getattr(self, name) or 0) for name in _REGISTERS)


_REGISTERS = ("eax", "ebx", "ecx", "edx")


@dataclass(frozen=True)
class Backend:
    """One backend, with every call of the specification resolved."""

    name: str
    title: str
    summary: str
    inherits: str | None
    architectures: tuple[str, ...]
    priority: int
    sign: Sign
    tables: tuple[HypercallTable, ...]
    ways: dict[str, Way] = field(default_factory=dict)
    drivers: tuple[str, ...] = ()
    """Of devices, in the order in which they are tried."""

    @property
    def hypercalls(self) -> tuple[Hypercall, ...]:
        """All hypercalls of the library."""
        return tuple(call for table in self.tables for call in table.calls)


@dataclass(frozen=True)
class Model:
    """Everything that is rendered."""

    spec: Spec
    backends: tuple[Backend, ...]
