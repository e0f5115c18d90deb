# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Register contracts, by running entry points and wrappers as 32-bit code on the build machine.

A backend is made up in which every call is done by a C routine that destroys all it may. A harness in
assembly gives each entry point known registers, flags and stack words and catches what comes back; the
wrappers are called from C. So what is checked is the specification's contract against the machine, not
generated text against itself. A second made-up backend does the calls by direct hypercalls, whose transfer
notes the registers.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from vmigen_runs import PROJECT, process

REGISTERS = ("eax", "ecx", "edx", "ebx", "ebp", "esi", "edi")
FLAGS = 0x8D5
"""CF, PF, AF, ZF, SF and OF: those that arithmetic changes."""

HARNESS = r"""
/* Runs target with the registers, flags and stack words of `in`; what comes back is in `out`. */
        .bss
        .globl in, out, target
in:     .skip 4 * 8                     /* eax ecx edx ebx ebp esi edi flags */
out:    .skip 4 * 8
target: .skip 4
stack_words: .skip 4 * 2
        .globl stack_words
saved:  .skip 4
        .text
        .globl harness
harness:
        push %ebx
        push %ebp
        push %esi
        push %edi
        pushf
        mov %esp, saved
        push stack_words + 4
        push stack_words
        mov in + 4, %ecx
        mov in + 8, %edx
        mov in + 12, %ebx
        mov in + 16, %ebp
        mov in + 20, %esi
        mov in + 24, %edi
        mov in, %eax
        push in + 28
        popf
        call *target
        pushf
        pop out + 28
        mov %eax, out
        mov %ecx, out + 4
        mov %edx, out + 8
        mov %ebx, out + 12
        mov %ebp, out + 16
        mov %esi, out + 20
        mov %edi, out + 24
        add $8, %esp
        cmp %esp, saved
        jne unbalanced
        popf
        pop %edi
        pop %esi
        pop %ebp
        pop %ebx
        xor %eax, %eax
        ret
unbalanced:
        mov saved, %esp
        popf
        pop %edi
        pop %esi
        pop %ebp
        pop %ebx
        mov $1, %eax
        ret

/* What a C function may destroy, destroyed. */
        .globl destroy
destroy:
        mov $0xdead0001, %eax
        mov $0xdead0002, %ecx
        mov $0xdead0003, %edx
        cmp $0x7fffffff, %eax
        stc
        ret

/* System calls of Linux/i386: 4 write, 1 exit. */
        .globl _start, finish
_start: call main
finish: mov %eax, %ebx
        mov $1, %eax
        int $0x80
        .globl say
say:    push %ebx
        mov 8(%esp), %ecx
        mov 12(%esp), %edx
        mov $1, %ebx
        mov $4, %eax
        int $0x80
        pop %ebx
        ret
        .section .note.GNU-stack, "", @progbits
"""

PRELUDE = r"""
#include <vmi/vmi.h>
#include "test/routines.h"

extern uint32_t in[8], out[8], stack_words[2];
extern const void *target;
uint32_t harness(void);
__attribute__((__regparm__(3))) void destroy(void);
void say(const char *text, uint32_t length);
int main(void);

uint32_t vmi_call_count[VMI_ORDINALS];
/* Volatile, for a call with `memory: false` does not tell the compiler that a routine writes them. */
static volatile uint64_t seen[8];
static volatile uint32_t calls_seen;
static uint32_t failures;

static void fail(const char *what)
{
    uint32_t length = 0;
    while (what[length])
        length++;
    say(what, length);
    say("\n", 1);
    failures++;
}
#define CHECK(condition) do { if (!(condition)) fail(#condition " (" CALL ")"); } while (0)
"""


def pattern(register: str) -> int:
    """The value that a register holds before a call."""
    return 0x11110000 + 0x01010101 * (REGISTERS.index(register) + 1)


def can_run(folder: Path) -> bool:
    """Whether this machine runs 32-bit programs."""
    source = folder / "probe.S"
    source.write_text(".globl _start\n_start: mov $1, %eax\nmov $42, %ebx\nint $0x80\n")
    program = folder / "probe"
    subprocess.run(["gcc", "-m32", "-nostdlib", "-static", str(source), "-o", str(program)], check=True)
    try:
        return subprocess.run([str(program)], timeout=300).returncode == 42
    except OSError:
        return False


@pytest.fixture(scope="module", autouse=True)
def _runs_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not can_run(tmp_path_factory.mktemp("probe")):
        pytest.skip("this machine's kernel runs no 32-bit programs")


def parameters(call: dict[str, Any]) -> list[tuple[str, str]]:
    """Type and name of each parameter in C."""
    inside = call["prototype"].partition("(")[2].rpartition(")")[0]
    if inside == "void":
        return []
    return [
        (match.group(1).strip(), match.group(2))
        for match in (re.fullmatch(r"(.*?)(\w+)", p) for p in inside.split(", "))
        if match
    ]


def argument_value(index: int, bits: int) -> int:
    """A value for an argument, different in each byte."""
    return (0x8182838485868788 ^ 0x0101010101010101 * (index + 1) * 3) & ((1 << bits) - 1)


def result_value(index: int, bits: int) -> int:
    """A value for a result."""
    return (0xC1C2C3C4C5C6C7C8 ^ 0x0101010101010101 * (index + 1) * 5) & ((1 << bits) - 1)


def cast(value: int, c_type: str) -> str:
    """A number as a C expression of a type."""
    return f"({c_type}){value:#x}u" if value < 1 << 32 else f"({c_type}){value:#x}ull"


def argument_in_c(index: int, argument: dict[str, Any]) -> str:
    """An argument's value as a C expression."""
    return cast(argument_value(index, argument["type"]["bits"]), argument["type"]["c"])


def result_in_c(index: int, result: dict[str, Any]) -> str:
    """A result's value as a C expression."""
    return cast(result_value(index, result["type"]["bits"]), result["type"]["c"])


def routine(call: dict[str, Any], name: str) -> str:
    """A routine that notes its arguments, destroys what it may and returns known results."""
    head = re.sub(r"\bvmi_\w+\(", f"{name}(", call["prototype"].rstrip(";"), count=1)
    lines = [f"__attribute__((__regparm__(3))) {head}", "{", "    calls_seen++;"]
    for i, argument in enumerate(call["arguments"]):
        wide = "" if argument["type"]["bits"] == 64 else "(uint32_t)"
        lines.append(f"    seen[{i}] = {wide}{argument['name']};")
    for i, result in enumerate(call["results"]):
        lines.append(f"    *{result['name']} = {result_in_c(i, result)};")
    lines.append("    destroy();")
    if call["noreturn"]:
        lines.append("    __builtin_unreachable();")
    elif call["result"]:
        lines.append(f"    return {result_in_c(0, call['result'])};")
    return "\n".join([*lines, "}"])


def entry_check(call: dict[str, Any]) -> list[str]:
    """Runs the entry point through the harness and compares with the contract."""
    registers = {register: pattern(register) for register in REGISTERS}
    stack = [0, 0]
    checks = ["CHECK(calls_seen == 1);"]
    for i, argument in enumerate(call["arguments"]):
        value = argument_value(i, argument["type"]["bits"])
        checks.append(f"CHECK(seen[{i}] == {value:#x}ull);")
        for word, place in enumerate(argument["registers"]):
            part = value >> 32 * word & 0xFFFFFFFF
            if place.startswith("stack"):
                stack[int(place[5:])] = part
            else:
                registers[place] = part
    results = call["results"] or ([call["result"]] if call["result"] else [])
    for i, result in enumerate(results):
        value = result_value(i, result["type"]["bits"])
        for word, place in enumerate(result["registers"]):
            mask = (1 << min(32, result["type"]["bits"])) - 1
            part = value >> 32 * word & 0xFFFFFFFF
            checks.append(f"CHECK((out[{REGISTERS.index(place)}] & {mask:#x}u) == {part:#x}u);")
    for register in call["kept"]:
        if register == "flags":
            checks.append(f"CHECK((out[7] & {FLAGS:#x}u) == (in[7] & {FLAGS:#x}u));")
        elif register != "esp":
            checks.append(f"CHECK(out[{REGISTERS.index(register)}] == {registers[register]:#x}u);")
    lines = [f"    in[{i}] = {registers[register]:#x}u;" for i, register in enumerate(REGISTERS)]
    lines += ["    in[7] = 0x2c4; /* ZF, SF: not what the routine leaves */"]
    lines += [f"    stack_words[{i}] = {word:#x}u;" for i, word in enumerate(stack)]
    lines += [
        f"    target = (const void *)entry_{call['symbol']};",
        "    calls_seen = 0;",
        "    CHECK(harness() == 0);",
    ]
    return [*lines, *(f"    {check}" for check in checks)]


def wrapper_check(call: dict[str, Any]) -> list[str]:
    """Calls the wrapper from C, with many values alive around it."""
    names, before, after = [], [], []
    for i, argument in enumerate(call["arguments"]):
        names.append(argument_in_c(i, argument))
        after.append(f"CHECK(seen[{i}] == {argument_value(i, argument['type']['bits']):#x}ull);")
    for i, result in enumerate(call["results"]):
        before.append(f"{result['type']['c']} result_{result['name']} = 0;")
        names.append(f"&result_{result['name']}")
        after.append(f"CHECK(result_{result['name']} == {result_in_c(i, result)});")
    invoke = f"{call['c_name']}({', '.join(names)})"
    if call["result"]:
        kind = call["result"]["type"]
        after.append(f"CHECK(result == {result_in_c(0, call['result'])});")
        invoke = f"{kind['c']} result = {invoke}"
    live = [f"uint32_t live{i} = in[{i}];" for i in range(6)]
    alive = [f"CHECK(live{i} == in[{i}]);" for i in range(6)]
    return [
        "    calls_seen = 0;",
        *(
            f"    {line}"
            for line in [*live, *before, f"{invoke};", "CHECK(calls_seen == 1);", *after, *alive]
        ),
    ]


def program(model: dict[str, Any]) -> str:
    """The C program that checks every call of the model."""
    calls = [call for call in model["spec"]["calls"] if call["convention"] != "jump"]
    routines = {name: way["routine"] for name, way in model["backends"][0]["calls"].items()}
    lines = [PRELUDE]
    lines += [f'extern const char entry_{call["symbol"]}[] __asm__("{call["c_name"]}");' for call in calls]
    bodies = []
    for call in calls:
        if call["noreturn"]:
            lines.append(routine(call, routines[call["name"]]))
            continue
        lines.append(routine(call, routines[call["name"]]))
        lines += [
            f'#undef CALL\n#define CALL "entry of {call["name"]}"',
            f"static void check_entry_{call['symbol']}(void)",
            "{",
        ]
        lines += [*entry_check(call), "}", f'#undef CALL\n#define CALL "wrapper of {call["name"]}"']
        lines += [f"static void check_wrapper_{call['symbol']}(void)", "{", *wrapper_check(call), "}"]
        bodies += [f"    check_entry_{call['symbol']}();", f"    check_wrapper_{call['symbol']}();"]
    lines += ["int main(void)", "{", *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n"


def build_and_run(
    compiler: str, flags: list[str], out: Path, source: str
) -> subprocess.CompletedProcess[str]:
    """Links the program with the made-up library and runs it."""
    for name, text in (("harness.S", HARNESS), ("main.c", source)):
        (out / name).write_text(text)
    common = [
        "-m32",
        "-nostdlib",
        "-static",
        "-ffreestanding",
        "-fno-stack-protector",
        "-mgeneral-regs-only",
        "-w",
    ]
    include = [f"-I{out}", f"-I{out}/include"]
    files = [str(out / name) for name in ("harness.S", "main.c", "test/stubs.S", "test/hypercalls.S")]
    command = [compiler, *common, *flags, *include, "-Wl,-z,notext", *files, "-o", str(out / "program")]
    subprocess.run(command, check=True, timeout=300)
    return subprocess.run([str(out / "program")], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def by_routine(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's specification with a backend that does each call by a C routine."""
    model = json.loads((generated / "model.json").read_text())
    folder = tmp_path_factory.mktemp("routine")
    (folder / "test").mkdir()
    lines = [
        "name: test",
        "title: Test",
        "summary: Every call by a routine.",
        "architectures: [i386]",
        "calls:",
    ]
    for call in model["spec"]["calls"]:
        way = (
            "instruction: [iret]" if call["convention"] == "jump" else f"routine: vmi__test_{call['symbol']}"
        )
        lines.append(f"  {call['name']}: {{{way}}}")
    (folder / "test/backend.yaml").write_text("\n".join(lines) + "\n")
    run = process(
        "generate",
        "--spec",
        PROJECT / "spec/vmi.yaml",
        "--backends",
        folder / "test",
        "--out",
        folder / "out",
    )
    assert run.status == 0, run.err
    return folder / "out"


@pytest.mark.parametrize(
    "flags",
    [["-O0"], ["-O2"], ["-O0", "-fpic"], ["-O2", "-fpic"], ["-O2", "-DVMI_COUNT_CALLS"]],
    ids=" ".join,
)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_call_by_a_routine(compiler: str, flags: list[str], by_routine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(by_routine, out)
    model = json.loads((out / "model.json").read_text())
    done = build_and_run(compiler, flags, out, program(model))
    assert done.stdout == ""
    assert done.returncode == 0


def test_a_contract_that_is_broken_is_noticed(by_routine: Path, tmp_path: Path) -> None:
    """The check can fail: a stub that does not restore the flags, one that mixes up its arguments."""
    for old, new in (
        ("popf", "lea 4(%esp), %esp"),
        ("push %ecx\n        push %eax\n        pop", "push %eax\n        push %ecx\n        pop"),
    ):
        out = tmp_path / old[:4]
        shutil.copytree(by_routine, out)
        stubs = (out / "test/stubs.S").read_text()
        assert old in stubs
        (out / "test/stubs.S").write_text(stubs.replace(old, new))
        model = json.loads((out / "model.json").read_text())
        done = build_and_run("gcc", ["-O2"], out, program(model))
        assert "(entry of CPUID)" in done.stdout
        assert done.returncode == 1


GATE = r"""
/* The transfer, taken over: notes the registers, destroys those that were used and returns a known value. */
        .bss
        .globl gate, gate_used
gate:   .skip 4 * 6                     /* eax ebx ecx edx esi edi */
gate_used: .skip 4
        .text
        .globl vmi__test_gate
vmi__test_gate:
        mov %eax, gate
        mov %ebx, gate + 4
        mov %ecx, gate + 8
        mov %edx, gate + 12
        mov %esi, gate + 16
        mov %edi, gate + 20
        mov gate_used, %eax
        cmp $1, %eax
        jb 1f
        mov $0xdead0001, %ebx
        cmp $2, %eax
        jb 1f
        mov $0xdead0002, %ecx
        cmp $3, %eax
        jb 1f
        mov $0xdead0003, %edx
        cmp $4, %eax
        jb 1f
        mov $0xdead0004, %esi
        cmp $5, %eax
        jb 1f
        mov $0xdead0005, %edi
1:      mov $0xc0ffee01, %eax
        stc
        ret
"""


def words(call: dict[str, Any], order: list[int]) -> list[int]:
    """The words of a call's arguments, taken in an order."""
    found = []
    for i in order:
        argument = call["arguments"][i]
        value = argument_value(i, argument["type"]["bits"])
        found += [value >> 32 * word & 0xFFFFFFFF for word in range(len(argument["registers"]))]
    return found


def made_directly(call: dict[str, Any]) -> bool:
    """Whether a call can be one hypercall."""
    return (
        call["convention"] != "jump"
        and not call["results"]
        and len((call["result"] or {"registers": []})["registers"]) < 2
    )


def orders(call: dict[str, Any]) -> list[int]:
    """The order in which the made-up hypercall takes the arguments: turned, so that registers are swapped."""
    count = len(call["arguments"])
    shift = 1 + call["ordinal"] % max(count, 1)
    return (
        [(i + shift) % count for i in range(count)] if call["ordinal"] % 2 else list(reversed(range(count)))
    )


@pytest.fixture(scope="module")
def by_hypercall(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's specification with a backend that does each call by one hypercall."""
    model = json.loads((generated / "model.json").read_text())
    folder = tmp_path_factory.mktemp("hypercall")
    (folder / "test").mkdir()
    table, ways = [], []
    for call in model["spec"]["calls"]:
        if not made_directly(call):
            ways.append(f"  {call['name']}: {{instruction: [ud2]}}")
            continue
        given = [call["arguments"][i] for i in orders(call)]
        arguments = ", ".join(f"{{name: {a['name']}, type: {a['type']['name']}}}" for a in given)
        number = 1000 + call["ordinal"]
        table.append(
            f"    - {{name: {call['symbol']}, number: {number}, summary: S., arguments: [{arguments}]}}"
        )
        values = ", ".join(argument["name"] for argument in given)
        ways.append(f"  {call['name']}: {{hypercall: {call['symbol']}, constants: [{values}]}}")
    lines = [
        "name: test",
        "title: Test",
        "summary: Every call by a hypercall.",
        "architectures: [i386]",
        "hypercalls:",
    ]
    lines += [
        "  prefix: vmi__test_hypercall_",
        "  i386: {number: eax, arguments: [ebx, ecx, edx, esi, edi], result: eax,",
    ]
    lines += ["         clobbers: used, transfer: [ud2]}", "  calls:", *table, "calls:", *ways]
    (folder / "test/backend.yaml").write_text("\n".join(lines) + "\n")
    run = process(
        "generate",
        "--spec",
        PROJECT / "spec/vmi.yaml",
        "--backends",
        folder / "test",
        "--out",
        folder / "out",
    )
    assert run.status == 0, run.err
    return folder / "out"


def gate_checks(call: dict[str, Any], count: int) -> list[str]:
    """What the transfer must have found, and the counter after it."""
    loaded = words(call, orders(call))
    checks = [f"CHECK(gate[0] == {1000 + call['ordinal']}u);"]
    checks += [f"CHECK(gate[{i + 1}] == {word:#x}u);" for i, word in enumerate(loaded)]
    return [*checks, f"CHECK(vmi__test_hypercall_{call['symbol']}_count == {count});"]


@pytest.mark.parametrize("flags", [["-O0"], ["-O2"]], ids=" ".join)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_call_by_a_hypercall(
    compiler: str, flags: list[str], by_hypercall: Path, tmp_path: Path
) -> None:
    """Entry points and the hypercall library, with the transfer taken over by VMI_TRANSFER_OVERRIDE."""
    out = tmp_path / "out"
    shutil.copytree(by_hypercall, out)
    model = json.loads((out / "model.json").read_text())
    (out / "override.h").write_text(".macro vmi__test_transfer\ncall vmi__test_gate\n.endm\n")
    lines = [PRELUDE, '#include "test/hypercalls.h"', "extern uint32_t gate[6], gate_used;"]
    bodies = []
    for call in (call for call in model["spec"]["calls"] if made_directly(call)):
        entry = [line for line in entry_check(call) if "seen[" not in line and "calls_seen" not in line]
        result = call["result"]
        if result:  # the value is the gate's here
            entry = [line for line in entry if "out[0] &" not in line]
            mask = (1 << result["type"]["bits"]) - 1
            place = REGISTERS.index(result["registers"][0])
            entry.append(f"    CHECK((out[{place}] & {mask:#x}u) == (0xc0ffee01u & {mask:#x}u));")
        names = [argument_in_c(i, call["arguments"][i]) for i in orders(call)]
        lines += [f'extern const char entry_{call["symbol"]}[] __asm__("{call["c_name"]}");']
        lines += [
            f'#undef CALL\n#define CALL "{call["name"]}"',
            f"static void check_{call['symbol']}(void)",
            "{",
        ]
        lines += [f"    gate_used = {len(words(call, orders(call)))};", *entry, *gate_checks(call, 1)]
        lines += ["    gate[0] = gate[1] = gate[2] = gate[3] = gate[4] = gate[5] = 0;"]
        lines += [
            f"    CHECK(vmi__test_hypercall_{call['symbol']}({', '.join(names)}) == (int32_t)0xc0ffee01);"
        ]
        lines += [*gate_checks(call, 2), "}"]
        bodies.append(f"    check_{call['symbol']}();")
    lines += [
        "__attribute__((__regparm__(3))) void unused(void);",
        "int main(void)",
        "{",
        *bodies,
        "    return failures ? 1 : 0;",
        "}",
    ]
    (out / "test/stubs.S").write_text((out / "test/stubs.S").read_text() + GATE)
    done = build_and_run(
        compiler, [*flags, '-DVMI_TRANSFER_OVERRIDE="override.h"'], out, "\n".join(lines) + "\n"
    )
    assert bodies
    assert done.stdout == ""
    assert done.returncode == 0
