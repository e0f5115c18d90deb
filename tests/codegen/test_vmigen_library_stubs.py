# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Every entry point and every hypercall function of every backend, run as code of the build machine.

The library's generated assembly is linked with a recorder in place of what it leads to: the transfer into
the hypervisor (VMI_TRANSFER_OVERRIDE) becomes a call that notes the registers, destroys those that the
hypervisor may destroy and returns a known value; a routine is one that notes its arguments, destroys what a
C function may and returns known results; an instruction that only a kernel may execute becomes a call that
counts. Then the registers are compared with the specification. Where a call has forms by processor
feature, each is run.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from machines import FLAGS, MACHINES, Machine
from test_vmigen_contracts import OVERRIDE, argument_value, parts, result_value, routine
from vmigen_runs import folders, process, small

SMALL_LIBRARIES = ("bare", "hyper")
"""Those of the small specification, which has a call of each shape."""

LIBRARIES = [(machine, folder.name) for machine in MACHINES for folder in folders(arch=machine.arch)]
ALL = [*LIBRARIES, *((machine, name) for machine in MACHINES for name in SMALL_LIBRARIES)]

SENSITIVE = re.compile(
    r"^(\s*(?:\d+:\s*)?)("
    r".*%(?:cr|dr)\d.*|[ls][gi]dt .*|[ls]ldt .*|ltr .*|str .*|clts|wbinvd|invlpg .*|hlt|cli|sti"
    r"|rdmsr|wrmsr|rdpmc|in .*|out .*|rep (?:ins|outs).*|vmcall|vmmcall|int .*|ud2|.*0x[0-9a-f]{6,}\(.*"
    r"|swapgs|.*%[fg]s:.*|(?:rd|wr)[fg]sbase .*|invpcid .*|xsetbv|stac|clac"
    r')$|^\s*\.ascii "xen"$',
    re.MULTILINE,
)
"""What a program may not execute, or what is at an address of the kernel's: replaced by the recorder."""

RESULT = 0x40FFEE01


def recorder(machine: Machine) -> str:
    """`vmi__test_sensitive` in place of an instruction that only a kernel may execute: counts and changes
    nothing. `vmi__test_gate` in place of the transfer: notes the registers and destroys those of
    gate_destroys, a bit for each."""
    word, registers = machine.word, machine.registers
    lines = [".text", ".globl vmi__test_sensitive, vmi__test_gate"]
    lines += ["vmi__test_sensitive: pushf", "incl sensitive_seen", "popf", "ret"]
    lines += ["vmi__test_gate: incl gate_seen"]
    lines += [f"mov %{register}, gate + {word * i}" for i, register in enumerate(registers)]
    for i, register in enumerate(registers):
        lines += [f"testl $1 << {i}, gate_destroys", "jz 1f", f"mov $0x5ead{i:04x}, %{register}", "1:"]
    lines += [f"mov ${RESULT:#x}, %{registers[0]}", "stc", "ret"]
    lines += [".bss", ".balign 8", ".globl gate, gate_seen, gate_destroys, sensitive_seen"]
    lines += [f"gate: .skip {word * len(registers)}"]
    lines += [f"{name}: .skip 4" for name in ("gate_seen", "gate_destroys", "sensitive_seen")]
    return "\n".join(lines) + "\n"


def declarations(machine: Machine) -> str:
    """What the program knows of the recorder, and the memory that pointers lead to."""
    return f"""
extern word gate[{len(machine.registers)}];
extern uint32_t gate_seen, gate_destroys, sensitive_seen;
static word memory[256];
"""


@pytest.fixture(scope="module", autouse=True)
def _runs_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    for machine in MACHINES:
        if not machine.runs_here(tmp_path_factory.mktemp("probe")):
            pytest.skip(f"this machine's kernel runs no programs for {machine.arch}")


def value(index: int, argument: dict[str, Any]) -> str:
    """An argument's value in C: a pointer leads to memory, an index is small."""
    if argument["type"]["pointer"]:
        return f"(word)(memory + {16 * (index + 1)})"
    if argument["name"] == "index":
        return f"{3 + index}u"
    if argument["name"] == "table":
        return "(word)memory"
    return f"{argument_value(index, argument['type']['bits']):#x}ull"


def destroyed(machine: Machine, hypercall: dict[str, Any]) -> int:
    clobbers = [register for register in hypercall["clobbers"] if register != "flags"]
    return sum(1 << machine.place(register) for register in clobbers)


def forms_of(
    call: dict[str, Any], way: dict[str, Any], scratch: set[str]
) -> list[tuple[str, dict[str, Any]]]:
    """The code of a call's other forms, by its symbol, and each as a way of its own. A routine that
    may destroy what the call does is jumped to by the entry point itself."""
    found = []
    for number, form in enumerate(way["forms"]):
        itself = form["routine"] and call["convention"] == "c" and not scratch & set(call["kept"])
        label = form["routine"] if itself else f"vmi__form_{call['symbol']}_{number}"
        found.append((label, {**way, **form, "forms": []}))
    return found


def entry_lines(
    machine: Machine,
    call: dict[str, Any],
    way: dict[str, Any],
    hypercalls: dict[str, Any],
    entry: str | None = None,
) -> list[str]:
    """Run one entry point, or what is named, and compare."""
    registers = {register: machine.number(machine.pattern(register)) for register in machine.registers}
    stack = ["0", "0"]
    after = ["CHECK(harness() == 0);"]
    by_routine = way["routine"] is not None  # with the known results of test_vmigen_contracts
    for i, argument in enumerate(call["arguments"]):
        if by_routine:
            after.append(f"CHECK(seen[{i}] == (uint64_t){value(i, argument)});")
        width = 32 if len(argument["registers"]) > 1 else 8 * machine.word
        for at, place in enumerate(argument["registers"]):
            part = f"((uint64_t)({value(i, argument)}) >> {width * at})"
            part = f"(uint32_t){part}" if width == 32 else f"(word){part}"
            if place.startswith("stack"):
                stack[int(place[5:])] = part
            else:
                registers[place] = part
    results = call["results"] or ([call["result"]] if call["result"] else [])
    after.append(f"CHECK(calls_seen == {int(by_routine)});")
    after.append(f"CHECK(gate_seen == {1 if way['direct'] else 0});")
    if way["direct"]:
        after.append(f"CHECK({hypercalls[way['hypercalls'][0]]['counter']} == made + 1);")
    for i, result in enumerate(results):
        if by_routine:
            wanted = result_value(i, result["type"]["bits"])
        elif way["direct"]:
            wanted = RESULT
        elif way["kind"] == "unsupported":
            wanted = call["unsupported"] & (1 << 64) - 1
        else:
            continue
        for place, part, mask in parts(machine, wanted, result):
            number = machine.number
            after.append(f"CHECK((out[{machine.place(place)}] & {number(mask)}) == {number(part)});")
    for register in call["kept"]:
        if register == "flags":
            at = machine.flags
            after.append(f"CHECK((out[{at}] & {FLAGS:#x}u) == (in[{at}] & {FLAGS:#x}u));")
        elif register != machine.stack:
            after.append(f"CHECK(out[{machine.place(register)}] == {registers[register]});")
    lines = [f"in[{i}] = {registers[register]};" for i, register in enumerate(machine.registers)]
    lines += [f"in[{machine.flags}] = 0x2c4;"]
    lines += [f"stack_words[{i}] = {word};" for i, word in enumerate(stack)]
    if way["direct"]:
        lines.append(f"gate_destroys = {destroyed(machine, hypercalls[way['hypercalls'][0]])};")
    lines += [f"target = (const void *)entry_{entry or call['symbol']};", "calls_seen = gate_seen = 0;"]
    return [*lines, *after]


def hypercall_lines(machine: Machine, hypercall: dict[str, Any], types: dict[str, Any]) -> list[str]:
    """Make one hypercall by its C function and compare; the registers of the ABI are read off the gate."""
    words, values = [], []
    width = 8 * machine.word
    for i, argument in enumerate(hypercall["arguments"]):
        kind = types[argument["type"]]
        number = argument_value(i, kind["bits"])
        values.append(f"{number:#x}ull")
        if kind["c"] == "int32_t" and number >> 31:
            number -= 1 << 32
        words += [(p, number >> width * w & machine.mask) for w, p in enumerate(argument["registers"])]
    lines = [
        f"gate_seen = 0; gate_destroys = {destroyed(machine, hypercall)};",
        f"uint32_t before = {hypercall['counter']};",
        f"int32_t result = (int32_t){hypercall['c_name']}("
        + ", ".join(f"(__typeof__(parameter_{hypercall['name']}_{i})){v}" for i, v in enumerate(values))
        + ");",
    ]
    lines += [
        f"CHECK(result == (int32_t){RESULT:#x});",
        "CHECK(gate_seen == 1);",
        f"CHECK({hypercall['counter']} == before + 1);",
        f"CHECK(gate[{machine.place(hypercall['number_register'])}] == {hypercall['number']:#x}u);",
    ]
    lines += [f"CHECK(gate[{machine.place(place)}] == {machine.number(word)});" for place, word in words]
    return lines


def program(machine: Machine, model: dict[str, Any], backend: dict[str, Any]) -> tuple[str, int, int]:
    """The C program, and how many entry points and hypercalls it runs."""
    name = backend["name"]
    hypercalls = {hypercall["name"]: hypercall for hypercall in backend["hypercalls"]}
    calls = [c for c in model["spec"]["calls"] if c["convention"] != "jump" and not c["noreturn"]]
    lines = [machine.prelude(name), f'#include "{name}/hypercalls.h"', declarations(machine)]
    written = set()
    bodies = []
    for call in model["spec"]["calls"]:
        way = backend["calls"][call["name"]]
        for each in dict.fromkeys([way["routine"], *(form["routine"] for form in way["forms"])]):
            if each and each not in written and call["convention"] != "jump":
                written.add(each)
                lines.append(routine(machine, call, each))
    types = {kind["name"]: kind for kind in model["spec"]["types"]}
    scratch = set(model["spec"]["architecture"]["scratch"])
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
        lines += [f"    {line}" for line in entry_lines(machine, call, way, hypercalls)] + ["}"]
        bodies.append(f"    check_{call['symbol']}();")
        for label, form in forms_of(call, way, scratch):
            lines += [
                f'extern const char entry_{label}[] __asm__("{label}");',
                f'#undef CALL\n#define CALL "form {label}"',
                f"static void check_{label}(void)",
                "{",
                *(f"    {line}" for line in entry_lines(machine, call, form, hypercalls, label)),
                "}",
            ]
            bodies.append(f"    check_{label}();")
    for hypercall in hypercalls.values():
        for i, argument in enumerate(hypercall["arguments"]):
            c_type = types[argument["type"]]["c"]
            lines.append(f"extern {c_type} parameter_{hypercall['name']}_{i};")
        lines += [
            f'#undef CALL\n#define CALL "hypercall {hypercall["name"]}"',
            f"static void hypercall_{hypercall['name']}(void)",
            "{",
            *(f"    {line}" for line in hypercall_lines(machine, hypercall, types)),
            "}",
        ]
        bodies.append(f"    hypercall_{hypercall['name']}();")
    lines += ["int main(void)", "{", *bodies, "    return failures ? 1 : 0;", "}"]
    return "\n".join(lines) + "\n", len(calls), len(hypercalls)


def build(
    machine: Machine,
    compiler: str,
    generated: Path,
    name: str,
    out: Path,
    damage: tuple[str, str] | None = None,
) -> Path:
    """Link one backend's generated assembly with the recorder."""
    model = json.loads((generated / "model.json").read_text())
    backend = next(b for b in model["backends"] if b["name"] == name)
    source, entries, hypercalls = program(machine, model, backend)
    assert entries > (5 if name in SMALL_LIBRARIES else 70)
    assert hypercalls == len(backend["hypercalls"])
    # Calls of a part have an object of their own.
    stubs = "".join(path.read_text() for path in sorted((generated / name).glob("stubs*.S")))
    if damage:
        assert damage[0] in stubs, damage
        stubs = stubs.replace(damage[0], damage[1])
    # What is copied to entry points can be run where it lies.
    stubs = stubs.replace('.section .data.rel.ro.forms, "aw"', ".text")
    stubs = re.sub(r"^(vmi__form_\w+):$", r"        .globl \1\n\1:", stubs, flags=re.MULTILINE)
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
    (out / "harness.S").write_text(machine.harness() + recorder(machine) + "        .text\n" + labels)
    files = [out / "harness.S", out / "main.c", out / name / "stubs.S", generated / name / "hypercalls.S"]
    include = [out, generated, generated / "include"]
    return machine.build(compiler, ["-O2", "-fno-pic", OVERRIDE], out, include, files)


def run(path: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of `build`."""
    return subprocess.run([str(path)], capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def rendered(
    generated_for: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    """By architecture and backend what was rendered of it."""
    found = {(machine.arch, name): generated_for[machine.arch] for machine, name in LIBRARIES}
    for machine in MACHINES:
        out = tmp_path_factory.mktemp(f"small-{machine.arch}")
        run = process("generate", "--arch", machine.arch, *small(*SMALL_LIBRARIES), "--out", out)
        assert run.status == 0, run.err
        found |= {(machine.arch, name): out for name in SMALL_LIBRARIES}
    return found


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize(("machine", "name"), ALL, ids=[f"{name}-{machine.arch}" for machine, name in ALL])
def test_every_stub(
    machine: Machine, name: str, compiler: str, rendered: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    done = run(build(machine, compiler, rendered[machine.arch, name], name, tmp_path))
    assert done.stdout == ""
    assert done.returncode == 0


def test_damage_is_noticed(generated_for: dict[str, Path], tmp_path: Path) -> None:
    """The check can fail: a stub of each backend that keeps less than it must."""
    for machine, name in LIBRARIES:
        # The entry point of GetInterruptMask keeps all but the first register and flags, in every backend.
        entry = "vmi_get_interrupt_mask:\n"
        damage = (entry, f"{entry}        mov $1, %{machine.registers[1]}\n")
        out = tmp_path / machine.arch / name
        done = run(build(machine, "gcc", generated_for[machine.arch], name, out, damage))
        assert "(entry of GetInterruptMask)" in done.stdout
        assert done.returncode == 1
