# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Kernels for x86-64 that were compiled with a red zone, and the library, which has none."""

from __future__ import annotations

import json

import pytest
from lint_runs import Build, Lint

from ci.build import tree
from ci.util import ROOT
from tests.units import each_once

LEAF = """
struct point { long x, y; };
long leaf(long a, long b);
long indexed(unsigned i, unsigned char c);
long outer(long a);
long other(long a);
/* The call is in an asm, as a call of the library is: to the compiler this is a leaf. */
long leaf(long a, long b)
{
    volatile struct point p = {a, b};
    __asm__ volatile("call other" ::: "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
    return p.x;
}
/* More than 128 bytes: the stack pointer is moved, by less than what is used. */
long indexed(unsigned i, unsigned char c)
{
    volatile unsigned char bytes[200];
    for (unsigned n = 0; n < 200; n++)
        bytes[n] = (unsigned char)(c + n);
    return bytes[i & 127];
}
long outer(long a)
{
    volatile long kept[4] = {a, a, a, a};
    return other(kept[1]) + kept[2];
}
"""
KERNEL = ("-mcmodel=kernel", "-mgeneral-regs-only")


def uses(lint: Lint, *arguments: object) -> list[str]:
    findings = lint(*arguments, "--format=json").json["findings"]
    return sorted(each["symbol"] for each in findings if each["instruction"] == "red zone")


@pytest.mark.parametrize("level", ("-O0", "-O1", "-O2", "-Os", "-O2 -fno-omit-frame-pointer"))
@pytest.mark.parametrize("cc", ("gcc", "clang"))
def test_red_zones_are_found(cc: str, level: str, build: Build, lint: Lint) -> None:
    flags = (*KERNEL, *level.split())
    with_one = build(LEAF, 64, *flags, suffix=".c", cc=cc)
    assert uses(lint, with_one) == ["indexed", "leaf"]
    without = build(LEAF, 64, *flags, "-mno-red-zone", suffix=".c", cc=cc)
    assert lint(without).status == 0, lint(without).out


def test_what_is_said_of_a_red_zone(build: Build, lint: Lint) -> None:
    made = build("f:\n.type f, @function\nmov %rdi, -8(%rsp)\nmov -8(%rsp), %rax\nret\n.size f, . - f\n", 64)
    run = lint(made)
    assert run.status == 1
    assert run.out.splitlines() == [
        f"{made}: error: red zone (movq %rdi, -8(%rsp)) in f, .text+0x0; compile with -mno-red-zone: "
        "an interrupt or a call of the library overwrites what is there",
        "vmi lint: 0 sensitive instructions, 1 use of the red zone in 1 object, 11 bytes of code",
    ]
    sarif = json.loads(lint(made, "--format=sarif").out)["runs"][0]
    assert [result["ruleId"] for result in sarif["results"]] == ["red-zone"]
    assert lint(made, "--user").status == 0, "a user program has a red zone"
    made.with_name("allow.yaml").write_text(
        "allow: [{symbol: f, instruction: red zone, reason: interrupts are masked}]\n"
    )
    assert lint(made, "--allow", made.with_name("allow.yaml")).status == 0


CLEAN = {
    "the address of something below": "lea -8(%rsp), %rax\nlea -16(%rsp), %rsp",
    "an element told by an index": "sub $64, %rsp\nmov -8(%rsp,%rdi,8), %rax\nadd $64, %rsp",
    "a frame of which the size is told backwards": "push %rbp\nmov %rsp, %rbp\nadd $-128, %rsp\n"
    "mov %rdi, -128(%rbp)\nleave",
    "a frame that pushes make": "push %rbp\nmov %rsp, %rbp\npush %rbx\nmov -8(%rbp), %rax\n"
    "pop %rbx\npop %rbp",
    "a frame that is aligned": "push %rbp\nmov %rsp, %rbp\nand $-64, %rsp\nmov %rdi, -56(%rbp)\nleave",
    "a frame pointer that is something else": "push %rbp\nmov %rdi, %rbp\nmov -16(%rbp), %rax\npop %rbp",
    "a nop": "nopl -8(%rsp)",
}


@pytest.mark.parametrize("case", CLEAN)
def test_what_is_no_red_zone(case: str, build: Build, lint: Lint) -> None:
    made = build(f"f:\n.type f, @function\n{CLEAN[case]}\nret\n.size f, . - f\n", 64)
    run = lint(made)
    assert run.status == 0, run.out


def test_32_bit_code_has_none(build: Build, lint: Lint) -> None:
    assert lint(build("f:\n.type f, @function\nmov -8(%esp), %eax\nret\n.size f, . - f\n", 32)).status == 0


def test_nothing_of_the_sdk_has_a_red_zone(lint: Lint) -> None:
    """Each source of libraries, kernels and examples, and examples as they are linked."""
    build64 = tree("x86_64")
    files = [*(build64 / name for name in each_once(build64)), *build64.glob("examples/**/*.elf")]
    assert len(files) > 300, f"{ROOT / 'vmi'} build"
    assert uses(lint, *files) == []
