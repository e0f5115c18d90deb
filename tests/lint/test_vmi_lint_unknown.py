# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""What is not decoded never passes silently, addresses that are taken are followed, and work is bounded."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from lint_runs import Build, Lint, link, make

BITS = (32, 64)
# No processor has an instruction of these bytes (Intel SDM vol. 2, table A-3: 0f 04).
NONE = ".byte 0x0f, 0x04"

ADDRESS_TAKEN = """
        .text
        .globl _start
        .type _start, @function
_start: LEA
        MOV
        ret
        .size _start, . - _start
        .globl entry
entry:  INSTRUCTIONS
        .data
table:  .space 8
"""


def address_taken(bits: int) -> str:
    lea, move, text = (
        ("lea entry, %eax", "mov %eax, table", "sti; cli; iret")
        if bits == 32
        else ("lea entry(%rip), %rax", "mov %rax, table(%rip)", "swapgs; cli; iretq")
    )
    return ADDRESS_TAKEN.replace("LEA", lea).replace("MOV", move).replace("INSTRUCTIONS", text)


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("bits", BITS)
def test_lea_takes_an_address(bits: int, linked: bool, build: Build, lint: Lint) -> None:
    made = build(address_taken(bits), bits)
    run = lint(link(made, bits=bits) if linked else made, "--format=json")
    assert run.status == 1
    assert run.found() == {"entry": ["sti" if bits == 32 else "swapgs", "cli", "iret"]}


def test_what_is_read_is_still_data(build: Build, lint: Lint) -> None:
    """The same bytes, read instead of their address taken."""
    made = build(address_taken(64).replace("lea entry(%rip)", "mov entry(%rip)"), 64)
    assert lint(made, "--format=json").found() == {}


BEHIND = """
        .text
        .globl f
        .type f, @function
f:      nop
        UNKNOWN
        cli
POINT
        sti
        ret
        .size f, . - f
"""


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("bits", BITS)
def test_decoding_goes_on_at_the_next_symbol(bits: int, linked: bool, build: Build, lint: Lint) -> None:
    made = build(BEHIND.replace("UNKNOWN", NONE).replace("POINT", "point:"), bits)
    file = link(made, bits=bits, flags=("-e", "f")) if linked else made
    run = lint(file, "--format=json")
    assert run.status == 1 and run.json["unknown"] == []
    found = [(each["instruction"], each["symbol_offset"]) for each in run.json["findings"]]
    assert found == [("unknown", 1), ("sti", 4)]
    text = lint(file)
    assert ": error: unknown (3 bytes; the decoder does not know 0f 04 fa) in f+0x1, " in text.out
    assert "look at them by hand, and allow them ('unknown')" in text.out
    assert "vmi lint: 1 sensitive instruction, 1 place in functions that could not be decoded" in text.out


@pytest.mark.parametrize("bits", BITS)
def test_decoding_goes_on_at_the_next_line(bits: int, build: Build, lint: Lint) -> None:
    """Lines of the debug information begin with an instruction, also where there is no symbol."""
    asm = '__asm__ volatile("{}");\n'
    source = f"void f(void);\nvoid f(void)\n{{\n{asm.format(NONE + '; cli')}{asm.format('sti')}}}\n"
    for flag, expected in (("-g0", ["unknown"]), ("-g", ["unknown", "sti"])):
        for cc in ("gcc", "clang"):
            made = build(source, bits, flag, "-O2", suffix=".c", cc=cc)
            findings = lint(made, "--format=json").json["findings"]
            assert [each["instruction"] for each in findings] == expected


def test_at_the_end_there_is_no_next_point(build: Build, lint: Lint) -> None:
    made = build(BEHIND.replace("UNKNOWN", NONE).replace("POINT", ""), 32)
    run = lint(made)
    assert run.status == 1
    assert "unknown (5 bytes; the decoder does not know 0f 04 fa fb c3) in f+0x1" in run.out


def test_what_is_newer_is_known(build: Build, lint: Lint) -> None:
    made = build(BEHIND.replace("UNKNOWN", "serialize").replace("POINT", ""), 32)
    run = lint(made, "--format=json")
    assert run.found() == {"f": ["cli", "sti"]}


def test_bytes_of_a_function_that_nothing_leads_to(build: Build, lint: Lint) -> None:
    """Behind a jump through a register; outside of a function the same is only counted."""
    text = ".text\n.type f, @function\nf: jmp *%eax\n.long 0x00000401, 0x0000040f\n"
    run = lint(build(text + ".size f, . - f\n", 32))
    assert run.status == 1 and "bytes that nothing leads to, from " in run.out
    run = lint(build(text.replace("f: jmp *%eax\n", "f: jmp *%eax\n.size f, . - f\n"), 32, name="outside"))
    assert run.status == 0 and "not checked, as not told from data: 8 bytes" in run.out


def test_reached_outside_of_a_function(build: Build, lint: Lint) -> None:
    """Hand-written code has no sizes: a branch leads there, which is as good."""
    made = build(f".text\n.globl f\nf: nop\njmp 1f\n.p2align 4\n1: {NONE}\ncli\n", 32)
    run = lint(made)
    assert run.status == 1 and "the decoder does not know 0f 04 fa" in run.out


def test_it_can_be_allowed(build: Build, lint: Lint, tmp_path: Path) -> None:
    made = build(BEHIND.replace("UNKNOWN", NONE).replace("POINT", "").replace("sti", "nop"), 32)
    assert lint(made).status == 1
    run = lint(made, "--allow-unknown")
    assert run.status == 0
    allow = tmp_path / "allow.yaml"
    allow.write_text("allow:\n  - {symbol: f, instruction: unknown, reason: looked at by hand}\n")
    run = lint(made, "--allow", allow)
    assert run.status == 0 and "1 allowed" in run.out
    assert (
        "allowed: unknown in f+0x1, .text+0x1: looked at by hand" in lint(made, "--allow", allow, "--all").out
    )
    assert (
        lint(build(BEHIND.replace("UNKNOWN", NONE).replace("POINT", "a:"), 32), "--allow-unknown").status == 1
    )


def test_breakpoints_between_functions_are_padding(build: Build, lint: Lint) -> None:
    """A call that does not return, and breakpoints up to where the next function begins."""
    made = build(
        """
        .text
        .globl f
        .type f, @function
f:      call panic
        .p2align 4, 0xcc
        .globl g
        .type g, @function
g:      nop
        int3
        ret
        """,
        32,
    )
    assert lint(made, "--format=json").found() == {"g": ["int3"]}


def work(of: Callable[[], Any]) -> int:
    """Lines of the linter and the decoder that run, each time round a loop: work without a clock."""
    count = 0

    def seen(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return seen if re.search("vmi_lint|capstone", frame.f_code.co_filename) else None

    sys.settrace(seen)
    try:
        of()
    finally:
        sys.settrace(None)
    return count


def same_address(count: int) -> str:
    kinds = ("function", "object", "notype")
    names = "".join(f".globl s{i}\n.type s{i}, @{kinds[i % 3]}\ns{i}:\n" for i in range(count))
    return f".text\n.globl _start\n_start: call x\nret\n{names}x: pop %eax\n{'cli; ' * (count // 10)}ret\n"


def padding(count: int) -> str:
    body = "push %ebx\nmov %eax, %ebx\nret\n.p2align 6, 0x8d\n.fill 4, 16, 0xcccccccccccccccc\n"
    return ".text\n.globl _start\n_start: ret\n" + f".p2align 6\n{body}" * count


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("source", (same_address, padding))
def test_work_grows_as_the_input_does(
    source: Callable[[int], str], linked: bool, build: Build, lint: Lint
) -> None:
    """Four times the input is about four times the work, and not sixteen times."""
    done = []
    for count in (200, 800):
        made = build(source(count), 32, name=f"n{count}")
        file = link(made, bits=32) if linked else made
        if source is padding and linked:
            make(["strip", file])
        lint(file)
        done.append(work(lambda file=file: lint(file)))  # type: ignore[misc]
    assert done[1] < 6 * done[0], done


def test_fillers_are_not_decoded_one_by_one(build: Build, lint: Lint) -> None:
    """Long stretches of padding, as kernels have them, cost next to nothing."""
    short, long_ = (
        build(f".text\n.globl _start\n_start: ret\n.fill {size}, 1, {byte}\nnop\n", 32, name=f"n{size}{byte}")
        for size, byte in ((16, 0xCC), (40_000, 0xCC))
    )
    lint(short)
    assert work(lambda: lint(long_)) < work(lambda: lint(short)) + 1000
