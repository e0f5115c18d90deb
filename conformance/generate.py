# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The part of the conformance kernel that follows from the specification alone:

    generate.py MODEL PROBES.S CHECKS.C PLACES.H

MODEL is the generator's model.json, of one architecture. PROBES.S has a probe for each call: it loads the
arguments, fills every other register with a value that nobody uses, makes the call and compares what the
call must keep. CHECKS.C has the table of contracts (contract.h) and the lists of checks made of it: the
layout of structures, the register contract of each call, and each call's agreement with what the backend
declares. PLACES.H says where arguments and results are: struct contract_registers, and for each call
give_SYMBOL(), which takes the call's arguments, and result_SYMBOL().
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ci.util import write_if_changed


@dataclass(frozen=True)
class Architecture:
    """What the probes must know of a processor, beside the model."""

    word: int
    """Bytes of a register."""
    saved: tuple[str, ...]
    """Registers that a function of C keeps, beside the stack pointer."""
    sp: str
    first: str
    """Registers for the probe's own use before and after the call: what an instruction for rows of words
    fills, counts and points by."""
    count: str
    to: str
    suffix: str
    """Of an instruction for words."""
    poison: tuple[int, int]
    """Of register N: the first and N times the second."""


ARCHITECTURES = {
    "i386": Architecture(
        word=4, saved=("ebx", "ebp", "esi", "edi"), sp="esp", first="eax", count="ecx", to="edi", suffix="l",
        poison=(0x5EC0DE01, 0x01010100),
    ),
    "x86_64": Architecture(
        word=8, saved=("rbx", "rbp", "r12", "r13", "r14", "r15"), sp="rsp", first="rax", count="rcx",
        to="rdi", suffix="q", poison=(0x5EC0DE01_5EC0DE01, 0x01010100_01010100),
    ),
}  # fmt: skip

STACK_BYTES = 4096
"""So much below the stack pointer is filled, to see how much stack a call takes."""
STACK_FILL = 0x57AC57AC
ARITHMETIC = 0x8D5
"""CF, PF, AF, ZF, SF and OF."""
DIRECTION = 0x400
STACK_POINTER = 31
"""The bit of contract_changed for the stack pointer."""

BANNER = (
    "/* SPDX-License-Identifier: MIT OR GPL-2.0-only */\n"
    "/* Generated from the specification by conformance/generate.py; do not edit. */\n"
)

HEAD = """\
#include <vmi/constants.h>

/*
 * void probe_SYMBOL(void), one per call. The arguments come from contract_in and the registers after the call
 * go to contract_out (struct contract_registers); a bit is set in contract_changed for each register that the
 * contract keeps and the call has changed: bit n for register n of the structure.
 */
    .text
"""


class Probes:
    """The probes of an architecture's calls."""

    def __init__(self, model: dict[str, Any]) -> None:
        described = model["architecture"]
        self.arch = ARCHITECTURES[described["name"]]
        self.registers = [r for r in described["registers"] if r not in (self.arch.sp, "flags")]
        self.stack_words = described["stack_words"]

    def poison(self, register: str) -> int:
        """A value that no call has a reason to leave in a register."""
        first, step = self.arch.poison
        return first + step * self.index(register)

    def index(self, place: str) -> int:
        """Where a place is in struct contract_registers, in words."""
        if place.startswith("stack"):
            return len(self.registers) + 1 + int(place[5:])
        return len(self.registers) if place == "flags" else self.registers.index(place)

    def at(self, block: str, place: str) -> str:
        """The memory operand for a place."""
        return f"{block} + {self.arch.word * self.index(place)}"

    def load(self, register: str, places: list[str]) -> str:
        """An instruction, but for its target, that loads what a register has before the call."""
        if register in places:
            return f"mov {self.at('contract_in', register)}"
        return f"mov{'abs' if self.arch.word == 8 else ''} ${self.poison(register):#x}"

    def probe(self, call: dict[str, Any]) -> str:
        """The assembly that makes one call."""
        arch, registers = self.arch, self.registers
        word, sp, s = arch.word, arch.sp, arch.suffix
        first, count, to = arch.first, arch.count, arch.to
        places = given(call)
        results = call["results"] or ([call["result"]] if call["result"] else [])
        told = ", ".join(f"{a['name']} {'+'.join(a['registers'])}" for a in call["arguments"])
        back = ", ".join("+".join(r["registers"]) for r in results)
        dies = " ".join(call["clobbers"])
        lines = [
            "",
            f"/* {call['name']}: {told or 'no arguments'}; returns {back or 'nothing'}; destroys"
            f" {dies or 'nothing'}. */",
            f"    .globl probe_{call['symbol']}",
            f"probe_{call['symbol']}:",
            *(f"    push %{register}" for register in arch.saved),
            "    pushf",
            f"    mov %{sp}, contract_sp",
        ]
        pushed = [p for p in reversed(places) if p.startswith("stack")]
        lines += [f"    push{s} {self.at('contract_in', place)}" for place in pushed]
        # What lies below the stack pointer is filled: the deepest word that the call wrote can be found.
        lines += [
            f"    push{s} {self.at('contract_in', 'flags')} /* for popf below */",
            f"    lea {-STACK_BYTES}(%{sp}), %{to}",
            f"    mov ${STACK_FILL:#x}, %{first}",
            f"    mov ${STACK_BYTES // word}, %{count}",
            "    cld",
            f"    rep stos{s}",
        ]
        for register in reversed(registers):
            lines.append(f"    {self.load(register, places)}, %{register}")
        lines += [
            f"    lock incl vmi_call_count + 4 * VMI_ORDINAL_{call['symbol'].upper()}",
            "    popf",
            f"    call {call['c_name']}",
            "    pushf",
            f"    pop{s} {self.at('contract_out', 'flags')}",
        ]
        lines += [f"    mov %{register}, {self.at('contract_out', register)}" for register in registers]
        # Between the stack pointer and what was filled lies one word: the flags, and then the return address.
        lines += [
            f"    lea {-word - STACK_BYTES}(%{sp}), %{to}",
            f"    mov ${STACK_FILL:#x}, %{first}",
            f"    mov ${STACK_BYTES // word}, %{count}",
            "    cld",
            f"    repe scas{s}",
            "    /* The first word that differs, those above it, the return address. */",
            f"    lea {2 * word}(, %{count}, {word}), %{count}",
            "    jne 1f",
            f"    mov ${word}, %ecx /* nothing but that */",
            "1:  mov %ecx, contract_stack",
            f"    lea {word * len(pushed)}(%{sp}), %{first}",
            f"    mov contract_sp, %{sp}",
            "    xor %ecx, %ecx /* registers that were changed */",
            f"    cmp %{first}, %{sp}",
            "    je 1f",
            f"    or ${1 << STACK_POINTER:#x}, %ecx",
            "1:",
        ]
        for register in registers:
            if register not in call["kept"]:
                continue
            lines += [
                f"    {self.load(register, places)}, %{first}",
                f"    cmp %{first}, {self.at('contract_out', register)}",
                "    je 1f",
                f"    or ${1 << registers.index(register):#x}, %ecx",
                "1:",
            ]
        # DF is clear at every return, whatever else becomes of the flags.
        lines += [
            f"    mov {self.at('contract_in', 'flags')}, %{first}",
            f"    xor {self.at('contract_out', 'flags')}, %{first}",
            f"    and ${(ARITHMETIC if 'flags' in call['kept'] else 0) | DIRECTION:#x}, %{first}",
            "    jz 1f",
            f"    or ${1 << len(registers):#x}, %ecx",
            "1:  mov %ecx, contract_changed",
            "    popf",
            *(f"    pop %{register}" for register in reversed(arch.saved)),
            "    ret",
        ]
        return "\n".join(lines) + "\n"

    def give(self, call: dict[str, Any]) -> str:
        """The function that puts a call's arguments where they belong, and those that take its results."""
        bits = 8 * self.arch.word
        parameters, lines = ["struct contract_registers *in"], []
        for argument in call["arguments"]:
            kind, places, name = argument["type"], argument["registers"], argument["name"]
            parameters.append(f"{kind['c']} {name}")
            at = [f"in->stack[{p[5:]}]" if p.startswith("stack") else f"in->{p}" for p in places]
            # What lies above an argument of 32 bits or less in its register is anything.
            above = [f" | {self.poison(p) >> 32:#x}ull << 32" if bits == 64 else "" for p in places]
            if len(places) == 2:
                lines.append(f"    {at[0]} = (uint32_t){name}{above[0]};")
                lines.append(f"    {at[1]} = {name} >> 32{above[1]};")
            elif kind["bits"] < bits == 64:
                lines.append(f"    {at[0]} = (uint32_t){name}{above[0]};")
            else:
                lines.append(f"    {at[0]} = (uintptr_t){name};")
        if not lines:
            lines = ["    (void)in;"]
        head = f"static inline void give_{call['symbol']}({', '.join(parameters)})"
        out = [head, "{", *lines, "}"]
        named = [(f"{call['symbol']}_{r['name']}", r) for r in call["results"]]
        if call["result"]:
            named.append((call["symbol"], call["result"]))
        for name, result in named:
            places, kind = result["registers"], result["type"]["c"]
            out += [f"static inline {kind} result_{name}(const struct contract_registers *out)", "{"]
            value = f"out->{places[0]}"
            if len(places) == 2:
                value = f"(uint64_t)out->{places[1]} << 32 | (uint32_t)out->{places[0]}"
            out += [f"    return ({kind})({value});", "}"]
        return "\n".join(out)

    def places(self, model: dict[str, Any]) -> str:
        """The header that says where arguments and results are."""
        count = len(self.registers)
        names = ", ".join(f'"{register}"' for register in self.registers)
        stack = [f"    uintptr_t stack[{self.stack_words}];"] if self.stack_words else []
        return "\n".join([
            f"{BANNER}#ifndef PLACES_H", "#define PLACES_H", "",
            "#include <stdint.h>", "#include <vmi/vmi.h>", "",
            "/* Registers before and after a call, in the order in which the probes know them. */",
            "struct contract_registers {",
            f"    uintptr_t {', '.join(self.registers)}, flags;", *stack, "};", "",
            f"#define CONTRACT_REGISTERS {count} /* but for the flags, which come next */",
            f"#define CONTRACT_REGISTER_NAMES {names}, \"flags\"",
            f"#define CONTRACT_CHANGED_STACK (1u << {STACK_POINTER})", "",
            *(self.give(call) for call in model["calls"] if probed(call)), "", "#endif", "",
        ])  # fmt: skip


def given(call: dict[str, Any]) -> list[str]:
    """Where a call's arguments are."""
    return [place for argument in call["arguments"] for place in argument["registers"]]


def probed(call: dict[str, Any]) -> bool:
    """Whether a call comes back to its caller, so that a probe can be generated."""
    return call["convention"] != "jump" and not call["noreturn"]


def contract(call: dict[str, Any], probes: Probes) -> str:
    """The entry of one call in the table of contracts."""
    result = call["result"]
    bits = result["type"]["bits"] if result else 0
    if result and not bits:
        bits = 8 * probes.arch.word
    places = [probes.index(r) for r in result["registers"]] if result else []
    low, high = (places + places + [0, 0])[:2]
    symbol = call["symbol"]
    name = f"probe_{symbol}" if probed(call) or call["convention"] == "jump" else "0"
    return (
        f'    {{.name = "{call["name"]}",\n'
        f"     .ordinal = VMI_ORDINAL_{symbol.upper()},\n"
        f"     .probe = {name},\n"
        f"     .arguments = arguments_{symbol},\n"
        f"     .after = after_{symbol},\n"
        f"     .unsupported = {call['unsupported'] & (1 << max(bits, 1)) - 1:#x}ull,\n"
        f"     .stack = {call['stack']},\n"
        f"     .result_bits = {bits},\n"
        f"     .result = {{{low}, {high}}}}},"
    )


def layout(structure: dict[str, Any]) -> str:
    """A check of a structure's size and offsets, as compiled."""
    kind = f"struct vmi_{structure['name']}"
    lines = [f"static void layout_{structure['name']}(void)", "{"]
    lines.append(f"    EXPECT_EQUAL(sizeof({kind}), {structure['size']});")
    for field in structure["fields"]:
        lines.append(f"    EXPECT_EQUAL(offsetof({kind}, {field['name']}), {field['offset']});")
        lines.append(f"    EXPECT_EQUAL(sizeof((({kind} *)0)->{field['name']}), {field['size']});")
    return "\n".join([*lines, "}"])


def checks(model: dict[str, Any], probes: Probes) -> str:
    """The table of contracts and the lists of checks."""
    calls, structures = model["calls"], model["structures"]
    out = [BANNER, "#include <stddef.h>", "#include <vmi/vmi.h>", "", '#include "contract.h"', ""]
    for call in calls:
        symbol = call["symbol"]
        if probed(call):
            out.append(f"void probe_{symbol}(void);")
        elif call["convention"] == "jump":
            out.append(f"void probe_{symbol}(void) __attribute__((weak));")
        out.append(f"void arguments_{symbol}(struct contract_registers *in) __attribute__((weak));")
        out.append(f"void after_{symbol}(const struct contract_registers *out) __attribute__((weak));")
    out += ["", "const struct contract contracts[] = {", *(contract(call, probes) for call in calls), "};",
            f"const uint32_t contracts_count = {len(calls)};", ""]  # fmt: skip
    out += [f"{layout(structure)}\n" for structure in structures]
    for number, call in enumerate(calls):
        for kind in ("contract", "matrix"):
            out.append(f"static void {kind}_{call['symbol']}(void)\n{{")
            out.append(f"    {kind}_check(&contracts[{number}]);\n}}\n")
    for kind, names in (
        ("layout", [(s["name"], s["name"]) for s in structures]),
        ("contract", [(c["name"], c["symbol"]) for c in calls]),
        ("matrix", [(c["name"], c["symbol"]) for c in calls]),
    ):
        out.append(f"const struct check checks_{kind}[] = {{")
        out += [f'    {{"{kind}.{name}", {kind}_{symbol}}},' for name, symbol in names]
        out += ["    {NULL, NULL},", "};"]
    return "\n".join(out) + "\n"


def main(arguments: list[str]) -> None:
    source, assembly, table, header = (Path(argument) for argument in arguments)
    model = json.loads(source.read_text())["spec"]
    probes = Probes(model)
    code = "".join(probes.probe(call) for call in model["calls"] if probed(call))
    write_if_changed(assembly, f'{BANNER}{HEAD}{code}\n    .section .note.GNU-stack, "", @progbits\n')
    write_if_changed(table, checks(model, probes))
    write_if_changed(header, probes.places(model))
    for path in (assembly, table, header):
        os.utime(path)


if __name__ == "__main__":
    main(sys.argv[1:])
