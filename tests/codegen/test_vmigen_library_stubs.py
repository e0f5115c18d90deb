# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Every entry point and every hypercall function of every backend, run as 32-bit code on the build machine.

The library's generated assembly is linked with a recorder in place of what it leads to: the transfer into
the hypervisor (VMI_TRANSFER_OVERRIDE) becomes a call that notes the registers, destroys those that the
hypervisor may destroy and returns a known value; a routine is one that notes its arguments, destroys what a
C function may and returns known results; an instruction that only a kernel may execute becomes a call that
counts. Then the registers are compared with the specification.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_vmigen_contracts import (
    FLAGS,
    HARNESS,
    PRELUDE,
    REGISTERS,
    argument_value,
    can_run,
    pattern,
    result_value,
    routine,
)
from vmigen_runs import PROJECT

BACKENDS = sorted(path.parent.name for path in PROJECT.glob("backends/*/backend.yaml"))

SENSITIVE = re.compile(
    r"^(\s*(?:\d+:\s*)?)("
    r".*%(?:cr|dr)\d.*|[ls][gi]dt .*|[ls]ldt .*|ltr .*|str .*|clts|wbinvd|invlpg .*|hlt|cli|sti"
    r"|rdmsr|wrmsr|rdpmc|in .*|out .*|rep (?:ins|outs).*|vmcall|vmmcall|int .*|ud2|.*0x[0-9a-f]{6,}\(.*"
    r')$|^\s*\.ascii "xen"$',
    re.MULTILINE,
)
"""What a program may not execute, or what is at an address of the kernel's: replaced by the recorder."""

RESULT = 0xC0FFEE01

RECORDER = r"""
/* In place of an instruction that only a kernel may execute: counts and changes nothing. */
        .text
        .globl vmi__test_sensitive
vmi__test_sensitive:
        pushf
        incl sensitive_seen
        popf
        ret

/* In place of the transfer: notes the registers and destroys those of gate_destroys (a bit per register). */
        .macro destroy_register bit, register
        testl $1 << \bit, gate_destroys
        jz 1f
        mov $0xdead0000 + \bit, %\register
1:
        .endm
        .globl vmi__test_gate
vmi__test_gate:
        incl gate_seen
        mov %eax, gate
        mov %ecx, gate + 4
        mov %edx, gate + 8
        mov %ebx, gate + 12
        mov %ebp, gate + 16
        mov %esi, gate + 20
        mov %edi, gate + 24
        destroy_register 1, ecx
        destroy_register 2, edx
        destroy_register 3, ebx
        destroy_register 5, esi
        destroy_register 6, edi
        mov $0xc0ffee01, %eax
        stc
        ret
        .bss
        .globl gate, gate_seen, gate_destroys, sensitive_seen
gate:   .skip 4 * 7
gate_seen: .skip 4
gate_destroys: .skip 4
sensitive_seen: .skip 4
"""

DECLARATIONS = r"""
extern uint32_t gate[7], gate_seen, gate_destroys, sensitive_seen;
static uint32_t memory[256];
"""


@pytest.fixture(scope="module", autouse=True)
def _runs_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not can_run(tmp_path_factory.mktemp("probe")):
        pytest.skip("this machine's kernel runs no 32-bit programs")


def value(index: int, argument: dict[str, Any]) -> str:
    """An argument's value in C: a pointer leads to memory, an index is small."""
    if argument["type"]["pointer"]:
        return f"(uint32_t)(memory + {16 * (index + 1)})"
    if argument["name"] == "index":
        return f"{3 + index}u"
    return f"{argument_value(index, argument['type']['bits']):#x}ull"


def destroyed(hypercall: dict[str, Any]) -> int:
    return sum(1 << REGISTERS.index(register) for register in hypercall["clobbers"] if register in REGISTERS)


def entry_lines(call: dict[str, Any], way: dict[str, Any], hypercalls: dict[str, Any]) -> list[str]:
    """Run one entry point and compare."""
    registers = {register: f"{pattern(register):#x}u" for register in REGISTERS}
    stack = ["0", "0"]
    after = ["CHECK(harness() == 0);"]
    by_routine = way["routine"] is not None  # with the known results of test_vmigen_contracts
    for i, argument in enumerate(call["arguments"]):
        if by_routine:
            after.append(f"CHECK(seen[{i}] == (uint64_t){value(i, argument)});")
        for word, place in enumerate(argument["registers"]):
            part = f"(uint32_t)((uint64_t)({value(i, argument)}) >> {32 * word})"
            if place.startswith("stack"):
                stack[int(place[5:])] = part
            else:
                registers[place] = part
    results = call["results"] or ([call["result"]] if call["result"] else [])
    if by_routine:
        after.append("CHECK(calls_seen == 1);")
    else:
        after.append("CHECK(calls_seen == 0);")
    after.append(f"CHECK(gate_seen == {1 if way['direct'] else 0});")
    if way["direct"]:
        after.append(f"CHECK({hypercalls[way['hypercalls'][0]]['counter']} == made + 1);")
    for i, result in enumerate(results):
        for word, place in enumerate(result["registers"]):
            mask = (1 << min(32, result["type"]["bits"])) - 1
            if by_routine:
                part = result_value(i, result["type"]["bits"]) >> 32 * word & 0xFFFFFFFF
            elif way["direct"]:
                part = RESULT
            elif way["kind"] == "unsupported":
                part = (call["unsupported"] & (1 << 64) - 1) >> 32 * word & 0xFFFFFFFF
            else:
                continue
            after.append(f"CHECK((out[{REGISTERS.index(place)}] & {mask:#x}u) == {part & mask:#x}u);")
    for register in call["kept"]:
        if register == "flags":
            after.append(f"CHECK((out[7] & {FLAGS:#x}u) == (in[7] & {FLAGS:#x}u));")
        elif register != "esp":
            after.append(f"CHECK(out[{REGISTERS.index(register)}] == {registers[register]});")
    lines = [f"in[{i}] = {registers[register]};" for i, register in enumerate(REGISTERS)]
    lines += ["in[7] = 0x2c4;", *(f"stack_words[{i}] = {word};" for i, word in enumerate(stack))]
    if way["direct"]:
        lines.append(f"gate_destroys = {destroyed(hypercalls[way['hypercalls'][0]])};")
    lines += [f"target = (const void *)entry_{call['symbol']};", "calls_seen = gate_seen = 0;"]
    return [*lines, *after]


def hypercall_lines(hypercall: dict[str, Any]) -> list[str]:
    """Make one hypercall by its C function and compare; the registers of the ABI are read off the gate."""
    words, values = [], []
    for i, argument in enumerate(hypercall["arguments"]):
        bits = 32 * len(argument["registers"])
        number = argument_value(i, bits)
        values.append(f"{number:#x}ull")
        words += [(p, number >> 32 * w & 0xFFFFFFFF) for w, p in enumerate(argument["registers"])]
    lines = [
        f"gate_seen = 0; gate_destroys = {destroyed(hypercall)};",
        f"uint32_t before = {hypercall['counter']};",
        f"int32_t result = (int32_t){hypercall['c_name']}("
        + ", ".join(f"(__typeof__(parameter_{hypercall['name']}_{i})){v}" for i, v in enumerate(values))
        + ");",
    ]
    lines += [
        f"CHECK(result == (int32_t){RESULT:#x});",
        "CHECK(gate_seen == 1);",
        f"CHECK({hypercall['counter']} == before + 1);",
        f"CHECK(gate[{REGISTERS.index(hypercall['number_register'])}] == {hypercall['number']:#x}u);",
    ]
    lines += [f"CHECK(gate[{REGISTERS.index(place)}] == {word:#x}u);" for place, word in words]
    return lines


def program(model: dict[str, Any], backend: dict[str, Any]) -> tuple[str, int, int]:
    """The C program, and how many entry points and hypercalls it runs."""
    name = backend["name"]
    hypercalls = {hypercall["name"]: hypercall for hypercall in backend["hypercalls"]}
    calls = [c for c in model["spec"]["calls"] if c["convention"] != "jump" and not c["noreturn"]]
    lines = [PRELUDE.replace("test/routines.h", f"{name}/routines.h"), f'#include "{name}/hypercalls.h"']
    lines += [DECLARATIONS]
    written = set()
    bodies = []
    for call in model["spec"]["calls"]:
        way = backend["calls"][call["name"]]
        if way["routine"] and way["routine"] not in written and call["convention"] != "jump":
            written.add(way["routine"])
            lines.append(routine(call, way["routine"]))
    types = {kind["name"]: kind for kind in model["spec"]["types"]}
    for call in calls:
        way = backend["calls"][call["name"]]
        lines += [
            f'extern const char entry_{call["symbol"]}[] __asm__("{call["c_name"]}");',
            f'#undef CALL\n#define CALL "entry of {call["name"]}"',
            f"static void check_{call['symbol']}(void)",
            "{",
        ]
        if way["direct"]:
            lines.append(f"    uint32_t made = {hypercalls[way['hypercalls'][0]]['counter']};")
        lines += [f"    {line}" for line in entry_lines(call, way, hypercalls)] + ["}"]
        bodies.append(f"    check_{call['symbol']}();")
    for hypercall in hypercalls.values():
        for i, argument in enumerate(hypercall["arguments"]):
            c_type = types[argument["type"]]["c"]
            lines.append(f"extern {c_type} parameter_{hypercall['name']}_{i};")
        lines += [
            f'#undef CALL\n#define CALL "hypercall {hypercall["name"]}"',
            f"static void hypercall_{hypercall['name']}(void)",
            "{",
            *(f"    {line}" for line in hypercall_lines(hypercall)),
            "}",
        ]
        bodies.append(f"    hypercall_{hypercall['name']}();")
    lines += ["int main(void)", "{", *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n", len(calls), len(hypercalls)


def run(
    compiler: str,
    generated: Path,
    model: dict[str, Any],
    name: str,
    out: Path,
    damage: tuple[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Link one backend's generated assembly with the recorder and run it."""
    backend = next(b for b in model["backends"] if b["name"] == name)
    source, entries, _ = program(model, backend)
    assert entries > 70
    stubs = (generated / name / "stubs.S").read_text()
    if damage:
        assert damage[0] in stubs, damage
        stubs = stubs.replace(damage[0], damage[1])
    stubs = SENSITIVE.sub(lambda found: f"{found[1] or ''}call vmi__test_sensitive", stubs)
    jumps = {
        backend["calls"][c["name"]]["routine"] for c in model["spec"]["calls"] if c["convention"] == "jump"
    }
    labels = "".join(f"        .globl {label}\n{label}: ud2\n" for label in sorted(filter(None, jumps)))
    (out / name).mkdir(parents=True)
    (out / name / "stubs.S").write_text(stubs)
    owners = {hypercall["owner"] for hypercall in backend["hypercalls"]} | {name}
    macros = "".join(
        f".macro vmi__{owner}_transfer\ncall vmi__test_gate\n.endm\n" for owner in sorted(owners)
    )
    (out / "override.h").write_text(macros)
    (out / "main.c").write_text(source)
    (out / "harness.S").write_text(HARNESS + RECORDER + "        .text\n" + labels)
    files = [out / "harness.S", out / "main.c", out / name / "stubs.S", generated / name / "hypercalls.S"]
    command = [
        compiler,
        "-m32",
        "-nostdlib",
        "-static",
        "-ffreestanding",
        "-fno-stack-protector",
        "-mgeneral-regs-only",
        "-w",
        "-O2",
        "-fno-pic",
        '-DVMI_TRANSFER_OVERRIDE="override.h"',
        f"-I{out}",
        f"-I{generated}",
        f"-I{generated}/include",
        *map(str, files),
        "-o",
        str(out / "program"),
    ]
    subprocess.run(command, check=True, timeout=300)
    return subprocess.run([str(out / "program")], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def model(generated: Path) -> dict[str, Any]:
    return json.loads((generated / "model.json").read_text())


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", BACKENDS)
def test_every_stub(name: str, compiler: str, generated: Path, model: dict[str, Any], tmp_path: Path) -> None:
    done = run(compiler, generated, model, name, tmp_path)
    assert done.stdout == ""
    assert done.returncode == 0


def test_damage_is_noticed(generated: Path, model: dict[str, Any], tmp_path: Path) -> None:
    """The check can fail: a stub of each backend that keeps less than it must."""
    for name in BACKENDS:
        # The entry point of GetInterruptMask keeps all but eax and flags, in every backend.
        damage = ("vmi_get_interrupt_mask:\n", "vmi_get_interrupt_mask:\n        mov $1, %ecx\n")
        done = run("gcc", generated, model, name, tmp_path / name, damage)
        assert "(entry of GetInterruptMask)" in done.stdout
        assert done.returncode == 1
