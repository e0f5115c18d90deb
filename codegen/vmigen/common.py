# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What the code of every architecture has in common."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .model import Architecture, Call, Feature, Way
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
    kernel_flags: str
    """Options without which compilers use what is not a kernel's: no tool says so when they are missing."""
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


_LABEL = re.compile(r"\s*(\d+):\s*(.*)")
_JUMP = re.compile(r"\s*j\w+\s+(\d+)f\s*")
_SAVES = re.compile(r"pushf\w?|push %(\w+)|sub \$\d+, %\w+")


def framed(
    lines: Sequence[str], convention: str, lost: Sequence[str], word: int, stack: str, returns: int
) -> list[str]:
    """An entry point's instructions with directives for unwinders, which emit no code.

    `lost` are registers that C functions keep and this one does not, `word` is in bytes, `stack` is the
    stack pointer, `returns` the return address's DWARF number. The canonical frame address follows what the
    lines push and pop. A register that the leading lines save has its value in the stack until it is popped.
    What was entered by a jump has no caller to go back to.
    """
    if convention == "jump":
        return [".cfi_startproc", f".cfi_undefined {returns}", *lines, ".cfi_endproc"]
    saved = _saved(lines, word, stack)
    out = [".cfi_startproc", *(f".cfi_undefined %{register}" for register in lost)]
    depth = 0
    at_labels: dict[str, int] = {}
    ended = False
    for number, line in enumerate(lines):
        label, instruction = _split(line)
        if ended and label in at_labels and at_labels[label] != depth:
            out.append(f".cfi_adjust_cfa_offset {at_labels[label] - depth}")
            depth = at_labels[label]
        out.append(line)
        moved = _moved(instruction, word, stack)
        if moved:
            out.append(f".cfi_adjust_cfa_offset {moved}")
            depth += moved
        if number in saved:
            register, pushed = saved[number]
            out.append(f".cfi_rel_offset %{register}, 0" if pushed else f".cfi_restore %{register}")
        jump = _JUMP.fullmatch(instruction)
        if jump:
            at_labels[jump[1]] = depth
        ended = instruction.startswith(("ret", "jmp"))
    return [*out, ".cfi_endproc"]


@functools.cache
def _split(line: str) -> tuple[str, str]:
    """Label and instruction of a line."""
    found = _LABEL.fullmatch(line)
    return (found[1], found[2]) if found else ("", line.strip())


@functools.cache
def _moved(instruction: str, word: int, stack: str) -> int:
    """Bytes that an instruction adds to the stack."""
    if re.match(r"push", instruction):
        return word
    if re.match(r"pop", instruction):
        return -word
    found = re.fullmatch(rf"sub \$(\d+), %{stack}", instruction)
    if found:
        return int(found[1])
    found = re.fullmatch(rf"add \$(\d+), %{stack}|lea (\d+)\(%{stack}\), %{stack}", instruction)
    return -int(found[1] or found[2]) if found else 0


def _saved(lines: Sequence[str], word: int, stack: str) -> dict[int, tuple[str, bool]]:
    """By number of a line the register that it saves (True) or takes back (False)."""
    found: dict[int, tuple[str, bool]] = {}
    pushes: list[tuple[int, str, int]] = []
    depth, leading = 0, True
    for number, line in enumerate(lines):
        _, instruction = _split(line)
        depth += _moved(instruction, word, stack)
        saves = _SAVES.fullmatch(instruction)
        leading = leading and saves is not None
        if leading and saves and saves[1] and saves[1] != stack:
            pushes.append((number, saves[1], depth))
        while pushes and pushes[-1][2] > depth:
            pushed, register, _ = pushes.pop()
            if instruction == f"pop %{register}":
                found[pushed], found[number] = (register, True), (register, False)
    return found


FORM_ROOM = 32
"""Bytes of an entry point whose call has several forms, and of what is copied there (runtime/forms.h)."""

_LEAVES = re.compile(r"\b(j\w+|call\w*)\s+(?!\d+f\b)|\(%rip\)|\bvmi_")
"""What makes lines right at one place only: they name something that is not among them."""


@dataclass(frozen=True)
class FormCode:
    """The code of one of a call's forms; `copied` to the entry point, or else jumped to from there."""

    label: str
    lines: list[str]
    copied: bool
    feature: Feature | None


@dataclass(frozen=True)
class EntryPoint:
    """The code of a call's entry point: the lines there, and its forms, the best first."""

    lines: list[str]
    forms: tuple[FormCode, ...] = ()


def entry_point(
    call: Call,
    way: Way,
    stub: Callable[[Call, Way], list[str]],
    framed: Callable[[list[str], Call], list[str]],
) -> EntryPoint:
    """A call's entry point as it is linked: the form for processors that have no feature of the others.

    At the start of the library another form is copied over it, or a jump to that; later perhaps this one
    again, so that it is among the forms. What is said to unwinders stays, so that a form which moves the
    stack has a place, and a frame, of its own.
    """
    if not way.forms:
        return EntryPoint(framed(stub(call, way), call))
    forms: list[FormCode] = []
    for number, (feature, each) in enumerate(
        [*((form.feature, form.way) for form in way.forms), (None, way)]
    ):
        lines = stub(call, each)
        label = f"vmi__form_{call.symbol}_{number}"
        if len(lines) == 1 and lines[0].startswith("jmp "):
            forms.append(FormCode(lines[0].removeprefix("jmp "), [], False, feature))
            continue
        copied = not any(_LEAVES.search(line) or _SAVES.search(line) for line in lines)
        if not copied:
            lines = framed(lines, call)
        forms.append(FormCode(label, lines, copied, feature))
    last = forms.pop()
    lines = last.lines if last.copied else [f"jmp {last.label}"]
    room = f".org {call.c_name} + {FORM_ROOM}, 0xcc"
    return EntryPoint(framed([*lines, room], call), (*forms, last))
