# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Register contracts as i386 code: inline wrappers in C, entry points and hypercall stubs in assembly."""

from __future__ import annotations

import re

from .common import Syntax, Wrapper, moves, prototype
from .common import c_compatible as c_compatible
from .common import framed as with_unwinding
from .common import live as live_bits
from .model import Architecture, Argument, Call, Hypercall, HypercallTable, Kind, Way
from .rules import c_places, stack_index

SYNTAX = Syntax(
    predefined="__i386__",
    compile="-m32",
    kernel_flags="-mgeneral-regs-only",
    convention="__regparm__(3)",
    word=".long",
    site=".byte length, live",
    site_address="771b",
    relative="",
    relative_c="",
)

RUST_ARCH = "x86"
"""What Rust calls the architecture (cfg target_arch)."""

HYPERCALL_CONVENTION = "__attribute__((__cdecl__, __regparm__(0)))"
"""Of the hypercall library's functions, for callers compiled with another convention (-mregparm=3, -mrtd)."""

_NUMBERS = ("eax", "ecx", "edx", "ebx", "flags", "ebp", "esi", "edi")
"""Registers as instructions number them (Intel SDM vol. 2A, table 2-2); esp, which every call keeps, gives
its place to the flags."""

_BOUND_TO_THE_STUB = re.compile(r"\besp\b|(?<!%[a-z]s):|^\s*(j|ret|call|loop)")
"""What makes an instruction right at an entry point only: the return address under the arguments, jumps."""

_CONSTRAINTS = {"eax": "a", "ebx": "b", "ecx": "c", "edx": "d", "esi": "S", "edi": "D"}
_CALLEE_SAVED = ("ebx", "esi", "edi", "ebp")
_WORD = 4


def wrapper(call: Call) -> Wrapper:
    """The inline wrapper: one `call` with the contract's registers as operands.

    Words on the stack are pushed from registers, for an operand in memory could be addressed by the stack
    pointer, which the pushes move. `lea` drops them again, as it keeps the flags.
    """
    out = Wrapper()
    out.parameters, out.returns = prototype(call)
    results = {r for r in call.result_registers}
    given: list[str] = []
    stack: list[str] = []
    for argument in call.arguments:
        for index, register in enumerate(argument.registers):
            value = _word(argument, index)
            if stack_index(register) is not None:
                out.locals.append(f"uint32_t {register} = {value};")
                stack.append(register)
                continue
            given.append(register)
            name = f"reg_{register}"
            out.locals.append(f"uint32_t {name} = {value};")
            if register in results or register in call.clobbers:
                out.outputs.append(f'"+{_CONSTRAINTS[register]}"({name})')
            else:
                out.inputs.append(f'"{_CONSTRAINTS[register]}"({name})')
    for register in call.result_registers:
        if register not in given:
            out.locals.append(f"uint32_t reg_{register};")
            out.outputs.append(f'"={_CONSTRAINTS[register]}"(reg_{register})')
    out.inputs += [f'[{register}] "r"({register})' for register in stack]
    out.inputs.append(f"VMI__SYMBOLS({call.ordinal}, {call.c_name})")
    out.lines = [f'"push %[{register}]\\n\\t"' for register in reversed(stack)]
    out.lines.append(f'VMI__CALL("{call.ordinal}", "{call.c_name}", "{live(call)}", "{call.site}")')
    if stack:
        out.lines.append(f'"lea {_WORD * len(stack)}(%%esp), %%esp"')
    out.clobbers = [r for r in call.clobbers if r not in given and r != "flags"]
    out.clobbers += ["memory"] if call.memory else []
    out.clobbers += ["cc"] if "flags" in call.clobbers else []
    out.finish += [f"*{result.name} = {_value(result)};" for result in call.results]
    if call.result:
        out.finish.append(f"return {_value(call.result)};")
    elif call.noreturn:
        out.finish.append("__builtin_unreachable();")
    return out


def live(call: Call) -> int:
    """Registers that live on across the call, a bit for each; bit 4: the flags."""
    return live_bits(call, _NUMBERS)


def inline(call: Call, way: Way) -> tuple[str, ...] | None:
    """The instructions that can stand at a call's site as they are; None if only a call can. Of several
    forms these are the last one's."""
    if way.kind is not Kind.INSTRUCTION or any(_BOUND_TO_THE_STUB.search(line) for line in way.instructions):
        return None
    return way.instructions


def _word(argument: Argument, index: int) -> str:
    if len(argument.registers) > 1:
        return f"(uint32_t)({argument.name} >> 32)" if index else f"(uint32_t){argument.name}"
    return argument.name if argument.type.c == "uint32_t" else f"(uint32_t){argument.name}"


def _value(result: Argument) -> str:
    low = f"reg_{result.registers[0]}"
    if len(result.registers) > 1:
        value = f"((uint64_t)reg_{result.registers[1]} << 32) | {low}"
        return value if result.type.c == "uint64_t" else f"({result.type.c})({value})"
    return low if result.type.c == "uint32_t" else f"({result.type.c}){low}"


def stub(call: Call, way: Way, arch: Architecture) -> list[str]:
    """The entry point's instructions for one call of one backend."""
    back = [] if call.convention == "jump" else ["ret"]
    if way.kind is Kind.INSTRUCTION:
        return [*way.instructions, *back]
    if way.kind is Kind.UNSUPPORTED:
        return ["ud2"] if call.convention == "jump" else [*_unsupported(call), *back]
    if way.direct is not None and way.table is not None:
        return _direct(call, way, way.direct, way.table)
    assert way.routine is not None
    return _routine(call, way.routine, arch)


def _unsupported(call: Call) -> list[str]:
    lines: list[str] = []
    for result in call.all_results:
        for index, register in enumerate(result.registers):
            word = (call.unsupported >> 32 * index) & 0xFFFFFFFF
            # Errors read better with their sign.
            number = word - (1 << 32) if call.unsupported < 0 else word
            lines.append(f"mov ${number}, %{register}")
    return lines


def _routine(call: Call, routine: str, arch: Architecture) -> list[str]:
    """A jump to the routine; or a call between shuffles where the contract is not that of a C function."""
    if call.convention == "jump":
        return [f"jmp {routine}"]
    words: list[tuple[str, int | str]] = []
    widths = [len(argument.registers) for argument in call.arguments] + [1] * len(call.results)
    for argument in call.arguments:
        for register in argument.registers:
            index = stack_index(register)
            words.append(("register", register) if index is None else ("stack", index))
    starts = [sum(len(result.registers) for result in call.results[:i]) for i in range(len(call.results))]
    result_words = sum(len(result.registers) for result in call.results)
    words += [("result", index) for index in starts]
    places = [place for group in c_places(arch, widths) for place in group]
    in_registers = [
        (word, place) for word, place in zip(words, places, strict=True) if stack_index(place) is None
    ]
    on_stack = [word for word, place in zip(words, places, strict=True) if stack_index(place) is not None]
    in_place = all(word == ("register", place) for word, place in in_registers)
    stack_in_place = on_stack == [("stack", index) for index in range(len(on_stack))]
    result_in_place = not call.results and call.result_registers == arch.result[: len(call.result_registers)]
    kept = [register for register in arch.scratch if register in call.kept and register != "flags"]
    keeps_flags = "flags" in call.kept
    if in_place and stack_in_place and (call.noreturn or (result_in_place and not kept and not keeps_flags)):
        return [f"jmp {routine}"]

    lines: list[str] = []
    depth = 0
    if keeps_flags:
        lines.append("pushf")
        depth += _WORD
    for register in kept:
        lines.append(f"push %{register}")
        depth += _WORD
    if call.results:
        lines.append(f"sub ${_WORD * result_words}, %esp")
        depth += _WORD * result_words
    slots = depth
    pushed = on_stack if in_place else [word for word, _ in in_registers] + on_stack
    for kind, what in reversed(pushed):
        if kind == "register":
            lines.append(f"push %{what}")
        elif kind == "stack":
            lines.append(f"push {depth + _WORD + _WORD * int(what)}(%esp)")
        else:
            distance = depth - slots + _WORD * int(what)
            lines.append("push %esp")
            lines += [f"addl ${distance}, (%esp)"] if distance else []
        depth += _WORD
    if not in_place:
        lines += [f"pop %{place}" for _, place in in_registers]
    lines.append(f"call {routine}")
    if on_stack:
        lines.append(f"add ${_WORD * len(on_stack)}, %esp")
    if call.results:
        lines += [f"pop %{register}" for result in call.results for register in result.registers]
    elif not result_in_place:
        returned = arch.result[: len(call.result_registers)]
        lines += [f"push %{register}" for register in reversed(returned)]
        lines += [f"pop %{register}" for register in call.result_registers]
    lines += [f"pop %{register}" for register in reversed(kept)]
    lines += ["popf"] if keeps_flags else []
    return [*lines, "ret"]


def _direct(call: Call, way: Way, target: Hypercall, table: HypercallTable) -> list[str]:
    abi = table.abi
    arguments = {argument.name: argument for argument in call.arguments}
    registers: dict[str, str] = {}
    stack: dict[str, int] = {}
    numbers: dict[str, int] = {}
    for value, parameter in zip(way.constants, target.arguments, strict=True):
        for index, register in enumerate(parameter.registers):
            if isinstance(value, int):
                numbers[register] = (value >> 32 * index) & 0xFFFFFFFF
                continue
            source = arguments[value].registers[index]
            place = stack_index(source)
            if place is None:
                registers[register] = source
            else:
                stack[register] = place
    numbers[abi.number] = target.number
    touched = {*registers, *stack, *numbers, *target.clobbers, abi.result}
    saved = [register for register in call.kept if register in touched and register != "flags"]
    lines = ["pushf"] if "flags" in call.kept else []
    lines += [f"push %{register}" for register in saved]
    depth = _WORD * len(lines)
    lines += moves(registers)
    lines += [f"mov {depth + _WORD + _WORD * place}(%esp), %{register}" for register, place in stack.items()]
    lines += [f"mov ${number}, %{register}" for register, number in numbers.items()]
    lines += [f"lock incl {target.counter}", table.transfer]
    if call.result and call.result.registers[0] != abi.result:
        lines.append(f"mov %{abi.result}, %{call.result.registers[0]}")
    lines += [f"pop %{register}" for register in reversed(saved)]
    lines += ["popf"] if "flags" in call.kept else []
    return [*lines, "ret"]


def framed(lines: list[str], call: Call | None = None) -> list[str]:
    """The instructions of a call's entry point, or of a C function, with what unwinders need (System V ABI,
    DWARF register numbers)."""
    convention = call.convention if call else "c"
    lost = [register for register in _CALLEE_SAVED if call and register not in call.kept]
    return with_unwinding(lines, convention, lost, _WORD, "esp", 8)


def hypercall_stub(target: Hypercall, table: HypercallTable) -> list[str]:
    """A hypercall as a cdecl function: arguments on the stack, result in eax."""
    abi = table.abi
    loaded = [register for argument in target.arguments for register in argument.registers]
    touched = {*loaded, abi.number, abi.result, *target.clobbers}
    saved = [register for register in _CALLEE_SAVED if register in touched]
    lines = [f"push %{register}" for register in saved]
    depth = _WORD * (len(saved) + 1)
    lines += [f"mov {depth + _WORD * index}(%esp), %{register}" for index, register in enumerate(loaded)]
    lines += [f"mov ${target.number}, %{abi.number}", f"lock incl {target.counter}", table.transfer]
    lines += [f"mov %{abi.result}, %eax"] if abi.result != "eax" else []
    lines += [f"pop %{register}" for register in reversed(saved)]
    return [*lines, "ret"]
