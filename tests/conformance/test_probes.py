# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""The probes that conformance/generate.py writes, run on the build machine against calls that are made up.

A call keeps all that it may and is found right; then it spoils one thing at a time, and the probe says which.
Both architectures run as processes of the build machine, from the model of the real specification, with calls
that have arguments of both widths, results in halves, 64 bits over two places, and nothing that may die.
"""

from __future__ import annotations

import json
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vmigen.cli import main as vmigen

from ci.util import ROOT
from conformance import generate

FLAGS = {"i386": "-m32", "x86_64": "-m64"}

MAIN = r"""
#include "places.h"

struct contract_registers contract_in, contract_out;
uint32_t contract_changed, contract_stack;
uintptr_t contract_sp;
uint32_t vmi_call_count[VMI_ORDINALS];
void (*spoil)(void); /* where each of the calls goes on */

PROBES
SPOILS
static uint32_t found[MOST];

static void end(const void *from, uintptr_t length)
{
    long done;
#ifdef __x86_64__
    __asm__ volatile("syscall" : "=a"(done) : "a"(1), "D"(1), "S"(from), "d"(length)
                     : "rcx", "r11", "memory");
    __asm__ volatile("syscall" : : "a"(60), "D"(0) : "rcx", "r11");
#else
    __asm__ volatile("int $0x80" : "=a"(done) : "a"(4), "b"(1), "c"(from), "d"(length) : "memory");
    __asm__ volatile("int $0x80" : : "a"(1), "b"(0));
#endif
}

/* For each call and each way to spoil it: what has changed, and how much stack was taken. */
void begin(void)
{
    uint32_t *next = found;
    contract_in.flags = 0x246;
    RUNS
    end(found, (char *)next - (char *)found);
}

__asm__(".globl _start\n_start: call begin\n.pushsection .note.GNU-stack, \"\", @progbits\n.popsection");
"""

GIVE = {
    "set_dr": "give_set_dr(&contract_in, 3, 0x1234);",
    "rdmsr": "give_rdmsr(&contract_in, 0x174);",
    "set_alarm": "give_set_alarm(&contract_in, 1, 0x123456789abcdef0, 0xfedcba9876543210);",
    "outb": "give_outb(&contract_in, 7, 0x80);",
    "get_cr2": "give_get_cr2(&contract_in);",
}

DEPTHS = (1, 5, 100)

Found = dict[tuple[str, str], tuple[int, int]]
"""Changed registers and bytes of stack, by the call and what it does."""


@dataclass(frozen=True)
class Machine:
    """An architecture's model, and what the probes have found."""

    model: dict[str, Any]
    probes: generate.Probes
    found: Found

    @property
    def word(self) -> int:
        return self.probes.arch.word


def spoils(probes: generate.Probes) -> dict[str, str]:
    """What a call does, by a name: nothing, one bit of one register, the stack pointer, flags, stack."""
    word, sp, first = probes.arch.word, probes.arch.sp, probes.registers[0]
    every = {"nothing": "nop", "direction": "std", "carry": "stc"}
    for register in probes.registers:
        # The flags are the instruction's, and kept where the call keeps them.
        every[f"{register} 0"] = f"pushf; xor $1, %{register}; popf"
        every[f"{register} {8 * word - 1}"] = f"pushf; btc ${8 * word - 1}, %{register}; popf"
    every["stack pointer"] = f"pop %{first}; lea -{word}(%{sp}), %{sp}; push %{first}"
    for depth in DEPTHS:
        every[f"depth {depth}"] = f"mov{probes.arch.suffix} $1, -{depth * word}(%{sp})"
    return every


def run(model: dict[str, Any], folder: Path, include: Path) -> Found:
    """Builds a program of probes and calls that are made up, and runs it."""
    calls = [call for call in model["calls"] if call["symbol"] in GIVE]
    assert len(calls) == len(GIVE)
    probes = generate.Probes(model)
    ways = spoils(probes)
    (folder / "probes.S").write_text(generate.HEAD + "".join(probes.probe(call) for call in calls))
    (folder / "places.h").write_text(probes.places({**model, "calls": calls}))
    texts = {
        "PROBES": "".join(f"void probe_{call['symbol']}(void);\n" for call in calls),
        "SPOILS": "".join(f"void spoil_{number}(void);\n" for number in range(len(ways))),
        "MOST": str(2 * len(ways) * len(calls)),
        "RUNS": "".join(
            f"{GIVE[call['symbol']]} spoil = spoil_{number}; probe_{call['symbol']}();"
            " *next++ = contract_changed; *next++ = contract_stack;\n"
            for call in calls
            for number in range(len(ways))
        ),
    }
    main = MAIN
    for name, text in texts.items():
        main = main.replace(name, text)
    (folder / "main.c").write_text(main)
    made_up = [f"    .globl {call['c_name']}\n{call['c_name']}: jmp *spoil\n" for call in calls]
    made_up += [
        f"    .globl spoil_{number}\nspoil_{number}: {way}\n    ret\n"
        for number, way in enumerate(ways.values())
    ]
    (folder / "made_up.S").write_text("".join(made_up))
    program = folder / "program"
    subprocess.run(
        ["gcc", FLAGS[model["architecture"]["name"]], "-O1", "-w", "-ffreestanding", "-nostdlib", "-static",
         "-no-pie", "-fno-pic", "-fno-stack-protector", "-mgeneral-regs-only", "-Wl,-z,noexecstack",
         "-I", str(folder), "-I", str(include), "-o", str(program),
         *(str(folder / each) for each in ("main.c", "probes.S", "made_up.S"))],
        check=True,
    )  # fmt: skip
    done = subprocess.run([str(program)], capture_output=True, check=True)
    numbers = struct.iter_unpack("<II", done.stdout)
    keys = [(call["symbol"], name) for call in calls for name in ways]
    return {key: (pair[0], pair[1]) for key, pair in zip(keys, numbers, strict=True)}


@pytest.fixture(scope="module", params=sorted(FLAGS))
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The specification as an architecture sees it."""
    out = tmp_path_factory.mktemp(request.param)
    assert vmigen(["generate", "--arch", request.param, "--out", str(out)]) == 0
    model: dict[str, Any] = json.loads((out / "model.json").read_text())["spec"]
    return Machine(model, generate.Probes(model), run(model, out, out / "include"))


@pytest.mark.parametrize("symbol", sorted(GIVE))
def test_call_that_keeps_all_is_right(machine: Machine, symbol: str) -> None:
    assert machine.found[symbol, "nothing"] == (0, machine.word)


@pytest.mark.parametrize("symbol", sorted(GIVE))
def test_each_register_is_seen_if_it_must_be_kept(machine: Machine, symbol: str) -> None:
    """The lowest and the highest bit of each."""
    call = next(call for call in machine.model["calls"] if call["symbol"] == symbol)
    for number, register in enumerate(machine.probes.registers):
        for bit in (0, 8 * machine.word - 1):
            changed, _ = machine.found[symbol, f"{register} {bit}"]
            assert changed == (1 << number if register in call["kept"] else 0), (register, bit)


def test_stack_pointer_and_flags_are_seen(machine: Machine) -> None:
    flags = 1 << len(machine.probes.registers)
    assert machine.found["set_dr", "stack pointer"][0] & 1 << generate.STACK_POINTER
    assert machine.found["set_dr", "direction"][0] == flags
    assert machine.found["set_dr", "carry"][0] == 0
    assert machine.found["outb", "carry"][0] == flags


@pytest.mark.parametrize("words", DEPTHS)
def test_stack_is_measured(machine: Machine, words: int) -> None:
    _, stack = machine.found["set_dr", f"depth {words}"]
    assert stack == (words + 1) * machine.word


def test_wide_registers_hold_more_than_their_arguments(machine: Machine) -> None:
    """What lies above 32 bits of an argument is not zero, so that a call that reads it is seen."""
    header = machine.probes.places(machine.model)
    given = [line for line in header.splitlines() if "in->" in line and "(uint32_t)" in line]
    assert given
    if machine.word == 8:
        assert [line for line in given if "ull << 32" not in line] == []


def test_every_call_that_comes_back_has_a_probe(machine: Machine) -> None:
    probes = machine.probes
    for call in filter(generate.probed, machine.model["calls"]):
        code = probes.probe(call)
        for number, register in enumerate(probes.registers):
            compared = f"or ${1 << number:#x}, %ecx" in code
            assert compared == (register in call["kept"]), (call["name"], register)


def test_cases_are_there_for_every_call(machine: Machine) -> None:
    """No arguments for what an architecture lacks, and some for all that it has."""
    name = machine.model["architecture"]["name"]
    folder = ROOT / "conformance"
    text = "".join(path.read_text() for path in (folder / "cases.c", folder / "arch" / name / "cases.c"))
    for call in filter(generate.probed, machine.model["calls"]):
        assert any(f"{macro}({call['symbol']}" in text for macro in ("CASE", "PLAIN")) or any(
            f"{macro}({call['symbol']}" in text
            for macro in ("PORT_IN", "PORT_OUT", "PORT_IN_ROW", "PORT_OUT_ROW")
        ), call["name"]
