# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Register contracts as x86-64 code: inline wrappers in C, entry points and hypercall stubs in assembly."""

from __future__ import annotations

import re

from .common import Syntax, Wrapper, moves, prototype
from .common import c_compatible as c_compatible
from .common import framed as with_unwinding
from .common import live as live_bits
from .model import Architecture, Argument, Call, Hypercall, HypercallTable, Kind, Way
from .rules import c_places

SYNTAX = Syntax(
    predefined="__x86_64__",
    compile="-m64",
    kernel_flags="-mno-red-zone -mgeneral-regs-only",
    convention="",
    word=".quad",
    site=".short live; .byte length, 0, 0, 0",
    # A record has the distance: an address at -2 GiB does not fit into 32 bits without a sign.
    site_address="771b - .",
    relative="(%rip)",
    relative_c="(%%rip)",
)

RUST_ARCH = "x86_64"
"""What Rust calls the architecture (cfg target_arch)."""

HYPERCALL_CONVENTION = "__attribute__((__sysv_abi__))"
"""What prototypes of hypercall functions say of their convention, whatever the compiler's default is."""

_NUMBERS = (
    *("rax", "rcx", "rdx", "rbx", "flags", "rbp", "rsi", "rdi"),
    *("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
)
"""Registers as instructions number them (Intel SDM vol. 2A, table 2-2); rsp, which every call keeps, gives
its place to the flags."""

_BOUND_TO_THE_STUB = re.compile(r"\brsp\b|(?<!%[a-z]s):|^\s*(j|ret|call|loop)")
"""What makes an instruction right at an entry point only: the return address on the stack, jumps."""

_CONSTRAINTS = {"rax": "a", "rbx": "b", "rcx": "c", "rdx": "d", "rsi": "S", "rdi": "D"}
_CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")
_WORD = 8
_LOW = {
    **{f"r{name}": f"e{name}" for name in ("ax", "bx", "cx", "dx", "si", "di", "bp")},
    **{f"r{number}": f"r{number}d" for number in range(8, 16)},
}
"""The low half of each register; writing it clears the other."""


def wrapper(call: Call) -> Wrapper:
    """The inline wrapper: one `call` with the contract's registers as operands."""
    out = Wrapper()
    out.parameters, out.returns = prototype(call)
    results = set(call.result_registers)
    given: list[str] = []
    for argument in call.arguments:
        for index, register in enumerate(argument.registers):
            given.append(register)
            name = f"reg_{register}"
            out.locals.append(_local(register, f" = {_word(argument, index)}"))
            if register in results or register in call.clobbers:
                out.outputs.append(f'"+{_constraint(register)}"({name})')
            else:
                out.inputs.append(f'"{_constraint(register)}"({name})')
    for register in call.result_registers:
        if register not in given:
            out.locals.append(_local(register, ""))
            out.outputs.append(f'"={_constraint(register)}"(reg_{register})')
    out.inputs.append(f"VMI__SYMBOLS({call.ordinal}, {call.c_name})")
    out.lines = [f'VMI__CALL("{call.ordinal}", "{call.c_name}", "{live(call)}", "{call.site}")']
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


def _constraint(register: str) -> str:
    return _CONSTRAINTS.get(register, "r")


def _local(register: str, value: str) -> str:
    # Registers without a constraint letter are had by a variable that is bound to them.
    if register in _CONSTRAINTS:
        return f"uint64_t reg_{register}{value};"
    return f'register uint64_t reg_{register} __asm__("{register}"){value};'


def _word(argument: Argument, index: int) -> str:
    if len(argument.registers) > 1:
        return f"{argument.name} >> 32" if index else f"(uint32_t){argument.name}"
    return argument.name if argument.type.c == "uint64_t" else f"(uint64_t){argument.name}"


def _value(result: Argument) -> str:
    low = f"reg_{result.registers[0]}"
    if len(result.registers) > 1:
        return f"(reg_{result.registers[1]} << 32) | (uint32_t){low}"
    return low if result.type.c == "uint64_t" else f"({result.type.c}){low}"


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
        several = len(result.registers) > 1
        for index, register in enumerate(result.registers):
            value = call.unsupported >> 32 * index & 0xFFFFFFFF if several else call.unsupported
            if several or 0 <= value <= 0xFFFFFFFF or result.type.bits <= 32:
                # Errors read better with their sign.
                lines.append(f"mov ${value}, %{_LOW[register]}")
            else:
                lines.append(f"movabs ${value}, %{register}")
    return lines


def _routine(call: Call, routine: str, arch: Architecture) -> list[str]:
    """A jump to the routine; or a call between shuffles where the contract is not that of a C function."""
    if call.convention == "jump":
        return [f"jmp {routine}"]
    places = [group[0] for group in c_places(arch, [1] * (len(call.arguments) + len(call.results)))]
    halves = [argument for argument in call.arguments if len(argument.registers) > 1]
    wanted = {place: argument.registers[0] for place, argument in zip(places, call.arguments, strict=False)}
    result = call.result
    result_in_place = not call.results and (
        result is None or (result.registers == arch.result[:1] and len(result.registers) == 1)
    )
    joined = {register for argument in halves for register in argument.registers}
    kept = [
        register
        for register in (*arch.scratch, *(r for r in arch.registers if r not in arch.scratch and r in joined))
        if register in call.kept and register != "flags"
    ]
    keeps_flags = "flags" in call.kept
    in_place = not halves and all(place == source for place, source in wanted.items())
    if (
        in_place
        and not call.results
        and (call.noreturn or (result_in_place and not kept and not keeps_flags))
    ):
        return [f"jmp {routine}"]

    lines = ["pushf"] if keeps_flags else []
    lines += [f"push %{register}" for register in kept]
    if call.results:
        lines.append(f"sub ${_WORD * len(call.results)}, %rsp")
    for argument in halves:
        low, high = argument.registers
        lines += [f"mov %{_LOW[low]}, %{_LOW[low]}", f"shl $32, %{high}", f"or %{high}, %{low}"]
    lines += moves(wanted)
    for index, place in enumerate(places[len(call.arguments) :]):
        lines.append(f"lea {_WORD * index}(%rsp), %{place}" if index else f"mov %rsp, %{place}")
    lines.append(f"call {routine}")
    for each in call.results:
        lines.append(f"pop %{each.registers[0]}")
        if each.type.bits <= 32:
            lines.append(f"mov %{_LOW[each.registers[0]]}, %{_LOW[each.registers[0]]}")
        elif len(each.registers) > 1:
            lines += _halves(each)
    if result and len(result.registers) > 1:
        lines += [*moves({result.registers[0]: arch.result[0]}), *_halves(result)]
    elif result:
        lines += moves({result.registers[0]: arch.result[0]})
    lines += [f"pop %{register}" for register in reversed(kept)]
    lines += ["popf"] if keeps_flags else []
    return [*lines, "ret"]


def _halves(value: Argument) -> list[str]:
    """A value from one register into the low halves of two."""
    low, high = value.registers
    return [f"mov %{low}, %{high}", f"shr $32, %{high}", f"mov %{_LOW[low]}, %{_LOW[low]}"]


def _widened(argument: Argument, register: str) -> list[str]:
    """Makes a value that C has in the low half of a register fill it: the other half is undefined in C, and
    a hypervisor reads both. Compilers extend narrower values to 32 bits before a call."""
    if argument.type.bits == 64:
        return []
    low = _LOW[register]
    return [f"movslq %{low}, %{register}" if argument.type.signed else f"mov %{low}, %{low}"]


def _direct(call: Call, way: Way, target: Hypercall, table: HypercallTable) -> list[str]:
    abi = table.abi
    arguments = {argument.name: argument for argument in call.arguments}
    registers: dict[str, str] = {}
    numbers: dict[str, int] = {}
    widened: list[str] = []
    for value, parameter in zip(way.constants, target.arguments, strict=True):
        if isinstance(value, int):
            numbers[parameter.registers[0]] = value & 0xFFFFFFFF if parameter.type.bits <= 32 else value
        else:
            registers[parameter.registers[0]] = arguments[value].registers[0]
            widened += _widened(arguments[value], parameter.registers[0])
    numbers[abi.number] = target.number
    touched = {*registers, *numbers, *target.clobbers, abi.result}
    saved = [register for register in call.kept if register in touched and register != "flags"]
    lines = ["pushf"] if "flags" in call.kept else []
    lines += [f"push %{register}" for register in saved]
    lines += [*moves(registers), *widened]
    lines += [
        # With a sign it fills the register.
        f"mov ${number}, %{register if number < 0 else _LOW[register]}"
        for register, number in numbers.items()
    ]
    lines += [f"lock incl {target.counter}(%rip)", table.transfer]
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
    return with_unwinding(lines, convention, lost, _WORD, "rsp", 16)


def hypercall_stub(target: Hypercall, table: HypercallTable) -> list[str]:
    """A hypercall as a C function of the System V convention, result in rax."""
    abi = table.abi
    given = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
    loaded = [argument.registers[0] for argument in target.arguments]
    touched = {*loaded, abi.number, abi.result, *target.clobbers}
    saved = [register for register in _CALLEE_SAVED if register in touched]
    lines = [f"push %{register}" for register in saved]
    lines += moves(dict(zip(loaded, given, strict=False)))
    # The return address is below the arguments that have no register in C.
    depth = _WORD * (len(saved) + 1)
    beyond = enumerate(loaded[len(given) :])
    lines += [f"mov {depth + _WORD * index}(%rsp), %{register}" for index, register in beyond]
    for argument in target.arguments:
        lines += _widened(argument, argument.registers[0])
    lines += [
        f"mov ${target.number}, %{_LOW[abi.number]}",
        f"lock incl {target.counter}(%rip)",
        table.transfer,
    ]
    lines += [f"mov %{abi.result}, %rax"] if abi.result != "rax" else []
    lines += [f"pop %{register}" for register in reversed(saved)]
    return [*lines, "ret"]
