# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The part of the conformance kernel that follows from the specification alone:

    generate.py MODEL PROBES.S CHECKS.C

MODEL is the generator's model.json. PROBES.S has a probe for each call: it loads the arguments, fills
every other register with a value that nobody uses, makes the call and compares what the call must keep.
CHECKS.C has the table of contracts (contract.h) and the lists of checks made of it: the layout of
structures, the register contract of each call, and each call's agreement with what the backend declares.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ci.util import write_if_changed

REGISTERS = ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi")
FLAGS = 4 * len(REGISTERS)
STACK = FLAGS + 4
STACK_WORDS = 1024
STACK_FILL = 0x57AC57AC
"""So many words below the stack pointer are filled with this, to see how much stack a call takes."""
ARITHMETIC = 0x8D5
"""CF, PF, AF, ZF, SF and OF."""

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


def poison(register: str) -> int:
    """A value that no call has a reason to leave in a register."""
    return 0x5EC0DE01 + 0x01010100 * REGISTERS.index(register)


def offset(place: str) -> int:
    return STACK + 4 * int(place[5:]) if place.startswith("stack") else 4 * REGISTERS.index(place)


def given(call: dict[str, Any]) -> list[str]:
    """Where a call's arguments are."""
    return [place for argument in call["arguments"] for place in argument["registers"]]


def probe(call: dict[str, Any]) -> str:
    """The assembly that makes one call."""
    places = given(call)
    results = call["results"] or ([call["result"]] if call["result"] else [])
    told = ", ".join(f"{a['name']} {'+'.join(a['registers'])}" for a in call["arguments"]) or "no arguments"
    back = ", ".join("+".join(r["registers"]) for r in results) or "nothing"
    lines = [
        "",
        f"/* {call['name']}: {told}; returns {back}; destroys {' '.join(call['clobbers']) or 'nothing'}. */",
        f"    .globl probe_{call['symbol']}",
        f"probe_{call['symbol']}:",
        "    pushl %ebx",
        "    pushl %ebp",
        "    pushl %esi",
        "    pushl %edi",
        "    pushfl",
        "    movl %esp, contract_esp",
    ]
    lines += [f"    pushl contract_in + {offset(p)}" for p in reversed(places) if p.startswith("stack")]
    lines += ["    movl contract_in + 28, %eax", "    pushl %eax /* flags, for popfl below */"]
    # What lies below the stack pointer is filled, so that the deepest word that the call wrote can be found.
    lines += [
        f"    leal {-4 * STACK_WORDS}(%esp), %edi",
        f"    movl ${STACK_FILL:#x}, %eax",
        f"    movl ${STACK_WORDS}, %ecx",
        "    cld",
        "    rep stosl",
    ]
    for register in reversed(REGISTERS):
        source = f"contract_in + {offset(register)}" if register in places else f"${poison(register):#x}"
        lines.append(f"    movl {source}, %{register}")
    lines += [
        f"    lock incl vmi_call_count + 4 * VMI_ORDINAL_{call['symbol'].upper()}",
        "    popfl",
        f"    call {call['c_name']}",
        "    pushfl",
        "    popl contract_out + 28",
    ]
    lines += [f"    movl %{register}, contract_out + {offset(register)}" for register in REGISTERS]
    # Between the stack pointer and what was filled lies one word: the flags, and then the return address.
    lines += [
        f"    leal {-4 - 4 * STACK_WORDS}(%esp), %edi",
        f"    movl ${STACK_FILL:#x}, %eax",
        f"    movl ${STACK_WORDS}, %ecx",
        "    cld",
        "    repe scasl",
        "    leal 8(, %ecx, 4), %ecx /* the first word that differs, those above it, the return address */",
        "    movl %ecx, contract_stack",
    ]
    words = sum(p.startswith("stack") for p in places)
    lines += [
        f"    leal {4 * words}(%esp), %eax",
        "    movl contract_esp, %esp",
        "    xorl %ecx, %ecx /* registers that were changed */",
        "    cmpl %eax, %esp",
        "    je 1f",
        "    orl $0x200, %ecx",
        "1:",
    ]
    for register in REGISTERS:
        if register not in call["kept"]:
            continue
        bit = 1 << REGISTERS.index(register)
        if register in places:
            lines += [f"    movl contract_in + {offset(register)}, %eax",
                      f"    cmpl %eax, contract_out + {offset(register)}"]  # fmt: skip
        else:
            lines.append(f"    cmpl ${poison(register):#x}, contract_out + {offset(register)}")
        lines += ["    je 1f", f"    orl ${bit:#x}, %ecx", "1:"]
    # DF is clear at every return, whatever else becomes of the flags.
    lines += [
        "    movl contract_in + 28, %eax",
        "    xorl contract_out + 28, %eax",
        f"    andl ${(ARITHMETIC if 'flags' in call['kept'] else 0) | 0x400:#x}, %eax",
        "    jz 1f",
        "    orl $0x80, %ecx",
        "1:  movl %ecx, contract_changed",
        "    popfl",
        "    popl %edi",
        "    popl %esi",
        "    popl %ebp",
        "    popl %ebx",
        "    ret",
    ]
    return "\n".join(lines) + "\n"


def probed(call: dict[str, Any]) -> bool:
    """Whether a call comes back to its caller, so that a probe can be generated."""
    return call["convention"] != "jump" and not call["noreturn"]


def contract(call: dict[str, Any]) -> str:
    """The entry of one call in the table of contracts."""
    result = call["result"]
    bits = result["type"]["bits"] if result else 0
    if result and not bits:
        bits = 32
    places = [REGISTERS.index(r) for r in result["registers"]] if result else []
    low, high = (places + [0, 0])[:2]
    symbol = call["symbol"]
    name = f"probe_{symbol}" if probed(call) or call["convention"] == "jump" else "0"
    return (
        f'    {{.name = "{call["name"]}",\n'
        f"     .ordinal = VMI_ORDINAL_{symbol.upper()},\n"
        f"     .probe = {name},\n"
        f"     .arguments = arguments_{symbol},\n"
        f"     .after = after_{symbol},\n"
        f"     .unsupported = {call['unsupported'] & (1 << max(bits, 1)) - 1:#x}ull,\n"
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


def checks(model: dict[str, Any]) -> str:
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
    out += ["", "const struct contract contracts[] = {", *(contract(call) for call in calls), "};",
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
    source, probes, table = (Path(argument) for argument in arguments)
    model = json.loads(source.read_text())["spec"]
    code = "".join(probe(call) for call in model["calls"] if probed(call))
    write_if_changed(probes, f'{BANNER}{HEAD}{code}\n    .section .note.GNU-stack, "", @progbits\n')
    write_if_changed(table, checks(model))
    for path in (probes, table):
        os.utime(path)


if __name__ == "__main__":
    main(sys.argv[1:])
