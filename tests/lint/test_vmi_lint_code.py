# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Code is told from data: by symbols, relocations and branches, in objects and linked files."""

from __future__ import annotations

import subprocess

import pytest
from lint_runs import Build, Lint, link, make

BITS = (32, 64)

# `data` is never reached and full of bytes of cli, hlt, in and out; every real instruction is a cli or sti.
DATA_IN_TEXT = """
        .text
        .long 0x1BADB002, 0xfafbfafb, -(0x1BADB002 + 0xfafbfafb)   /* a header at the very start */
        .globl entry
entry:  jmp 1f
        .asciz "hello in loom, monologue on onions"
1:      cli
        call 2f
        .asciz "\\372\\373\\364 text that a call steps over"
2:      pop %eax_
        lidt table
        mov $message, %ecx
        jmp *switch(,%ecx_,WORD)
switch: .WORDS case0, case1
case0:  sti
        ret
case1:  cli
        ret
message: .asciz "\\373 a message that only its address is taken of\\372"
        .p2align 4, 0xcc
        .type object, @object
object: .byte 0xfa, 0xfb, 0xc3
        .size object, 3
        .p2align 4
table:  .byte 0xfa, 0xfb, 0xf4, 0xc3
        .type last, @function
last:   cli
        hlt
        .size last, . - last
tail:   .byte 0xfa, 0xfb, 0xfa
"""


def data_in_text(bits: int) -> str:
    word, words = (4, "long") if bits == 32 else (8, "quad")
    register = "e" if bits == 32 else "r"
    text = DATA_IN_TEXT.replace("WORDS", words).replace("WORD", str(word))
    return text.replace("%eax_", f"%{register}ax").replace("%ecx_", f"%{register}cx")


@pytest.mark.parametrize("linked", (False, True))
@pytest.mark.parametrize("bits", BITS)
def test_data_in_text(bits: int, linked: bool, build: Build, lint: Lint) -> None:
    made = build(data_in_text(bits), bits)
    file = link(made, bits=bits, flags=("-e", "entry")) if linked else made
    run = lint(file, "--format=json")
    assert run.found() == {
        "entry": ["cli", "lidt"],
        "case0": ["sti"],
        "case1": ["cli"],
        "last": ["cli", "hlt"],
    }
    unknown = {(gap["offset"] & 0xFFF, gap["size"]) for gap in run.json["unknown"]}
    assert (0, 12) in unknown, "the header was not taken for code"
    text = lint(file).out
    assert "not checked, as not told from data: " in text
    assert f"{file}: note: 12 bytes at .text+" in lint(file, "--all").out


SWITCH = """
void enter(int which);
#define CASE(n) case n: __asm__ volatile("cli; nop; add $" #n ", %%eax" : : : "eax"); break;
static int helper(int value)
{
    __asm__ volatile("sti");
    return value * 3;
}
int (*const handlers[])(int) = {helper};
void enter(int which)
{
    switch (which) {
    CASE(0) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9)
    default: __asm__ volatile("hlt");
    }
}
"""


@pytest.mark.parametrize("cc", ("gcc", "clang"))
@pytest.mark.parametrize("pic", ("-fno-pic", "-fpic"))
@pytest.mark.parametrize("linked", ("object", "linked", "stripped of local symbols"))
@pytest.mark.parametrize("bits", BITS)
def test_jump_tables_of_compilers(
    bits: int, linked: str, pic: str, cc: str, build: Build, lint: Lint
) -> None:
    file = build(SWITCH, bits, "-O2", pic, suffix=".c", cc=cc)
    if linked != "object":
        file = link(file, bits=bits, flags=("-e", "enter", *(["-x"] if "stripped" in linked else [])))
    run = lint(file, "--format=json")
    names = [finding["instruction"] for finding in run.json["findings"]]
    assert names.count("cli") == 10
    assert (names.count("sti"), names.count("hlt")) == (1, 1)


NEIGHBOURS = """
        .text
        .globl first
        .type first, @function
first:  lea one(%rip), %rdx
        movslq (%rdx,%rax,4), %rax
        add %rdx, %rax
        jmp *%rax
again:  lea two(%rip), %rdx
        movslq (%rdx,%rcx,4), %rax
        add %rdx, %rax
        jmp *%rax
        mov $0xfafafafa, %ecx
second: ret
        .size first, . - first
        .section .rodata
one:    .long again - one
two:    .long second - two
"""


@pytest.mark.parametrize("linked", (False, True))
def test_a_jump_table_ends_where_the_next_begins(linked: bool, build: Build, lint: Lint) -> None:
    """Counted from the first table, the entry of the second leads into a number full of cli."""
    made = build(NEIGHBOURS, 64)
    run = lint(link(made, bits=64, flags=("-e", "first")) if linked else made, "--format=json")
    assert run.found() == {}
    # All instructions of the function were seen, so the tables were read.
    assert run.json["code_bytes"] == 38


def test_hand_written_entry_points_without_types(build: Build, lint: Lint) -> None:
    """Rows of stubs that only tables of addresses know, labels without a type, code behind an lret."""
    made = build(
        """
        .text
        .globl vectors
vectors:
        .set n, 0
        .rept 32
        push $n
        jmp common
        .p2align 3
        .set n, n + 1
        .endr
common: cli
        push $1f
        lret
1:      sti
        iret
orphan: hlt
        jmp common
        .globl exported
exported:
        wbinvd
        ret
        """,
        32,
    )
    run = lint(made, "--format=json")
    assert run.found() == {
        "common": ["cli", "sti", "iret", "lret"],
        "orphan": ["hlt"],
        "exported": ["wbinvd"],
    }
    assert run.json["unknown"] == []


def test_sections_of_one_object_are_kept_apart(build: Build, lint: Lint) -> None:
    source = "".join(
        f'void f{i}(void); void f{i}(void) {{ __asm__ volatile("{name}"); }}\n'
        for i, name in enumerate(("cli", "sti", "hlt"))
    )
    made = build(source, 64, "-O2", "-g", "-ffunction-sections", suffix=".c")
    findings = lint(made, "--format=json").json["findings"]
    assert [
        (each["section"], each["offset"], each["symbol"], each["instruction"], each["source"]["line"])
        for each in findings
    ] == [
        (".text.f0", 0, "f0", "cli", 1),
        (".text.f1", 0, "f1", "sti", 2),
        (".text.f2", 0, "f2", "hlt", 3),
    ]


@pytest.mark.parametrize("bits", BITS)
def test_a_stripped_file_says_what_cannot_be_known(bits: int, build: Build, lint: Lint) -> None:
    made = build(
        """
        .text
        .globl _start
_start: call reached
        hlt
reached: cli
        ret
unreached: sti
        ret
        """,
        bits,
    )
    file = link(made, bits=bits)
    assert len(lint(file, "--format=json").json["findings"]) == 3
    make(["strip", file])
    run = lint(file)
    assert run.status == 1
    assert f"{file}: error: hlt (hlt) in 0x100005; use vmi_halt (Halt)" in run.out
    assert f"{file}: error: cli (cli) in 0x100006; " in run.out
    assert "vmi lint: not checked, as not told from data: 2 bytes" in run.out
    assert f"{file} has no symbol table: only what is reached from its entry point" in run.out


def test_unwind_information_gives_functions_of_a_stripped_file(build: Build, lint: Lint) -> None:
    source = """
    int table(int), _start(int);
    __attribute__((noinline)) static int hidden(int value) { __asm__ volatile("cli"); return value + 1; }
    int (*volatile pointer)(int) = hidden;
    int _start(int value) { return pointer(value); }
    """
    made = build(source, 64, "-O2", "-fasynchronous-unwind-tables", suffix=".c")
    file = link(made, bits=64)
    make(["strip", file])
    assert [each["instruction"] for each in lint(file, "--format=json").json["findings"]] == ["cli"]


def test_a_file_without_section_headers(build: Build, lint: Lint) -> None:
    file = link(build(".globl _start\n_start: cli\nhlt\nret\n", 32), bits=32)
    data = bytearray(file.read_bytes())
    data[32:36] = bytes(4)  # e_shoff
    data[46:52] = bytes(6)  # e_shentsize, e_shnum, e_shstrndx
    file.write_bytes(data)
    findings = lint(file, "--format=json").json["findings"]
    assert [each["instruction"] for each in findings] == ["cli", "hlt"]
    assert findings[0]["offset"] == 0x100000


def test_linear_disassembly_would_be_wrong(build: Build, lint: Lint) -> None:
    """The corpus above means something: a disassembler that knows no data reports other instructions."""
    made = build(data_in_text(32), 32)
    listing = subprocess.run(["objdump", "-d", made], capture_output=True, text=True, check=True).stdout
    assert listing.count("\tcli") + listing.count("\tsti") > 6
