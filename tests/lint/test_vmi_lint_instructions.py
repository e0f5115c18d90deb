# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Every instruction that the linter knows is found, and none that only looks like one."""

from __future__ import annotations

import pytest
from lint_runs import Build, Lint
from vmi_lint import decode, rules

BOTH = (32, 64)
# Name in the specification: assembly that must be reported by it, for 32 and 64 bits.
CORPUS: dict[str, dict[int, list[str]]] = {}


def _add(name: str, *lines: str, bits: tuple[int, ...] = BOTH) -> None:
    for width in bits:
        CORPUS.setdefault(name, {}).setdefault(width, []).extend(lines)


for plain in [
    "clts",
    "invd",
    "wbinvd",
    "wbnoinvd",
    "hlt",
    "monitor",
    "mwait",
    "rdmsr",
    "wrmsr",
    "xsetbv",
    "clac",
    "stac",
    "encls",
    "enclv",
    "pconfig",
    "getsec",
    "rsm",
    "vmxoff",
    "vmlaunch",
    "vmresume",
    "vmload",
    "vmsave",
    "vmrun",
    "stgi",
    "clgi",
    "skinit",
    "cli",
    "sti",
    "pushf",
    "popf",
    "sysenter",
    "syscall",
    "cpuid",
    "rdtsc",
    "rdtscp",
    "rdpmc",
    "vmcall",
    "vmmcall",
    "vmfunc",
    "iret",
    "lret",
    "setssbsy",
]:
    _add(plain, plain)
for of_memory in "lgdt lidt sgdt sidt invlpg vmptrld vmptrst vmclear vmxon clrssbsy xsaves xrstors".split():  # noqa: SIM905
    _add(of_memory, f"{of_memory} (%eax)", bits=(32,))
    _add(of_memory, f"{of_memory} (%rax)", f"{of_memory} 8(%rip)", bits=(64,))
for of_a_word in "lldt ltr lmsw sldt str smsw verr verw".split():  # noqa: SIM905
    _add(of_a_word, f"{of_a_word} %ax")
    _add(of_a_word, f"{of_a_word} (%eax)", bits=(32,))
    _add(of_a_word, f"{of_a_word} (%rax)", bits=(64,))
for of_two in "lar lsl".split():  # noqa: SIM905
    _add(of_two, f"{of_two} %ax, %ax", f"{of_two} %eax, %eax")
for number in (0, 2, 3, 4):
    for width, register in ((32, "eax"), (64, "rax")):
        _add(f"mov to cr{number}", f"mov %{register}, %cr{number}", bits=(width,))
        _add(f"mov from cr{number}", f"mov %cr{number}, %{register}", bits=(width,))
_add("mov to cr8", "mov %rax, %cr8", bits=(64,))
_add("mov from cr8", "mov %cr8, %rax", bits=(64,))
for number in (0, 6, 7):
    for width, register in ((32, "ecx"), (64, "rcx")):
        _add("mov to dr", f"mov %{register}, %dr{number}", bits=(width,))
        _add("mov from dr", f"mov %dr{number}, %{register}", bits=(width,))
for of_the_ring in ("cs", "ss"):
    _add(f"mov from {of_the_ring}", f"mov %{of_the_ring}, %eax", f"mov %{of_the_ring}, %cx")
    _add(f"mov from {of_the_ring}", f"mov %{of_the_ring}, (%esi)", bits=(32,))
    _add(f"push {of_the_ring}", f"push %{of_the_ring}", bits=(32,))
for segment in ("ds", "es", "fs", "gs", "ss"):
    _add("mov to segment", f"mov %eax, %{segment}")
    _add("pop segment", f"pop %{segment}", bits=(32,))
_add("pop segment", "pop %fs", "pop %gs", bits=(64,))
for far in ("lss", "lfs", "lgs"):
    _add(far, f"{far} (%eax), %eax", bits=(32,))
    _add(far, f"{far} (%rax), %eax", bits=(64,))
_add("lds", "lds (%eax), %eax", bits=(32,))
_add("les", "les (%eax), %ecx", bits=(32,))
_add("ljmp", "ljmp $8, $1f; 1:", "ljmp *(%eax)", bits=(32,))
_add("ljmp", "ljmp *(%rax)", "rex.w ljmp *(%rax)", bits=(64,))
_add("lcall", "lcall $8, $1f; 1:", "lcall *8(%eax)", bits=(32,))
_add("lcall", "lcall *(%rax)", bits=(64,))
_add("lret", "lret $8")
_add("invpcid", "invpcid (%eax), %ecx", bits=(32,))
_add("invpcid", "invpcid (%rax), %rcx", bits=(64,))
for extended in ("invept", "invvpid"):
    _add(extended, f"{extended} (%eax), %ecx", bits=(32,))
    _add(extended, f"{extended} (%rax), %rcx", bits=(64,))
for vmcs in ("vmread", "vmwrite"):
    _add(vmcs, f"{vmcs} %eax, %ecx", bits=(32,))
    _add(vmcs, f"{vmcs} %rax, %rcx", bits=(64,))
_add("invlpga", "invlpga %eax, %ecx", bits=(32,))
_add("invlpga", "invlpga %rax, %ecx", bits=(64,))
_add("int", "int $0x80", "int $0x20")
_add("iret", "iretw")
_add("iret", "iretq", bits=(64,))
_add("pushf", "pushfw")
_add("popf", "popfw")
_add("swapgs", "swapgs", bits=(64,))
_add("sysret", "sysret")
_add("sysret", "sysretq", bits=(64,))
_add("sysexit", "sysexit")
_add("sysexit", "sysexitq", bits=(64,))
_add("xsaves", "xsaves64 (%rax)", bits=(64,))
_add("xrstors", "xrstors64 (%rax)", bits=(64,))
_add("outb to 0x80", "out %al, $0x80")
for letter, register in (("b", "al"), ("w", "ax"), ("l", "eax")):
    _add(f"in{letter}", f"in $0x60, %{register}", f"in %dx, %{register}")
    _add(f"out{letter}", f"out %{register}, $0x60", f"out %{register}, %dx")
    _add(f"ins{letter}", f"ins{letter}", f"rep ins{letter}")
    _add(f"outs{letter}", f"outs{letter}", f"rep outs{letter}")
_add("outw", "out %ax, $0x80")
for plain in "int3 int1 rdpkru wrpkru rdpru monitorx mwaitx hreset tdcall invlpgb tlbsync wrmsrns".split():  # noqa: SIM905
    _add(plain, {"hreset": "hreset $1", "int1": ".byte 0xf1"}.get(plain, plain))
_add("into", "into", bits=(32,))
_add("rdpid", "rdpid %eax", bits=(32,))
_add("rdpid", "rdpid %rax", bits=(64,))
for plain in (
    *("rmpupdate", "rmpadjust", "psmash", "pvalidate", "rdmsrlist", "wrmsrlist"),
    *("seamcall", "seamops", "seamret"),
):
    _add(plain, plain, bits=(64,))
# Newer than the assembler, or unknown to it in 32 bits.
for plain, codes in {
    "rmpquery": "0xf3, 0x0f, 0x01, 0xfd",
    "rmpread": "0xf2, 0x0f, 0x01, 0xfd",
    "erets": "0xf2, 0x0f, 0x01, 0xca",
    "eretu": "0xf3, 0x0f, 0x01, 0xca",
    "pbndkb": "0x0f, 0x01, 0xc7",
    "lkgs": "0xf2, 0x0f, 0x00, 0xf0",
}.items():
    _add(plain, f".byte {codes}", bits=(64,))
_add("lkgs", ".byte 0xf2, 0x0f, 0x00, 0x74, 0x88, 0x10", bits=(64,))
# RDMSR and WRMSRNS with the register's number in the instruction.
_add("rdmsr", ".byte 0xc4, 0xe7, 0x7b, 0xf6, 0xc0; .long 0x1b", bits=(64,))
_add("wrmsrns", ".byte 0xc4, 0xe7, 0x7a, 0xf6, 0xc0; .long 0x1b", bits=(64,))
_add("wruss", "wrussd %eax, (%ecx)", bits=(32,))
_add("wruss", "wrussd %eax, (%rcx)", "wrussq %rax, 8(%rcx)", bits=(64,))
for command in ("enqcmd", "enqcmds"):
    _add(command, f"{command} (%ecx), %eax", f"{command} table, %eax", bits=(32,))
    _add(command, f"{command} (%rcx), %rax", f"{command} 0x1234(%rcx,%rdx,8), %rax", bits=(64,))
_add("loadiwkey", "loadiwkey %xmm1, %xmm2")
for base in ("rdfsbase", "rdgsbase", "wrfsbase", "wrgsbase"):
    _add(base, f"{base} %eax", f"{base} %rax", bits=(64,))
# CR8 without REX, as AMD has it.
_add("mov to cr8", ".byte 0xf0, 0x0f, 0x22, 0xc0")
_add("mov from cr8", ".byte 0xf0, 0x0f, 0x20, 0xc1")
# Forced emulation prefixes of Xen and KVM.
_add("cpuid", 'ud2; .ascii "xen"; cpuid')
_add("wrmsr", 'ud2; .ascii "kvm"; wrmsr')
_add("rdpru", 'ud2; .ascii "kvm"; rdpru', 'ud2; .ascii "xen"; rdpru')

INNOCENT = [
    *(
        "nop",
        "pause",
        "ud2",
        "xgetbv",
        "sahf",
        "lahf",
        "cld",
        "std",
        "clc",
        "stc",
        "cmc",
        "mfence",
        "rdrand %eax",
    ),
    *(
        "mov %ds, %eax",
        "mov %es, %eax",
        "mov %fs, %ecx",
        "mov %gs, %cx",
        "push %fs",
        "push %gs",
        "rdseed %eax",
    ),
    # The bytes of cli, hlt, in, iret, cpuid, rdtsc and mov to cr3 as numbers of other instructions.
    *(
        "mov $0xfa, %al",
        "mov $0xf4f4f4f4, %eax",
        "add $0xececeaec, %ecx",
        "cmp $0xcf, %al",
        "mov $0xa20f, %eax",
    ),
    *("mov $0x310f, %eax", "mov $0xd8220f, %eax", "test $0xfbfafbfa, %edx", "mov $0x10f, %ecx", "jmp 1f; 1:"),
    # What the decoder does not know, and needs no ring.
    *("serialize", "xsusldtrk", "xresldtrk", "aesenc128kl (%ecx), %xmm0", "encodekey128 %eax, %eax"),
    *("ud1 0x40(%ecx), %eax", "ud0 %eax, %ecx", 'ud2; .ascii "kvm"; nop', 'ud2; .ascii "xen"; mov $5, %eax'),
    *(
        "vaddph %zmm0, %zmm1, %zmm2",
        "vaddph 0x1234(%ecx){1to32}, %zmm1, %zmm2",
        "vcmpph $3, %zmm1, %zmm2, %k1",
    ),
    *("vpdpbssd %ymm0, %ymm1, %ymm2", "tpause %ecx", "umonitor %ecx", "movdiri %eax, (%ecx)", "rdsspd %eax"),
    *("lock incl (%esi)", "xchg %al, (%esi)", "rep movsb", "rep stosb", "lodsb", "scasb", "clflush (%esi)"),
    *("ret", "ret $4", "fninit", "fxsave (%esi)"),
    *("xsave (%esi)", "xrstor (%esi)", "xsavec (%esi)", "prefetchnta (%esi)", "movb $0xfa, 0xfb(%esi)"),
    *("enter $8, $0", "leave", "bswap %eax", "cmpxchg8b (%esi)", "loop 1f; 1:", "movl %ecx, %fs:0xf4"),
]
OF_32 = [
    "call *%ecx",
    "call *(%esi)",
    "jmp *(%esi)",
    "jmp *%ecx",
    "push %ds",
    "push %es",
    "pusha",
    "popa",
    "daa",
    "arpl %ax, %cx",
    "bound %eax, (%esi)",
    "aam",
]
OF_64 = [
    *("call *%rcx", "call *(%rsi)", "jmp *(%rsi)", "jmp *%rcx"),
    *("uiret", "clui", "stui", "testui", "senduipi %rax", "tilezero %tmm0", "ldtilecfg (%rax)"),
    *("movabs $0xfafafafafafafafa, %rax", "lea 0xfa(%rip), %rax"),
    *("mov $0xd8220f, %r12", "movslq %ecx, %rax", "xsave64 (%rsi)"),
]


def source(cases: list[str], base: str) -> str:
    """A function for each case, with padding between them that the assembler chooses."""
    text = []
    for i, case in enumerate(cases):
        text.append(
            f".p2align 4\n.globl {base}{i}\n.type {base}{i}, @function\n{base}{i}: {case}\nret\n"
            f".size {base}{i}, . - {base}{i}\n"
        )
    return ".text\n" + "".join(text)


def test_the_corpus_has_what_the_specification_lists() -> None:
    known = set(rules.read(None).by_name)
    copies = {decode.copied(register) for register in ("cs", "ss")}
    assert set(CORPUS) | copies == known and not set(CORPUS) & copies
    assert decode.names() == known


@pytest.mark.parametrize("bits", BOTH)
def test_each_is_found_by_its_name(bits: int, build: Build, lint: Lint) -> None:
    cases = [(name, line) for name, of in CORPUS.items() for line in of.get(bits, ())]
    assert len(cases) > 100
    run = lint(build(source([line for _, line in cases], "case"), bits), "--format=json")
    assert run.status == 1
    found = run.found()
    assert {cases[int(symbol[4:])]: names for symbol, names in found.items()} == {
        case: [case[0]] for case in cases
    }
    known = rules.read(None).by_name
    for finding in run.json["findings"]:
        rule = known[finding["instruction"]]
        assert finding["symbol_offset"] == 0
        assert [call["symbol"] for call in finding["calls"]] == [symbol for _, symbol in rule.calls]
        assert finding["class"] == rule.kind


@pytest.mark.parametrize("bits", BOTH)
def test_look_alikes_are_not(bits: int, build: Build, lint: Lint) -> None:
    cases = INNOCENT + (OF_32 if bits == 32 else OF_64)
    run = lint(build(source(cases, "fine"), bits), "--format=json")
    assert {cases[int(symbol[4:])]: names for symbol, names in run.found().items()} == {}
    assert run.status == 0
    # They were looked at.
    assert run.json["unknown"] == []
    assert run.json["code_bytes"] > 2 * len(cases)


def test_every_advice_names_a_call_or_says_what_to_do() -> None:
    known = rules.read(None)
    assert known.by_name["mov to cr3"].advice == "use vmi_set_cr3 (SetCR3) or vmi_flush_tlb (FlushTLB)"
    for rule in known.by_name.values():
        assert bool(rule.calls) != bool(rule.instead), rule
        assert rule.source and rule.kind in rules.CLASSES


@pytest.mark.parametrize("bits", BOTH)
def test_a_selector_that_is_only_passed_on_is_right(bits: int, build: Build, lint: Lint) -> None:
    wide = "%eax" if bits == 32 else "%rax"
    passed_on = [
        "mov %ss, %eax; mov %eax, %ds; mov %eax, %es",
        "mov %ss, %ecx; nop; mov %ecx, %es; mov $1, %ecx",
        "mov %cs, %ax; mov %ax, %ds",
        f"mov %ss, %edx; mov %edx, %fs; push {wide}; call 1f; 1:",
    ]
    looked_at = [
        "mov %ss, %eax",
        "mov %ss, %eax; and $3, %eax; mov %eax, %ds",
        "mov %ss, %eax; mov %eax, %ds; test $3, %al",
        "mov %ss, %eax; mov $0x10, %eax; mov %eax, %ds",
        "mov %cs, %ecx; mov %ecx, (%esi); mov %ecx, %ds" if bits == 32 else "mov %cs, %ecx; mov %ecx, (%rsi)",
    ]
    if bits == 32:
        passed_on += ["push %ss; pop %es", "push %cs; pop %ds"]
        looked_at += ["push %ss; pop %eax", "push %cs; push $1f; lret; 1:"]
    made = build(source([*passed_on, *looked_at], "case"), bits)
    run = lint(made, "--format=json")
    by_case = {
        int(each["symbol"][4:]): each for each in reversed(run.json["findings"]) if each["symbol_offset"] == 0
    }
    assert len(by_case) == len(passed_on) + len(looked_at)
    for i, each in by_case.items():
        right = i < len(passed_on)
        assert each["instruction"].startswith("copy from ") == right, (passed_on + looked_at)[i]
        assert (each["class"], each["level"]) == (("selector", "note") if right else ("sensitive", "error"))
    assert run.json["counted"] == len(looked_at)
    assert "right as it is" in lint(made, "--all").out


def test_entering_the_kernel_is_right_in_a_user_program(build: Build, lint: Lint) -> None:
    made = build(source(["int $0x80", "sysenter", "syscall", "int3", "cli"], "case"), 32)
    run = lint(made)
    assert "case0, .text+0x0; no call: call the handler; in a user program it is right" in run.out
    assert "vmi lint: 5 sensitive instructions in 1 object" in run.out
    run = lint(made, "--user")
    assert run.status == 1 and "cli (cli) in case4" in run.out and "(int" not in run.out
    assert "vmi lint: 1 sensitive instruction, 4 right in a user program in 1 object" in run.out
    assert "int (int $0x80) in case0" in lint(made, "--user", "--all").out


def test_texts_of_what_the_decoder_does_not_know(build: Build, lint: Lint) -> None:
    made = build(source(['ud2; .ascii "xen"; cpuid', ".byte 0xf0, 0x0f, 0x22, 0xc0", "tdcall"], "case"), 32)
    out = lint(made).out
    assert 'cpuid (ud2; .ascii "xen"; cpuid) in case0, .text+0x0; use vmi_cpuid (CPUID)' in out
    assert "mov to cr8 (lock mov %eax, %cr8) in case1" in out
    assert "tdcall (tdcall) in case2" in out
