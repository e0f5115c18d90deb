# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Parameters are called as the fixtures that are imported.
# ruff: noqa: F811
"""What unwinders are told of each entry point and hypercall function is true at each instruction.

The programs of the other tests are run step by step (ptrace). Wherever they are in generated assembly, the
canonical frame address, the return address and the caller's registers are computed from .debug_frame as an
unwinder would, and compared with what they were when the entry point was entered.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from machines import MACHINES, Machine
from test_vmigen_contracts import (
    OVERRIDE,
    build,
    by_hypercall,  # noqa: F401 (a fixture)
    by_routine,  # noqa: F401 (a fixture)
    hypercall_program,
    machine,  # noqa: F401 (a fixture)
    program,
    with_gate,
)
from test_vmigen_library_stubs import LIBRARIES
from test_vmigen_library_stubs import build as build_library

DWARF = {
    "i386": ("eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"),
    "x86_64": (
        *("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"),
        *(f"r{number}" for number in range(8, 16)),
        "rip",
    ),
}
"""Registers by their DWARF numbers (System V ABI supplements)."""

USER_REGS = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
"""struct user_regs_struct of a 64-bit Linux kernel (sys/user.h), for 32-bit programs too."""

PTRACE_TRACEME, PTRACE_SINGLESTEP, PTRACE_GETREGS = 0, 9, 12


@dataclass(frozen=True)
class Row:
    """What is told from an instruction on."""

    pc: int
    cfa_register: int
    cfa_offset: int
    saved: dict[int, int]
    """Where from the canonical frame address on a register of the caller is."""
    undefined: frozenset[int]


@dataclass(frozen=True)
class Function:
    """An entry point or a hypercall function."""

    name: str
    start: int
    end: int
    rows: list[Row]


def functions(path: Path, names: set[str]) -> list[Function]:
    """Those functions of a file, with what is told of each; none is left out."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        symbols = {
            symbol.name: (symbol["st_value"], symbol["st_size"])
            for symbol in elf.get_section_by_name(".symtab").iter_symbols()
            if symbol.name in names
        }
        tables: dict[int, tuple[int, list[Row]]] = {}
        dwarf = elf.get_dwarf_info()
        assert elf.get_section_by_name(".debug_frame")["sh_flags"] == 0, "not loaded"
        for entry in dwarf.CFI_entries():
            if not isinstance(entry, FDE):
                continue
            rows = []
            for row in entry.get_decoded().table:
                rules = {key: rule for key, rule in row.items() if isinstance(key, int)}
                saved = {key: rule.arg for key, rule in rules.items() if rule.type == "OFFSET"}
                undefined = frozenset(key for key, rule in rules.items() if rule.type == "UNDEFINED")
                rows.append(Row(row["pc"], row["cfa"].reg, row["cfa"].offset, saved, undefined))
            start = entry["initial_location"]
            tables[start] = (start + entry["address_range"], rows)
    found = []
    for name in sorted(names):
        start, size = symbols[name]
        end, rows = tables.get(start, (0, []))
        assert end == start + size, f"{name}: told up to {end:#x}, ends at {start + size:#x}"
        found.append(Function(name, start, end, rows))
    return found


class Stepper:
    """A program that runs step by step."""

    def __init__(self, path: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self._libc.ptrace.restype = ctypes.c_long
        traced = self._libc.ptrace
        self._program = subprocess.Popen(
            [str(path)], stdout=subprocess.PIPE, preexec_fn=lambda: traced(PTRACE_TRACEME, 0, None, None)
        )
        self._pid = self._program.pid
        self._regs = (ctypes.c_uint64 * len(USER_REGS))()
        self.status: int | None = None
        self._wait()

    def _wait(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        if os.WIFSTOPPED(status):
            assert os.WSTOPSIG(status) == signal.SIGTRAP, signal.Signals(os.WSTOPSIG(status)).name
            self._libc.ptrace(PTRACE_GETREGS, self._pid, None, ctypes.byref(self._regs))
        else:
            self.status = self._program.returncode = os.waitstatus_to_exitcode(status)

    def step(self) -> None:
        """One instruction on."""
        assert self._libc.ptrace(PTRACE_SINGLESTEP, self._pid, None, None) == 0
        self._wait()

    def register(self, name: str) -> int:
        """A register's content."""
        return int(self._regs[USER_REGS.index(re.sub("^e", "r", name))])

    def memory(self, address: int, size: int) -> int:
        """A word in memory."""
        with open(f"/proc/{self._pid}/mem", "rb", buffering=0) as file:
            return int.from_bytes(os.pread(file.fileno(), size, address), "little")

    def output(self) -> bytes:
        """What the program has printed, once it has ended."""
        assert self._program.stdout
        with self._program.stdout as stream:
            return stream.read()

    def end(self) -> None:
        """Ends it, wherever it is."""
        if self.status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._program.returncode = -signal.SIGKILL


def wrong(machine: Machine, path: Path, known: list[Function]) -> tuple[list[str], set[str]]:
    """Runs a program; what is not true of the functions, and those that it went through."""
    names = DWARF[machine.arch]
    general = [name for name in names[:-1] if name != machine.stack]
    starts = [function.start for function in sorted(known, key=lambda function: function.start)]
    by_start = {function.start: function for function in known}
    found: list[str] = []
    through: set[str] = set()
    entered: dict[str, tuple[int, int, dict[str, int]]] = {}
    last: Function | None = None
    stepper = Stepper(path)
    try:
        while stepper.status is None:
            pc = stepper.register(names[-1])
            at = bisect_right(starts, pc) - 1
            function = by_start[starts[at]] if at >= 0 else None
            if function is None or pc >= function.end:
                last = None
                stepper.step()
                continue
            stack = stepper.register(machine.stack)
            if pc == function.start and last is not function:
                values = {name: stepper.register(name) for name in general}
                entered[function.name] = (stack, stepper.memory(stack, machine.word), values)
                through.add(function.name)
            last = function
            entry, back, values = entered[function.name]
            row = [row for row in function.rows if row.pc <= pc][-1]
            where = f"{function.name}+{pc - function.start}"
            cfa = stepper.register(names[row.cfa_register]) + row.cfa_offset & machine.mask
            if cfa != entry + machine.word:
                found.append(f"{where}: frame address {cfa - entry}, not {machine.word}")
            elif stepper.memory(cfa + row.saved[len(names) - 1], machine.word) != back:
                found.append(f"{where}: return address")
            else:
                for number, name in enumerate(names[:-1]):
                    if number in row.undefined:
                        continue
                    if number in row.saved:
                        address = cfa + row.saved[number]
                        if address < stack:
                            found.append(f"{where}: {name} below the stack pointer")
                        held = stepper.memory(address, machine.word)
                    elif name in machine.callee_saved:
                        held = stepper.register(name)
                    else:
                        continue
                    if held != values[name]:
                        found.append(f"{where}: {name}")
            stepper.step()
        assert stepper.status == 0, stepper.output()
    finally:
        stepper.end()
    return found, through


def generated_functions(model: dict[str, Any], backend: str) -> set[str]:
    """Names of all that is assembled of a backend."""
    (made,) = (each for each in model["backends"] if each["name"] == backend)
    calls = {call["c_name"] for call in model["spec"]["calls"]}
    return calls | {hypercall["c_name"] for hypercall in made["hypercalls"]}


def returning(model: dict[str, Any], names: set[str]) -> set[str]:
    """Those that programs can go through."""
    left = {c["c_name"] for c in model["spec"]["calls"] if c["convention"] == "jump" or c["noreturn"]}
    return names - left


@pytest.mark.parametrize(
    ("library", "name"), LIBRARIES, ids=[f"{name}-{library.arch}" for library, name in LIBRARIES]
)
def test_libraries(library: Machine, name: str, generated_for: dict[str, Path], tmp_path: Path) -> None:
    rendered = generated_for[library.arch]
    model = json.loads((rendered / "model.json").read_text())
    path = build_library(library, "gcc", rendered, name, tmp_path)
    names = generated_functions(model, name)
    found, through = wrong(library, path, functions(path, names))
    assert found == []
    assert through >= returning(model, names)


def by_routine_program(machine: Machine, rendered: Path, out: Path) -> tuple[Path, dict[str, Any]]:
    """The program that makes each call by a routine."""
    model = json.loads((rendered / "model.json").read_text())
    for path in rendered.rglob("*"):
        if path.is_file():
            (out / path.relative_to(rendered)).parent.mkdir(parents=True, exist_ok=True)
            (out / path.relative_to(rendered)).write_bytes(path.read_bytes())
    return build(machine, "clang", ["-O2"], out, program(machine, model)), model


def test_every_call_by_a_routine(
    machine: Machine,
    by_routine: Path,
    tmp_path: Path,
) -> None:
    path, model = by_routine_program(machine, by_routine, tmp_path / "out")
    names = generated_functions(model, "test")
    found, through = wrong(machine, path, functions(path, names))
    assert found == []
    assert through >= returning(model, names)


def test_every_call_by_a_hypercall(
    machine: Machine,
    by_hypercall: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    model = with_gate(machine, by_hypercall, out)
    path = build(machine, "gcc", ["-O2", OVERRIDE], out, hypercall_program(machine, model))
    names = generated_functions(model, "test")
    found, through = wrong(machine, path, functions(path, names))
    assert found == []
    assert len(through) > 100


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (r" *\.cfi_adjust_cfa_offset \d+\n", "frame address"),
        (r" *\.cfi_adjust_cfa_offset -\d+\n", "frame address"),
        (r" *\.cfi_restore %\w+\n", "below the stack pointer"),
        (r" *\.cfi_rel_offset %[er](?:bx|si|di), 0\n(?=(?:.*\n)*?.*vmi__test_transfer)", ": "),
    ],
)
def test_what_is_not_true_is_noticed(
    line: str,
    told: str,
    machine: Machine,
    by_hypercall: Path,
    tmp_path: Path,
) -> None:
    """The check can fail: one directive less in the first entry point that has it."""
    out = tmp_path / "out"
    model = with_gate(machine, by_hypercall, out)
    stubs = out / "test/stubs.S"
    text, count = re.subn(line, "", stubs.read_text(), count=1)
    assert count == 1
    stubs.write_text(text)
    path = build(machine, "gcc", ["-O2", OVERRIDE], out, hypercall_program(machine, model))
    found, _ = wrong(machine, path, functions(path, generated_functions(model, "test")))
    assert found and all(told in each for each in found)


@pytest.mark.parametrize("each", MACHINES, ids=lambda each: each.arch)
def test_jumps_have_no_caller_and_slots_are_told_of(
    each: Machine, generated_for: dict[str, Path], tmp_path: Path
) -> None:
    rendered = generated_for[each.arch]
    model = json.loads((rendered / "model.json").read_text())
    names = {call["c_name"] for call in model["spec"]["calls"]}
    jumps = {call["c_name"] for call in model["spec"]["calls"] if call["convention"] == "jump"}
    returns = len(DWARF[each.arch]) - 1
    stubs = sorted(rendered.glob("native/stubs*.S"))  # calls of a part have an object of their own
    for files in (stubs, [rendered / "slots.S"]):
        (tmp_path / "in.S").write_text("".join(f'#include "{path}"\n' for path in files))
        command = ["gcc", *each.options[:1], f"-I{rendered}", f"-I{rendered}/include", "-c"]
        subprocess.run([*command, str(tmp_path / "in.S"), "-o", str(tmp_path / "out.o")], check=True)
        for function in functions(tmp_path / "out.o", names):
            assert function.rows, function.name
            for row in function.rows:
                jump = files is stubs and function.name in jumps
                assert (returns in row.undefined) == jump, function.name
