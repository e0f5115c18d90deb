# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Register contracts, by running entry points and wrappers as programs of the build machine.

A backend is made up in which every call is done by a C routine that destroys all it may. A harness in
assembly gives each entry point known registers, flags and stack words and catches what comes back; the
wrappers are called from C. So what is checked is the specification's contract against the machine, not
generated text against itself. A second made-up backend does the calls by direct hypercalls, whose transfer
notes the registers; entry points of a third destroy exactly what the specification lets them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from machines import FLAGS, MACHINES, Machine
from vmigen_runs import PROJECT, process


@pytest.fixture(scope="module", params=MACHINES, ids=lambda machine: machine.arch)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """An architecture whose programs this machine runs."""
    found: Machine = request.param
    if not found.runs_here(tmp_path_factory.mktemp("probe")):
        pytest.skip(f"this machine's kernel runs no programs for {found.arch}")
    return found


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


def routine(machine: Machine, call: dict[str, Any], name: str) -> str:
    """A routine that notes its arguments, destroys what it may and returns known results."""
    head = re.sub(r"\bvmi_\w+\(", f"{name}(", call["prototype"].rstrip(";"), count=1)
    lines = [f"{machine.attribute} {head}", "{", "    calls_seen++;"]
    for i, argument in enumerate(call["arguments"]):
        wide = "(uint64_t)" if argument["type"]["bits"] == 64 else "(uint32_t)"
        lines.append(f"    seen[{i}] = {wide}{argument['name']};")
    for i, result in enumerate(call["results"]):
        lines.append(f"    *{result['name']} = {result_in_c(i, result)};")
    lines.append("    destroy();")
    if call["noreturn"]:
        lines.append("    __builtin_unreachable();")
    elif call["result"]:
        lines.append(f"    return {result_in_c(0, call['result'])};")
    return "\n".join([*lines, "}"])


def parts(machine: Machine, value: int, item: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Where the words of a value are: register, content, and which bits of it count."""
    places = item["registers"]
    width = 32 if len(places) > 1 else min(8 * machine.word, item["type"]["bits"])
    mask = (1 << width) - 1
    return [(place, value >> 32 * i & mask, mask) for i, place in enumerate(places)]


def loaded(machine: Machine, call: dict[str, Any]) -> tuple[dict[str, int], list[int]]:
    """Registers and stack words before a call. Callers extend values to 32 bits; what is above is noise."""
    registers = {register: machine.pattern(register) for register in machine.registers}
    stack = [0, 0]
    for i, argument in enumerate(call["arguments"]):
        value = argument_value(i, argument["type"]["bits"])
        for place, part, mask in parts(machine, value, argument):
            if place.startswith("stack"):
                stack[int(place[5:])] = part
            else:
                registers[place] = part | (0x5A5A5A5A00000000 & machine.mask & ~mask)
    return registers, stack


def entry_check(machine: Machine, call: dict[str, Any]) -> list[str]:
    """Runs the entry point through the harness and compares with the contract."""
    registers, stack = loaded(machine, call)
    checks = ["CHECK(calls_seen == 1);"]
    for i, argument in enumerate(call["arguments"]):
        checks.append(f"CHECK(seen[{i}] == {argument_value(i, argument['type']['bits']):#x}ull);")
    results = call["results"] or ([call["result"]] if call["result"] else [])
    for i, result in enumerate(results):
        for place, part, mask in parts(machine, result_value(i, result["type"]["bits"]), result):
            number = machine.number
            checks.append(f"CHECK((out[{machine.place(place)}] & {number(mask)}) == {number(part)});")
    for register in call["kept"]:
        if register == "flags":
            at = machine.flags
            checks.append(f"CHECK((out[{at}] & {FLAGS:#x}u) == (in[{at}] & {FLAGS:#x}u));")
        elif register != machine.stack:
            checks.append(f"CHECK(out[{machine.place(register)}] == {machine.number(registers[register])});")
    lines = [
        f"    in[{i}] = {machine.number(registers[register])};"
        for i, register in enumerate(machine.registers)
    ]
    lines += [f"    in[{machine.flags}] = 0x2c4; /* ZF, SF: not what the routine leaves */"]
    lines += [f"    stack_words[{i}] = {machine.number(word)};" for i, word in enumerate(stack)]
    lines += [
        f"    target = (const void *)entry_{call['symbol']};",
        "    calls_seen = 0;",
        "    CHECK(harness() == 0);",
    ]
    return [*lines, *(f"    {check}" for check in checks)]


def wrapper_check(machine: Machine, call: dict[str, Any], seen: bool = True) -> list[str]:
    """Calls the wrapper from C, with more values alive around it than there are registers."""
    names, before, after = [], [], []
    for i, argument in enumerate(call["arguments"]):
        names.append(argument_in_c(i, argument))
        if seen:
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
    many = range(len(machine.registers))
    live = [f"word live{i} = in[{i}];" for i in many]
    alive = [f"CHECK(live{i} == in[{i}]);" for i in many]
    once = ["CHECK(calls_seen == 1);"] if seen else []
    return [
        "    calls_seen = 0;",
        *(f"    {line}" for line in [*live, *before, f"{invoke};", *once, *after, *alive]),
    ]


def program(machine: Machine, model: dict[str, Any]) -> str:
    """The C program that checks every call of the model."""
    calls = [call for call in model["spec"]["calls"] if call["convention"] != "jump"]
    routines = {name: way["routine"] for name, way in model["backends"][0]["calls"].items()}
    lines = [machine.prelude("test")]
    lines += [f'extern const char entry_{call["symbol"]}[] __asm__("{call["c_name"]}");' for call in calls]
    bodies = []
    for call in calls:
        lines.append(routine(machine, call, routines[call["name"]]))
        if call["noreturn"]:
            continue
        lines += [
            f'#undef CALL\n#define CALL "entry of {call["name"]}"',
            f"static void check_entry_{call['symbol']}(void)",
            "{",
        ]
        lines += [*entry_check(machine, call), "}", f'#undef CALL\n#define CALL "wrapper of {call["name"]}"']
        lines += [
            f"static void check_wrapper_{call['symbol']}(void)",
            "{",
            *wrapper_check(machine, call),
            "}",
        ]
        bodies += [f"    check_entry_{call['symbol']}();", f"    check_wrapper_{call['symbol']}();"]
    lines += ["int main(void)", "{", *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n"


def build(machine: Machine, compiler: str, flags: list[str], out: Path, source: str) -> Path:
    """Links the program with the made-up library."""
    for name, text in (("harness.S", machine.harness()), ("main.c", source)):
        (out / name).write_text(text)
    files = [out / name for name in ("harness.S", "main.c", "test/hypercalls.S")]
    files += sorted(out.glob("test/stubs*.S"))
    return machine.build(compiler, flags, out, [out, out / "include"], files)


def build_and_run(
    machine: Machine, compiler: str, flags: list[str], out: Path, source: str
) -> subprocess.CompletedProcess[str]:
    """Links the program with the made-up library and runs it."""
    path = build(machine, compiler, flags, out, source)
    return subprocess.run([str(path)], capture_output=True, text=True, timeout=300)


def calls_of(generated: Path) -> list[dict[str, Any]]:
    """The calls of what was rendered."""
    found: list[dict[str, Any]] = json.loads((generated / "model.json").read_text())["spec"]["calls"]
    return found


def made_up(machine: Machine, folder: Path, lines: list[str]) -> Path:
    """The project's specification rendered with a backend of these lines."""
    (folder / "test").mkdir()
    head = ["name: test", "title: Test", "summary: Made up.", f"architectures: [{machine.arch}]"]
    (folder / "test/backend.yaml").write_text("\n".join([*head, *lines]) + "\n")
    options = ("--arch", machine.arch, "--spec", PROJECT / "spec/vmi.yaml")
    run = process("generate", *options, "--backends", folder / "test", "--out", folder / "out")
    assert run.status == 0, run.err
    return folder / "out"


@pytest.fixture(scope="module")
def by_routine(
    machine: Machine, generated_for: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The project's specification with a backend that does each call by a C routine."""
    lines = ["calls:"]
    for call in calls_of(generated_for[machine.arch]):
        way = (
            "instruction: [iret]" if call["convention"] == "jump" else f"routine: vmi__test_{call['symbol']}"
        )
        lines.append(f"  {call['name']}: {{{way}}}")
    return made_up(machine, tmp_path_factory.mktemp("routine"), lines)


OPTIONS = [
    *([level] for level in ("-O0", "-O2", "-Os")),
    *(pytest.param([level], marks=pytest.mark.long) for level in ("-O1", "-O3")),
    ["-O0", "-fpic"],
    ["-O2", "-fpic"],
    ["-O2", "-DVMI_COUNT_CALLS"],
]


@pytest.mark.parametrize("flags", OPTIONS, ids=" ".join)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_call_by_a_routine(
    compiler: str, flags: list[str], machine: Machine, by_routine: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(by_routine, out)
    model = json.loads((out / "model.json").read_text())
    done = build_and_run(machine, compiler, flags, out, program(machine, model))
    assert done.stdout == ""
    assert done.returncode == 0


BROKEN = {
    "i386": (
        ("popf", "lea 4(%esp), %esp", "CPUID"),
        ("push %ecx\n        push %eax\n        pop", "push %eax\n        push %ecx\n        pop", "CPUID"),
    ),
    "x86_64": (
        ("popf", "lea 8(%rsp), %rsp", "CPUID"),
        ("mov %rax, %rdi\n        mov %rcx, %rsi", "mov %rcx, %rdi\n        mov %rax, %rsi", "CPUID"),
        ("shl $32, %rdx", "shl $31, %rdx", "WRMSR"),
        ("mov %eax, %eax\n        shl", "shl", "WRMSR"),
        ("pop %rbx", "pop %rbp", "CPUID"),
    ),
}
"""A stub that does not restore the flags, one that mixes up its arguments, halves put together wrongly, …"""


def test_a_contract_that_is_broken_is_noticed(machine: Machine, by_routine: Path, tmp_path: Path) -> None:
    """The check can fail."""
    for number, (old, new, call) in enumerate(BROKEN[machine.arch]):
        out = tmp_path / str(number)
        shutil.copytree(by_routine, out)
        stubs = (out / "test/stubs.S").read_text()
        plain = re.sub(r"        \.cfi_.*\n", "", stubs)
        assert old in plain
        (out / "test/stubs.S").write_text(plain.replace(old, new))
        model = json.loads((out / "model.json").read_text())
        done = build_and_run(machine, "gcc", ["-O2"], out, program(machine, model))
        assert f"(entry of {call})" in done.stdout
        assert done.returncode == 1


def destroyer(machine: Machine, call: dict[str, Any]) -> str:
    """An entry point that destroys all that the specification lets it, and returns known results."""
    lines = [f".globl {call['c_name']}", f"{call['c_name']}:"]
    lines += [
        f"mov $0x5ead{i:04x}, %{register}"
        for i, register in enumerate(call["clobbers"])
        if register != "flags"
    ]
    if "flags" in call["clobbers"]:
        lines += ["cmp $0x7fffffff, %eax", "stc"]
    results = call["results"] or ([call["result"]] if call["result"] else [])
    for i, result in enumerate(results):
        for place, part, _ in parts(machine, result_value(i, result["type"]["bits"]), result):
            move = "movabs" if machine.word == 8 else "mov"
            lines.append(f"{move} ${part:#x}, %{place}")
    return "\n".join([*lines, "ret"])


def destruction(machine: Machine, rendered: Path, out: Path) -> str:
    """A copy of the made-up library whose entry points destroy what they may; returns the C program."""
    shutil.copytree(rendered, out)
    calls = [c for c in calls_of(out) if c["convention"] != "jump" and not c["noreturn"]]
    stubs = "\n".join(destroyer(machine, call) for call in calls)
    for part in (out / "test").glob("stubs-*.S"):
        part.unlink()
    (out / "test/stubs.S").write_text(f'.text\n{stubs}\n.section .note.GNU-stack, "", @progbits\n')
    lines, bodies = [machine.prelude("test")], []
    for call in calls:
        lines += [f'#undef CALL\n#define CALL "wrapper of {call["name"]}"']
        lines += [f"static void check_{call['symbol']}(void)", "{", *wrapper_check(machine, call, False), "}"]
        bodies.append(f"    check_{call['symbol']}();")
    filled = [f"    in[{i}] = {machine.number(machine.pattern(r))};" for i, r in enumerate(machine.registers)]
    lines += ["int main(void)", "{", *filled, *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("flags", OPTIONS[:5], ids=" ".join)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_wrappers_know_what_dies(
    compiler: str, flags: list[str], machine: Machine, by_routine: Path, tmp_path: Path
) -> None:
    """What may die is destroyed while more values are alive than there are registers."""
    source = destruction(machine, by_routine, tmp_path / "out")
    done = build_and_run(machine, compiler, flags, tmp_path / "out", source)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_wrapper_that_forgets_a_register_is_noticed(
    machine: Machine, by_routine: Path, tmp_path: Path
) -> None:
    """The check can fail."""
    source = destruction(machine, by_routine, tmp_path / "out")
    header = tmp_path / "out/include/vmi/vmi.h"
    forgotten = f'"{machine.scratch[-1]}", "memory"'
    assert forgotten in header.read_text()
    header.write_text(header.read_text().replace(forgotten, '"memory"'))
    done = build_and_run(machine, "gcc", ["-O2"], tmp_path / "out", source)
    assert done.returncode == 1 and "live" in done.stdout


def gate_text(machine: Machine) -> str:
    """The transfer, taken over: notes the registers, destroys those that were used and returns a known
    value."""
    result, *rest = GATE_REGISTERS[machine.arch]
    word = machine.word
    lines = [".bss", ".globl gate, gate_used", f"gate: .skip {word * (len(rest) + 1)}", "gate_used: .skip 4"]
    lines += [".text", ".globl vmi__test_gate", "vmi__test_gate:", f"mov %{result}, gate"]
    lines += [f"mov %{register}, gate + {word * (i + 1)}" for i, register in enumerate(rest)]
    for i, register in enumerate(rest):
        lines += [f"cmpl ${i + 1}, gate_used", "jb 1f", f"mov $0x5ead{i:04x}, %{register}"]
    lines += [f"1: mov $0x40ffee01, %{result}", "stc", "ret"]
    return "\n".join(lines) + "\n"


GATE_REGISTERS = {
    "i386": ("eax", "ebx", "ecx", "edx", "esi", "edi"),
    # Some of them are kept by C functions.
    "x86_64": ("rax", "rbx", "rsi", "r10", "rdi", "r12", "r9"),
}
"""Number and result, then the arguments of the made-up hypervisor."""


def words(machine: Machine, call: dict[str, Any], order: list[int]) -> list[int]:
    """The words of a call's arguments, taken in an order."""
    found = []
    for i in order:
        argument = call["arguments"][i]
        value = argument_value(i, argument["type"]["bits"])
        if machine.word == 8 and argument["type"]["c"] == "int32_t":
            value = value - (1 << 32) & machine.mask if value >> 31 else value
        count = -(-argument["type"]["bits"] // (8 * machine.word))
        found += [value >> 8 * machine.word * word & machine.mask for word in range(count)]
    return found


def made_directly(call: dict[str, Any]) -> bool:
    """Whether a call can be one hypercall."""
    values = [*call["arguments"], *([call["result"]] if call["result"] else [])]
    # Halves are put together by routines.
    halves = any(len(v["registers"]) > 1 and v["registers"][0].startswith("r") for v in values)
    return (
        call["convention"] != "jump"
        and not call["results"]
        and not halves
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
def by_hypercall(
    machine: Machine, generated_for: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The project's specification with a backend that does each call by one hypercall."""
    table, ways = [], []
    for call in calls_of(generated_for[machine.arch]):
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
    result, *rest = GATE_REGISTERS[machine.arch]
    abi = f"number: {result}, arguments: [{', '.join(rest)}], result: {result}, clobbers: used"
    lines = ["hypercalls:", "  prefix: vmi__test_hypercall_", f"  {machine.arch}: {{{abi}, transfer: [ud2]}}"]
    lines += ["  calls:", *table, "calls:", *ways]
    return made_up(machine, tmp_path_factory.mktemp("hypercall"), lines)


def gate_checks(machine: Machine, call: dict[str, Any], count: int) -> list[str]:
    """What the transfer must have found, and the counter after it."""
    checks = [f"CHECK(gate[0] == {1000 + call['ordinal']}u);"]
    checks += [
        f"CHECK(gate[{i + 1}] == {machine.number(word)});"
        for i, word in enumerate(words(machine, call, orders(call)))
    ]
    return [*checks, f"CHECK(vmi__test_hypercall_{call['symbol']}_count == {count});"]


def hypercall_program(machine: Machine, model: dict[str, Any]) -> str:
    """The C program that makes every call and every hypercall of the made-up hypervisor."""
    lines = [machine.prelude("test"), '#include "test/hypercalls.h"']
    lines += [f"extern word gate[{len(GATE_REGISTERS[machine.arch])}]; extern uint32_t gate_used;"]
    bodies = []
    for call in (call for call in model["spec"]["calls"] if made_directly(call)):
        entry = [
            line for line in entry_check(machine, call) if "seen[" not in line and "calls_seen" not in line
        ]
        result = call["result"]
        if result:  # the value is the gate's here
            place = machine.place(result["registers"][0])
            entry = [line for line in entry if f"out[{place}] &" not in line]
            mask = (1 << result["type"]["bits"]) - 1
            entry.append(f"    CHECK((out[{place}] & {mask:#x}u) == (0x40ffee01u & {mask:#x}u));")
        names = [argument_in_c(i, call["arguments"][i]) for i in orders(call)]
        used = len(words(machine, call, orders(call)))
        lines += [f'extern const char entry_{call["symbol"]}[] __asm__("{call["c_name"]}");']
        lines += [
            f'#undef CALL\n#define CALL "{call["name"]}"',
            f"static void check_{call['symbol']}(void)",
            "{",
        ]
        lines += [f"    gate_used = {used};", *entry, *gate_checks(machine, call, 1)]
        lines += ["    for (int i = 0; i < (int)(sizeof gate / sizeof *gate); i++)", "        gate[i] = 0;"]
        lines += [f"    CHECK(vmi__test_hypercall_{call['symbol']}({', '.join(names)}) == 0x40ffee01);"]
        lines += [*gate_checks(machine, call, 2), "}"]
        bodies.append(f"    check_{call['symbol']}();")
    assert bodies
    lines += ["int main(void)", "{", *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n"


OVERRIDE = '-DVMI_TRANSFER_OVERRIDE="override.h"'


def with_gate(machine: Machine, rendered: Path, out: Path) -> dict[str, Any]:
    """A copy of the made-up library whose transfer is the gate; returns the model."""
    shutil.copytree(rendered, out)
    (out / "override.h").write_text(".macro vmi__test_transfer\ncall vmi__test_gate\n.endm\n")
    (out / "test/stubs.S").write_text((out / "test/stubs.S").read_text() + gate_text(machine))
    model: dict[str, Any] = json.loads((out / "model.json").read_text())
    return model


@pytest.mark.parametrize("flags", [["-O0"], ["-O2"]], ids=" ".join)
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_every_call_by_a_hypercall(
    compiler: str, flags: list[str], machine: Machine, by_hypercall: Path, tmp_path: Path
) -> None:
    """Entry points and the hypercall library, with the transfer taken over by VMI_TRANSFER_OVERRIDE."""
    out = tmp_path / "out"
    model = with_gate(machine, by_hypercall, out)
    done = build_and_run(machine, compiler, [*flags, OVERRIDE], out, hypercall_program(machine, model))
    assert done.stdout == ""
    assert done.returncode == 0
