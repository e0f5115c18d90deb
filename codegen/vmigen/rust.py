# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The specification as Rust: names, types, documentation, and register contracts as `asm!` operands."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field

from .model import Architecture, Argument, Call, Constant, Constants, Field, Type
from .rules import stack_index
from .text import COLUMNS

_KEYWORDS = frozenset(
    """
    abstract as async await become box break const continue crate do dyn else enum extern false final fn for
    gen if impl in let loop macro match mod move mut override priv pub ref return self Self static struct
    super trait true try type typeof union unsafe unsized use virtual where while yield
    """.split()  # noqa: SIM905
)
"""Keywords of any edition (The Rust Reference, Keywords)."""

_SCALARS = {
    "uint8_t": "u8",
    "uint16_t": "u16",
    "uint32_t": "u32",
    "uint64_t": "u64",
    "int8_t": "i8",
    "int16_t": "i16",
    "int32_t": "i32",
    "int64_t": "i64",
    # core::ffi::c_char is younger than the oldest compiler in use, and its sign a matter of the target.
    "char": "u8",
    "void": "c_void",
}

_KEPT_BY_LLVM = frozenset(("esi", "rbx"))
"""Registers that no operand may name, for LLVM addresses variables by them (The Rust Reference, Inline
assembly, Register operands)."""


def name(text: str) -> str:
    """A name as Rust can have it; bindgen's way with keywords."""
    return f"{text}_" if text in _KEYWORDS else text


def structure(text: str) -> str:
    """The type's name for a structure."""
    return "".join(part.capitalize() for part in text.split("_"))


def type_name(kind: Type) -> str:
    """A type of the specification."""
    c = kind.c
    if not kind.pointer:
        return _SCALARS[c]
    const = c.startswith("const ")
    target = c.removeprefix("const ").rstrip("*").strip()
    if target.startswith("struct vmi_"):
        target = structure(target.removeprefix("struct vmi_"))
    else:
        target = _SCALARS[target]
    return f"*{'const' if const else 'mut'} {target}"


def field_type(each: Field) -> str:
    """The type of a structure's field."""
    kind = type_name(each.type)
    return f"[{kind}; {each.count}]" if each.count else kind


def constant_name(value: Constant) -> str:
    """A constant's name: the crate's name stands for the prefix that C needs."""
    short = value.c_name.removeprefix("VMI_")
    return short if re.match(r"[A-Z_]", short) else value.c_name


def constant_type(group: Constants) -> str:
    """The type of a group's constants: signed where one of them is negative."""
    return "i32" if any(value.value < 0 for value in group.values) else "u32"


def doc(text: str, indent: str = "", mark: str = "///", hanging: str = "") -> str:
    """Text as lines of documentation; paragraphs are kept, and what rustdoc would take as a link is text."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        if lines:
            lines.append(indent + mark)
        quoted = re.sub(r"([\[\]<>])", r"\\\1", " ".join(paragraph.split()))
        lines += textwrap.wrap(
            quoted,
            COLUMNS,
            initial_indent=f"{indent}{mark} ",
            subsequent_indent=f"{indent}{mark} {hanging}",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


@dataclass
class Wrapper:
    """The parts of one function: what is in its asm!, and around it."""

    parameters: list[str] = field(default_factory=list)
    returns: str = ""
    locals: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    operands: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    finish: str = ""


def record(site: str, **values: str) -> str:
    """The end of a site's record (Syntax.site) with these words in place of their names, as parts of a
    `concat!` where a value begins with `$`."""

    def value(found: re.Match[str]) -> str:
        text = values.get(found[0], found[0])
        return f'", {text}, "' if text.startswith("$") else text

    return re.sub(r"\b[a-z]+\b", value, site)


def wrapper(call: Call, arch: Architecture) -> Wrapper:
    """The function for a call: one `call` with the contract's registers as operands.

    Words on the stack are pushed from registers, and `lea` drops them again, as it keeps the flags. A
    register that no operand may name is exchanged for the time of the call.
    """
    out = Wrapper(options=["att_syntax"])
    word = f"u{arch.word_bits}"
    out.parameters = [f"{name(argument.name)}: {type_name(argument.type)}" for argument in call.arguments]
    values = {
        register: _word(argument, index, arch.word_bits)
        for argument in call.arguments
        for index, register in enumerate(argument.registers)
    }
    results = call.result_registers
    stack = [register for register in values if stack_index(register) is not None]
    for register, value in values.items():
        if register in stack:
            out.operands.append(f"{register} = in(reg) {value}")
            continue
        operand = f'"{register}"'
        if register in _KEPT_BY_LLVM:
            operand = "reg"
            swap = f"xchg {{{register}}}, %{register}"
            out.before.append(swap)
            out.after.insert(0, swap)
        label = f"{register} = " if register in _KEPT_BY_LLVM else ""
        if register in results:
            out.operands.append(f"{label}inout({operand}) {value} => reg_{register}")
        elif register in call.clobbers or (label and not call.noreturn):
            out.operands.append(f"{label}inout({operand}) {value} => _")
        else:
            out.operands.append(f"{label}in({operand}) {value}")
    out.before += [f"push {{{register}}}" for register in reversed(stack)]
    if stack:
        pointer = f"%{arch.stack_pointer}"
        out.after.insert(0, f"lea {arch.word_bits // 8 * len(stack)}({pointer}), {pointer}")
    out.locals = [f"let reg_{register}: {word};" for register in results]
    for register in results:
        if register in _KEPT_BY_LLVM and register not in values:
            out.operands.append(f"{register} = out(reg) reg_{register}")
            out.before.append(f"mov %{register}, {{{register}}}")
            out.after.insert(0, f"xchg {{{register}}}, %{register}")
        elif register not in values:
            out.operands.append(f'out("{register}") reg_{register}')
    if call.noreturn:
        # No operand of such an asm may be an output: nothing is left to be destroyed.
        out.operands = [re.sub(r"inout\((.*?)\) (.*) => _", r"in(\1) \2", each) for each in out.operands]
        out.options.append("noreturn")
    else:
        out.operands += [
            f'out("{register}") _'
            for register in call.clobbers
            if register != "flags" and register not in values and register not in results
        ]
        out.options += [] if "flags" in call.clobbers else ["preserves_flags"]
        out.options += [] if call.memory else ["nomem"]
    out.operands.sort(key=lambda operand: '("' in operand)  # asm! wants names in front of registers
    if call.noreturn:
        out.returns = "!"
    elif call.result:
        out.returns = type_name(call.result.type)
        out.finish = _value(call.result, word)
    elif call.results:
        pairs = [(type_name(each.type), _value(each, word)) for each in call.results]
        kinds, words = zip(*pairs, strict=True)
        out.returns = f"({', '.join(kinds)})"
        out.finish = f"({', '.join(words)})"
    return out


def _word(argument: Argument, index: int, bits: int) -> str:
    """What a register is loaded with, as wide as it is."""
    value = name(argument.name)
    wider = "" if bits == 32 else f" as u{bits}"
    if len(argument.registers) > 1:
        return f"({value} >> 32) as u32{wider}" if index else f"{value} as u32{wider}"
    return value if argument.type.pointer or argument.type.bits == bits else f"{value} as u{bits}"


def _value(result: Argument, word: str) -> str:
    low = f"reg_{result.registers[0]}"
    kind = type_name(result.type)
    if len(result.registers) > 1:
        # Halves are 32 bits, whatever else is in their registers.
        half = low if word == "u32" else f"{low} as u32"
        value = f"(reg_{result.registers[1]} as u64) << 32 | {half} as u64"
        return value if kind == "u64" else f"({value}) as {kind}"
    return low if kind == word else f"{low} as {kind}"
