# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the code of every architecture has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .model import Architecture, Call
from .rules import c_places


@dataclass
class Wrapper:
    """The parts of one wrapper's body."""

    parameters: list[str] = field(default_factory=list)
    returns: str = "void"
    locals: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    clobbers: list[str] = field(default_factory=list)
    finish: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Syntax:
    """Words of C and assembly in which the templates' outputs differ between architectures."""

    predefined: str
    """Macro by which compilers tell that they compile for it."""
    compile: str
    """What makes a compiler on a PC compile for it."""
    convention: str
    """Attribute of functions that stubs and wrappers name; empty where it is the compiler's own."""
    word: str
    """Directive of an address in data."""
    site: str
    """Site records: the lines behind the address, with `ordinal`, `live` and `length`."""
    site_address: str
    """The site's address as a record has it, of the label `771b`."""
    relative: str
    """What follows a symbol in an operand in memory."""
    relative_c: str
    """The same in an asm with operands."""


def prototype(call: Call) -> tuple[list[str], str]:
    """Parameters and result type of a call in C; several results are returned through pointers."""
    parameters = [argument.type.declare(argument.name) for argument in call.arguments]
    parameters += [f"{result.type.c} *{result.name}" for result in call.results]
    return parameters, call.result.type.c if call.result else "void"


def c_compatible(call: Call, arch: Architecture) -> bool:
    """Whether the library's symbol can be called as a C function, that is through a pointer as well."""
    if call.convention == "jump" or call.results:
        return False
    places = c_places(arch, [len(argument.registers) for argument in call.arguments])
    same_result = call.result is None or (
        call.result.registers == arch.result[: len(call.result.registers)]
        and len(call.result.registers) == -(-call.result.type.bits // arch.word_bits)
    )
    return (
        [argument.registers for argument in call.arguments] == places
        and same_result
        and set(call.clobbers) <= set(arch.scratch)
    )


def moves(pending: dict[str, str]) -> list[str]:
    """Register moves `destination: source` that all take place at once."""
    pending = {to: source for to, source in pending.items() if to != source}
    lines: list[str] = []
    while pending:
        free = next((to for to in pending if to not in pending.values()), None)
        if free is not None:
            lines.append(f"mov %{pending.pop(free)}, %{free}")
            continue
        # Only cycles are left: a swap settles one register and moves the other's content.
        to, source = next(iter(pending.items()))
        lines.append(f"xchg %{source}, %{to}")
        del pending[to]
        pending = {other: source if held == to else held for other, held in pending.items()}
        pending = {other: held for other, held in pending.items() if other != held}
    return lines


def live(call: Call, numbers: Sequence[str]) -> int:
    """Registers that live on across the call: a bit for each by the processor's number, the flags in the
    place of the stack pointer."""
    return sum(1 << number for number, register in enumerate(numbers) if register in call.kept)


