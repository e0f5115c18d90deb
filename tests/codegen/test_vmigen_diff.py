# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""`vmigen diff`: each rule by a pair of specifications, the real one and an edit of it; revisions; misuse."""

from __future__ import annotations

import functools
import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from vmigen.cli import SPEC_SCHEMA
from vmigen.diff import RULES, Version, checked, compare
from vmigen_runs import PROJECT, Vmigen

SPECIFICATION = (PROJECT / "spec/vmi.yaml").read_text()


def shortened(text: str) -> str:
    """The real specification with the calls that the cases edit, for the time that each pair takes."""
    head, calls = re.split(r"^calls:\n", text, flags=re.MULTILINE)
    source = Path(__file__).read_text()
    kept = [call for call in re.split(r"\n\n(?=  - name: )", calls) if f'"{call.split()[2]}"' in source]
    assert len(kept) > 15
    text = head + "calls:\n" + "\n\n".join(kept).rstrip() + "\n"
    required = set(re.findall(r"^      - ([a-z_]+)$", text, re.MULTILINE))
    text = re.sub(
        r"^  - \{name: ([a-z_]+), summary: .*\n",
        lambda line: line.group() if line.group(1) in required or "c: " in line.group() else "",
        text,
        flags=re.MULTILINE,
    )
    named = {name for names in re.findall(r"    instructions: \[(.*)\]", text) for name in names.split(", ")}
    return re.sub(
        r"^  - \{name: ([a-z0-9 ]+), class: (?!.*instead: ).*\n",
        lambda line: line.group() if line.group(1) in named else "",
        text,
        flags=re.MULTILINE,
    )


REAL = shortened(SPECIFICATION)


@dataclass(frozen=True)
class Edit:
    """A replacement in the entry with that name, or anywhere in the file."""

    entry: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        start, end = 0, len(text)
        if self.entry:
            # Sections may have entries of the same name.
            entry = rf"^  - name: {re.escape(self.entry)}\n(?:(?!  - ).*\n)*"
            found = [match for match in re.finditer(entry, text, re.MULTILINE) if self.old in match.group()]
            assert found, f"{self.old!r} is not in {self.entry}"
            start, end = found[0].span()
        part = text[start:end]
        assert self.old in part, self.old
        return text[:start] + part.replace(self.old, self.new, 1) + text[end:]


def e(entry: str, old: str, new: str) -> Edit:
    return Edit(entry, old, new)


@dataclass(frozen=True)
class Case:
    """`edits` lead from the old to the new one, after `both` were made to both of them."""

    rule: str
    subject: str
    edits: tuple[Edit, ...]
    both: tuple[Edit, ...] = ()
    backwards: bool = False


MINOR = e("", "minor: 1}", "minor: 2}")
ANOTHER = """\
calls:
  - name: Another
    symbol: another
    ordinal: 700
    group: extension
    category: test
    since: "3.2"
    summary: S.
    replaces: nothing
    convention: c
    clobbers: {i386: [eax], x86_64: [rax]}
    memory: true
    suspend: none
    stack: 64
    interruptible: false
    source: SDK

"""
ADD = e("", "calls:\n", ANOTHER)
GROUP = """\
constants:
  - name: another
    prefix: VMI_ANOTHER_
    kind: enum
    summary: S.
    source: SDK
    since: "3.2"
    values:
      - {name: ONE, value: 1, summary: One.}

"""
STRUCTURE = """\
structures:
  - name: another
    summary: S.
    source: SDK
    since: "3.2"
    size: {i386: 4, x86_64: 4}
    fields:
      - {name: one, type: u32, summary: One.}

"""
ARCH = re.search(r"^  i386:\n(?:    .*\n)*", REAL, re.MULTILINE)
assert ARCH
# A second architecture of the same shape, which everything has an entry for.
TWO = "two architectures"
SECOND = ARCH.group().replace("i386", "i486")
PLANNED = (e("", "types:\n", SECOND.replace("supported", "planned") + "types:\n"),)
ARGUMENT = "      - {name: more, type: u32, registers: {i386: [edx]}, summary: M.}\n"
MORE = (e("SetTR", "    clobbers:", ARGUMENT + "    clobbers:"),)
RETURNS = "    result: {type: u32, registers: {i386: [eax]}, summary: R.}\n"
RESULT = (e("SetTR", "    clobbers: {i386: [eax,", RETURNS + "    clobbers: {i386: ["),)
LISTED = "instructions:\n  - {name: halt, class: io, summary: H., instead: wait, source: SDM}\n"
FEATURE = (
    e(
        "",
        "\n# What a caller holds",
        "  - {name: quick, cpuid: {leaf: 1, register: ecx, bit: 3}, summary: Q, source: SDM}\n"
        "\n# What a caller holds",
    ),
    e("feature", "    values:\n", "    values:\n      - {name: QUICK, value: 0x10, summary: Q.}\n"),
)
HALT = (e("", "instructions:\n", LISTED),)
ODD = (e("", "types:\n", "types:\n  - {name: odd, c: uint32_t, bits: 32, summary: Odd.}\n"),)
REQUIRES = (e("SetLazyMode", "    requires:\n", "    requires:\n      - register_exists\n"),)
TERM = (
    e("", "terms:\n", 'terms:\n  - {name: interrupts_off, summary: "Interrupts are off."}\n'),
    e("SetLazyMode", "    requires:\n", "    requires:\n      - interrupts_off\n"),
)
ONE = (
    e("SetLazyMode", "    convention:", "    architectures: [i386]\n    convention:"),
    e("SetLazyMode", ", x86_64: scratch}", "}"),
)
NMI = (e("SetTR", "interruptible: false", "interruptible: false\n    nmi: true"),)
FAILS = (e("Kick", "    errors:\n", "    errors:\n      - {value: EIO, when: Ever.}\n"),)

CASES = [
    Case("api-name", "api", (e("", "{name: VMI,", "{name: VNI,"),)),
    Case("api-version-lowered", "api", (MINOR,), backwards=True),
    Case("api-minor-raised", "api", (MINOR,)),
    Case("api-major-raised", "api", (e("", "major: 3", "major: 4"),)),
    Case("since-raised", "SetCR3", (e("SetCR3", 'since: "3.0"', 'since: "3.1"'),)),
    Case("since-raised", "group flush", (e("flush", 'since: "3.0"', 'since: "3.1"'),)),
    Case("since-lowered", "dtr", (e("dtr", 'since: "3.0"', 'since: "3.1"'),), backwards=True),
    Case("added-unannounced", "Another", (e("", "calls:\n", ANOTHER.replace("3.2", "3.1")),)),
    Case("added-unannounced", "another", (e("", "structures:\n", STRUCTURE.replace("3.2", "3.0")),)),
    Case("documentation", "SetCR3", (e("SetCR3", "Drops the translations", "Forgets the translations"),)),
    Case("documentation", "SetCR3.value", (e("SetCR3", "New value.", "The value."),)),
    Case("documentation", "VMI_FLUSH_TLB", (e("flush", "are not global", "are no global ones"),)),
    Case("architecture-added", "i486", PLANNED),
    Case("architecture-removed", "i486", PLANNED, backwards=True),
    Case("architecture-supported", "i486", (e(TWO, "status: supported", "status: planned"),), backwards=True),
    Case("architecture-withdrawn", "i486", (e(TWO, "status: supported", "status: planned"),)),
    Case(
        "architecture-word",
        "i486",
        (e(TWO, "status: supported", "status: planned"), e(TWO, "word_bits: 32", "word_bits: 64")),
    ),
    Case("architecture-planned", "i486", (e("", "  i486:\n", "  i486:\n    derived: true\n"),), PLANNED),
    Case("architecture-convention", "i386", (e("", "stack_words: 2", "stack_words: 3"),)),
    Case("architecture-register-added", "i386", (e("", "esi, edi, flags]", "esi, edi, fs, flags]"),)),
    Case(
        "architecture-register-removed",
        "i386",
        (e("", "esi, edi, flags]", "esi, edi, fs, flags]"),),
        backwards=True,
    ),
    Case("type-added", "odd", ODD),
    Case("type-removed", "odd", ODD, backwards=True),
    Case(
        "type-changed", "cstring", (e("", 'name: cstring, c: "const char *"', 'name: cstring, c: "char *"'),)
    ),
    Case(
        "constant-added",
        "VMI_FLUSH_NEW",
        (e("flush", "    values:\n", "    values:\n      - {name: NEW, value: 4, summary: New.}\n"),),
    ),
    Case("constant-added", "group another", (MINOR, e("", "constants:\n", GROUP))),
    Case("constant-removed", "VMI_FLUSH_GLOBAL", (e("flush", "name: GLOBAL", "name: ALL"),)),
    Case("constant-removed", "VMI_FLUSH_TLB", (e("flush", "prefix: VMI_FLUSH_", "prefix: VMI_DROP_"),)),
    Case("constant-value", "VMI_STATUS_PASS", (e("status", "value: 0x10", "value: 0x20"),)),
    Case("constant-value-published", "VMI_FLUSH_GLOBAL", (e("flush", "value: 0x02", "value: 0x04"),)),
    Case("constants-flags", "group lazy", (e("lazy", "kind: enum", "kind: flags"),)),
    Case("constants-enum", "group flush", (e("flush", "kind: flags", "kind: enum"),)),
    Case("structure-added", "another", (MINOR, e("", "structures:\n", STRUCTURE))),
    Case("structure-removed", "another", (e("", "structures:\n", STRUCTURE),), (MINOR,), backwards=True),
    Case(
        "structure-size",
        "module",
        (
            e("module", "size: {i386: 24,", "size: {i386: 28,"),
            e(
                "module",
                "      - {name: reserved,",
                "      - {name: more, type: u32, summary: M.}\n      - {name: reserved,",
            ),
        ),
    ),
    Case(
        "structure-size-published",
        "dtr",
        (
            e("dtr", "size: {i386: 6, x86_64: 10}", "size: {i386: 8, x86_64: 12}"),
            e("dtr", "type: u16", "type: u32"),
        ),
    ),
    Case(
        "structure-packed",
        "module",
        (
            e(
                "module",
                "    size: {i386: 24, x86_64: 32}",
                "    packed: true\n    size: {i386: 24, x86_64: 28}",
            ),
        ),
    ),
    Case("field-added", "module.flags", (e("module", "{name: reserved,", "{name: flags,"),)),
    Case("field-reserved-used", "module.reserved", (e("module", "{name: reserved,", "{name: flags,"),)),
    Case("field-removed", "module.command_line", (e("module", "name: command_line", "name: arguments"),)),
    Case(
        "field-moved",
        "module.size",
        (
            e("module", "name: base,", "name: first,"),
            e("module", "name: size,", "name: base,"),
            e("module", "name: first,", "name: size,"),
        ),
    ),
    Case(
        "field-moved-published",
        "dtr.base",
        (
            e("dtr", "type: u16", "type: u32"),
            e("dtr", "size: {i386: 6, x86_64: 10}", "size: {i386: 8, x86_64: 12}"),
        ),
    ),
    Case(
        "field-type",
        "boot_info.kernel_rpl",
        (e("boot_info", "name: kernel_rpl, type: u32", "name: kernel_rpl, type: s32"),),
    ),
    Case(
        "field-type",
        "boot_info.cpu_count",
        (
            e("boot_info", "type: u32, count: 3,", "type: u32, count: 2,"),
            e("boot_info", "name: cpu_count, type: u32", "name: cpu_count, type: u32, count: 2"),
        ),
    ),
    Case(
        "field-meaning",
        "boot_info.linear_pages",
        (e("boot_info", "linear_pages, type: word", "linear_pages, type: pfn"),),
    ),
    Case(
        "field-array-grown",
        "boot_info.reserved",
        (
            e("boot_info", "count: 3,", "count: 4,"),
            e("boot_info", "size: {i386: 124, x86_64: 200}", "size: {i386: 128, x86_64: 208}"),
        ),
    ),
    Case("call-added", "Another", (MINOR, ADD)),
    Case("call-removed", "Another", (ADD,), (MINOR,), backwards=True),
    Case("call-renamed", "SetCR3Root", (e("SetCR3", "name: SetCR3\n", "name: SetCR3Root\n"),)),
    Case("call-symbol", "SetCR3", (e("SetCR3", "symbol: set_cr3", "symbol: set_root"),)),
    Case("call-ordinal", "Kick", (e("Kick", "ordinal: 134", "ordinal: 500"),)),
    Case("call-ordinal-published", "SetCR3", (e("SetCR3", "ordinal: 17\n", "ordinal: 99\n"),)),
    Case(
        "call-ordinal-reused",
        "Renewed",
        (e("Another", "name: Another", "name: Renewed"), e("Renewed", "symbol: another", "symbol: renewed")),
        (MINOR, ADD),
    ),
    Case(
        "call-group",
        "Kick",
        (e("Kick", "ordinal: 134", "ordinal: 120"), e("Kick", "group: extension", "group: core")),
    ),
    Case("call-category", "SetCR3", (e("SetCR3", "category: control registers", "category: paging roots"),)),
    Case(
        "call-convention",
        "EnableInterrupts",
        (e("EnableInterrupts", "convention: registers", "convention: c"),),
    ),
    Case("call-instructions", "RDTSC", (e("RDTSC", "[rdtsc, rdtscp]", "[rdtscp]"),)),
    Case("call-returns", "Reboot", (e("Reboot", "    noreturn: true\n", ""),)),
    Case("call-noreturn", "Reboot", (e("Reboot", "    noreturn: true\n", ""),), backwards=True),
    Case("argument-added", "SetTR.more", MORE),
    Case("argument-removed", "SetTR.more", MORE, backwards=True),
    Case(
        "argument-order",
        "WRMSR",
        (
            e(
                "WRMSR",
                "name: index, type: u32, registers: {i386: [ecx], x86_64: [rcx]}",
                "name: swap, type: u64, registers: {i386: [eax, edx], x86_64: [rax, rdx]}",
            ),
            e(
                "WRMSR",
                "name: value, type: u64, registers: {i386: [eax, edx], x86_64: [rax, rdx]}",
                "name: index, type: u32, registers: {i386: [ecx], x86_64: [rcx]}",
            ),
            e("WRMSR", "name: swap", "name: value"),
        ),
    ),
    Case("argument-renamed", "SetCR3.root", (e("SetCR3", "name: value", "name: root"),)),
    Case("argument-type", "SetCR3.value", (e("SetCR3", "type: word", "type: s32"),)),
    Case("argument-type", "ConsoleWrite.from", (e("ConsoleWrite", "type: const_buffer", "type: buffer"),)),
    Case("argument-const", "ConsoleRead.to", (e("ConsoleRead", "type: buffer", "type: const_buffer"),)),
    Case("argument-meaning", "SetCR3.value", (e("SetCR3", "type: word", "type: pfn"),)),
    Case(
        "argument-registers",
        "RDPMC.counter",
        (e("RDPMC", "registers: {i386: [ecx],", "registers: {i386: [ebx],"),),
    ),
    Case("argument-unit", "ConsoleWrite.length", (e("ConsoleWrite", 'unit: "bytes"', 'unit: "words"'),)),
    Case("result-added", "SetTR", RESULT),
    Case("result-removed", "SetTR", RESULT, backwards=True),
    Case(
        "result-several",
        "CPUID",
        (
            e(
                "CPUID",
                "      - {name: ebx, type: u32, registers: {i386: [ebx], x86_64: [rbx]}, "
                'summary: "Register ebx."}\n',
                "",
            ),
        ),
    ),
    Case("result-renamed", "CPUID.low", (e("CPUID", "name: eax", "name: low"),)),
    Case("result-type", "GetCR3", (e("GetCR3", "result: {type: word", "result: {type: s32"),)),
    Case("result-meaning", "GetCR3", (e("GetCR3", "result: {type: word", "result: {type: pfn"),)),
    Case(
        "result-registers",
        "GetInterruptMask",
        (e("GetInterruptMask", "registers: {i386: [eax],", "registers: {i386: [ecx],"),),
    ),
    Case("result-unit", "ClockNanoseconds", (e("ClockNanoseconds", 'unit: "ns"', 'unit: "us"'),)),
    Case("register-destroyed", "RDPMC", (e("RDPMC", "clobbers: {i386: [],", "clobbers: {i386: [flags],"),)),
    Case(
        "register-destroyed-c",
        "SetTR",
        (e("SetTR", "[eax, ecx, edx, flags]", "[eax, ecx, flags]"),),
        backwards=True,
    ),
    Case("register-kept", "SetTR", (e("SetTR", "[eax, ecx, edx, flags]", "[eax, ecx, flags]"),)),
    Case("memory-added", "CPUID", (e("CPUID", "memory: false", "memory: true"),)),
    Case("memory-removed", "SetCR3", (e("SetCR3", "memory: true", "memory: false"),)),
    Case("site-length", "APICRead", (e("APICRead", "site: {i386: 11,", "site: {i386: 12,"),)),
    Case("requirement-added", "SetLazyMode", REQUIRES),
    Case("requirement-removed", "SetLazyMode", REQUIRES, backwards=True),
    Case(
        "requirement-reworded",
        "term lazy_not_read_back",
        (e("", "are not read back before", "are never read back before"),),
    ),
    Case(
        "requirement-reworded",
        "SetLazyMode",
        (
            e("", "name: lazy_not_read_back", "name: not_read_back"),
            e("SetLazyMode", "      - lazy_not_read_back", "      - not_read_back"),
        ),
    ),
    Case("term-added", "interrupts_off", TERM),
    Case("term-removed", "interrupts_off", TERM, backwards=True),
    Case("suspend-lost", "SetTR", (e("SetTR", "suspend: kept", "suspend: lost"),)),
    Case("suspend-changed", "SetTR", (e("SetTR", "suspend: kept", "suspend: lost"),), backwards=True),
    Case("stack-grown", "CPUID", (e("CPUID", "stack: 256", "stack: 257"),)),
    Case("stack-shrunk", "CPUID", (e("CPUID", "stack: 256", "stack: 255"),)),
    Case("interruptible-added", "CPUID", (e("CPUID", "interruptible: false", "interruptible: true"),)),
    Case(
        "interruptible-removed",
        "CPUID",
        (e("CPUID", "interruptible: false", "interruptible: true"),),
        backwards=True,
    ),
    Case("nmi-added", "SetTR", NMI),
    Case("nmi-removed", "SetTR", NMI, backwards=True),
    Case("call-architecture-removed", "SetLazyMode", ONE),
    Case("call-architecture-added", "SetLazyMode", ONE, backwards=True),
    Case("argument-word", "SetCR3.value", (e("SetCR3", "type: word", "type: u32"),)),
    Case("result-word", "GetCR3", (e("GetCR3", "type: word", "type: u32"),)),
    Case(
        "field-word",
        "boot_info.linear_pages",
        (e("boot_info", "linear_pages, type: word", "linear_pages, type: u32"),),
    ),
    Case(
        "error-first",
        "GetCR3",
        (e("GetCR3", "    source:", "    errors:\n      - {value: EINVAL, when: Ever.}\n    source:"),),
        (e("GetCR3", "result: {type: word", "result: {type: s32"),),
    ),
    Case("error-added", "Kick", FAILS),
    Case("error-removed", "Kick", FAILS, backwards=True),
    Case("unsupported-value", "GetDR", (e("GetDR", "    source:", "    unsupported: 7\n    source:"),)),
    Case("feature-added", "quick", FEATURE),
    Case("feature-removed", "quick", FEATURE, backwards=True),
    Case("feature-changed", "smap", (e("", "register: ebx, bit: 20}", "register: ebx, bit: 21}"),)),
    Case("instruction-added", "halt", HALT),
    Case("instruction-removed", "halt", HALT, backwards=True),
    Case(
        "instruction-changed", "rdtsc", (e("", "{name: rdtsc, class: sensitive", "{name: rdtsc, class: io"),)
    ),
]


def edited(text: str, edits: Iterable[Edit]) -> str:
    for edit in edits:
        if edit.entry == TWO:
            if "  i486:\n" not in text:
                text = with_second(text)
            start = text.index("  i486:\n")
            text = text[:start] + Edit("", edit.old, edit.new).apply(text[start:])
        else:
            text = edit.apply(text)
    return text


def with_second(text: str) -> str:
    """The specification with everything for i386 said of i486, too."""
    text = re.sub(r"\{i386: (\[[^]]*\]|\d+)([,}])", r"{i386: \1, i486: \1\2", text)
    text = text.replace("architectures: [i386]", "architectures: [i386, i486]")
    return text.replace("types:\n", SECOND + "types:\n", 1)


def pair(case: Case) -> tuple[str, str]:
    """The old and the new specification."""
    old = edited(REAL, case.both)
    if any(edit.entry == TWO for edit in case.edits):
        old = with_second(old)
    new = edited(old, case.edits)
    return (new, old) if case.backwards else (old, new)


@functools.cache
def version(name: str, text: str) -> Version:
    return checked(name, text.encode(), SPEC_SCHEMA)


def test_every_rule_has_a_case() -> None:
    """Those of backends are in test_vmigen_diff_backends.py."""
    own = {rule for rule in RULES if not rule.startswith("backend-")}
    assert {case.rule for case in CASES} | {"promises-added"} == own


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.subject}")
def test_rule(case: Case) -> None:
    old, new = pair(case)
    changes = compare(version("old.yaml", old), version("new.yaml", new))
    found = [change for change in changes if (change.rule, change.subject) == (case.rule, case.subject)]
    # Once, or once for each architecture where what it says differs.
    told = [arch for change in found for arch in change.architectures]
    assert found and (len(found) == 1 or len(told) == len(set(told)) == len(found)), changes
    change = found[0]
    # The place is a line of the text that the change is about.
    text = (old if change.place.file == "old.yaml" else new).splitlines()
    assert change.text and 1 <= change.place.line <= len(text) and change.place.column >= 1
    gone = case.rule.endswith("-removed") and not case.rule.startswith(("memory", "architecture-register"))
    gone = gone and case.rule not in ("interruptible-removed", "call-architecture-removed")
    assert (change.place.file == "old.yaml") == (
        gone or case.rule in ("call-returns", "call-architecture-added")
    )
    if case.edits[0].entry not in ("", TWO) and case.rule not in ("call-renamed", "call-ordinal-reused"):
        above = [i for i, line in enumerate(text[: change.place.line], 1) if line.startswith("  - name: ")]
        assert text[above[-1] - 1] == f"  - name: {case.edits[0].entry}"


MOVED = (e("", "arguments: [rdi, rsi, rdx", "arguments: [rsi, rdi, rdx"),)
X86_64 = ARGUMENT.replace("registers: {i386: [edx]}", "architectures: [x86_64]")
WIDE = (e("SetTR", "    clobbers:", X86_64 + "    clobbers:"),)
DESTROYS = (e("SetCR3", "x86_64: [rax, flags]", "x86_64: scratch"),)


@pytest.mark.parametrize(
    ("edits", "rule", "subject", "architectures"),
    [
        (MORE, "argument-added", "SetTR.more", ("i386", "x86_64")),
        (WIDE, "argument-added", "SetTR.more", ("x86_64",)),
        (
            (e("SetCR3", "architectures: [x86_64], ", "registers: {i386: [edx]}, "),),
            "argument-added",
            "SetCR3.user",
            ("i386",),
        ),
        (MOVED, "argument-registers", "SetCR3.value", ("x86_64",)),
        ((e("SetTR", "x86_64: scratch", "x86_64: [rax, flags]"),), "register-kept", "SetTR", ("x86_64",)),
        (DESTROYS, "register-destroyed-c", "SetCR3", ("x86_64",)),
        ((e("APICRead", "x86_64: 13}", "x86_64: 14}"),), "site-length", "APICRead", ("x86_64",)),
        (ONE, "call-architecture-removed", "SetLazyMode", ("x86_64",)),
        ((e("SetCR3", "type: word", "type: u32"),), "argument-type", "SetCR3.value", ("x86_64",)),
        ((e("SetCR3", "type: word", "type: u32"),), "argument-word", "SetCR3.value", ("i386",)),
        ((e("SetCR3", "memory: true", "memory: false"),), "memory-removed", "SetCR3", ()),
        (
            (e("dtr", "type: linear", "type: u32"), e("dtr", "x86_64: 10", "x86_64: 6")),
            "structure-size-published",
            "dtr",
            ("x86_64",),
        ),
    ],
)  # fmt: skip
def test_the_architecture_is_told(
    edits: tuple[Edit, ...], rule: str, subject: str, architectures: tuple[str, ...]
) -> None:
    changes = compare(version("old.yaml", REAL), version("new.yaml", edited(REAL, edits)))
    found = [change for change in changes if (change.rule, change.subject) == (rule, subject)]
    assert {arch for change in found for arch in change.architectures} == set(architectures), changes
    for change in found:
        assert str(change).endswith(f" ({', '.join(change.architectures)})") == bool(architectures)


def in_the_earlier_form(text: str) -> str:
    """A specification as it was before calls named terms and said what they promise."""
    summaries = dict(re.findall(r'^  - \{name: ([a-z_]+), summary: "([^"]*)"\}$', text, re.MULTILINE))
    text = re.sub(r"^terms:\n(?:  - .*\n)*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^    (?:suspend|stack|interruptible): .*\n", "", text, flags=re.MULTILINE)
    return re.sub(
        r"^      - ([a-z_]+)$", lambda name: f'      - "{summaries[name.group(1)]}"', text, flags=re.MULTILINE
    )


def test_the_earlier_form_is_compared() -> None:
    """What was said in sentences is found again in terms; promises are said for the first time."""
    old = in_the_earlier_form(REAL)
    assert old != REAL and "terms:" not in old and "stack:" not in old
    found = compare(version("old.yaml", old), version("new.yaml", REAL))
    assert [(change.rule, change.subject) for change in found] == [("promises-added", "calls")]
    found = compare(version("old.yaml", old), version("new.yaml", edited(REAL, REQUIRES)))
    assert ("requirement-added", "SetLazyMode") in [(change.rule, change.subject) for change in found]
    less = REAL.replace("    requires:\n      - lazy_not_read_back\n", "    requires:\n", 1)
    less = re.sub(r"  - \{name: lazy_not_read_back.*\n", "", less)
    found = compare(version("old.yaml", old), version("new.yaml", less))
    assert ("requirement-removed", "SetLazyMode") in [(change.rule, change.subject) for change in found]


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = tmp_path / "real.yaml"
    path.write_text(REAL)
    return path


def test_nothing_changed(vmigen: Vmigen) -> None:
    spec = PROJECT / "spec/vmi.yaml"
    run = vmigen("diff", spec, spec)
    assert (run.status, run.err) == (0, "")
    assert run.out == "vmi diff: 0 BREAKING, 0 SOURCE-COMPATIBLE, 0 COMPATIBLE\n"


def test_json(vmigen: Vmigen, real: Path, tmp_path: Path) -> None:
    new = edited(REAL, (MINOR, ADD, e("SetCR3", "memory: true", "memory: false")))
    (tmp_path / "new.yaml").write_text(new)
    run = vmigen("diff", real, tmp_path / "new.yaml", "--format=json")
    assert run.status == 1
    made = json.loads(run.out)
    assert made["counts"] == {"BREAKING": 1, "SOURCE-COMPATIBLE": 0, "COMPATIBLE": 2}
    assert (made["old"]["version"], made["new"]["version"]) == ("3.1", "3.2")
    assert [(each["level"], each["rule"], each["subject"]) for each in made["changes"]] == [
        ("BREAKING", "memory-removed", "SetCR3"),
        ("COMPATIBLE", "api-minor-raised", "api"),
        ("COMPATIBLE", "call-added", "Another"),
    ]
    for each in made["changes"]:
        assert each["file"] == f"{tmp_path}/new.yaml" and each["line"] and each["column"] and each["text"]


def test_text_is_sorted_with_what_breaks_first(vmigen: Vmigen, real: Path, tmp_path: Path) -> None:
    new = edited(
        REAL, (e("SetCR3", "ordinal: 17\n", "ordinal: 99\n"), e("Kick", "ordinal: 134", "ordinal: 500"))
    )
    (tmp_path / "new.yaml").write_text(new.replace("Drops the translations", "Forgets the translations", 1))
    run = vmigen("diff", real, tmp_path / "new.yaml")
    assert run.status == 1
    lines = run.out.splitlines()
    line = new.splitlines().index("    ordinal: 99") + 1
    assert lines[0] == (
        f"{tmp_path}/new.yaml:{line}:14: BREAKING call-ordinal-published: SetCR3: ordinal 17 is now 99"
    )
    assert " SOURCE-COMPATIBLE call-ordinal: Kick: " in lines[1]
    assert " COMPATIBLE documentation: SetCR3: " in lines[2]
    assert lines[3] == "vmi diff: 1 BREAKING, 1 SOURCE-COMPATIBLE, 1 COMPATIBLE"


def test_strict_and_announced_changes(vmigen: Vmigen, real: Path, tmp_path: Path) -> None:
    new = edited(
        REAL, (e("Kick", "ordinal: 134", "ordinal: 500"), e("SetCR3", "ordinal: 17\n", "ordinal: 99\n"))
    )
    (tmp_path / "new.yaml").write_text(new)
    changes = tmp_path / "CHANGES.md"
    arguments = ("diff", real, tmp_path / "new.yaml", "--changes", changes)
    changes.write_text("# Changes\n\n## 3.1\n\n- `call-ordinal` of `Kick`: it is 500.\n")
    run = vmigen(*arguments)
    assert run.status == 1
    (message,) = run.err.splitlines()
    assert "BREAKING change not named under '## 3.1'" in message
    assert "a line with `call-ordinal-published` and `SetCR3`" in message
    changes.write_text(changes.read_text() + "- `call-ordinal-published` of `SetCR3`: it is 99.\n")
    assert vmigen(*arguments).status == 0
    changes.write_text(changes.read_text().replace("## 3.1", "## 3.0"))
    assert vmigen(*arguments).err.count("not named under") == 2
    only_source = edited(REAL, (e("Kick", "ordinal: 134", "ordinal: 500"),))
    (tmp_path / "new.yaml").write_text(only_source)
    assert vmigen(*arguments[:3]).status == 0
    assert vmigen(*arguments[:3], "--strict").status == 1


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository whose tag v1 has the real specification, with an edit committed since."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    folder = tmp_path / "repository"
    (folder / "spec").mkdir(parents=True)

    def git(*words: str) -> None:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init", "-q")
    (folder / "spec/vmi.yaml").write_text(REAL)
    git("add", ".")
    git("commit", "-qm", "one")
    git("tag", "v1")
    (folder / "spec/vmi.yaml").write_text(edited(REAL, (e("SetCR3", "memory: true", "memory: false"),)))
    git("commit", "-qam", "two")
    monkeypatch.chdir(folder)
    return folder


def test_git_revisions(vmigen: Vmigen, repository: Path) -> None:
    for old, new in (("v1", "HEAD"), ("HEAD~1", "spec/vmi.yaml"), ("v1:spec/vmi.yaml", "HEAD:spec/vmi.yaml")):
        run = vmigen("diff", old, new)
        assert run.status == 1, run.err
        name = new if "/" in new else f"{new}:spec/vmi.yaml"
        assert re.match(
            rf"{name}:\d+:13: BREAKING memory-removed: SetCR3: memory true is now false\n", run.out
        )
    assert vmigen("diff", "v1", "v1").status == 0
    back = vmigen("diff", "HEAD", "v1")
    assert back.status == 0 and "SOURCE-COMPATIBLE memory-added" in back.out


@pytest.mark.parametrize(
    ("old", "message"),
    [
        ("nowhere", "'nowhere' is neither a file nor a git revision"),
        ("HEAD:nowhere.yaml", "'HEAD:nowhere.yaml' is neither a file nor a git revision"),
        ("--output=gone", "unrecognized arguments"),
        ("spec", "cannot read 'spec' (Is a directory)"),
    ],
)
def test_misuse(old: str, message: str, vmigen: Vmigen, repository: Path) -> None:
    run = vmigen("diff", old, "HEAD")
    assert run.status == 2
    assert message in run.err or "required" in run.err
    assert run.err.count("\n") == 1
    assert not (repository / "gone").exists()


def test_a_specification_that_is_wrong_is_not_compared(vmigen: Vmigen, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(SPECIFICATION.replace("ordinal: 17\n", "ordinal: 16\n"))
    run = vmigen("diff", PROJECT / "spec/vmi.yaml", tmp_path / "bad.yaml")
    assert run.status == 2 and run.out == ""
    assert run.err.startswith(f"{tmp_path}/bad.yaml:") and "ordinal 16 is taken" in run.err
    run = vmigen(
        "diff", PROJECT / "spec/vmi.yaml", PROJECT / "spec/vmi.yaml", "--changes", tmp_path / "none.md"
    )
    assert run.status == 2 and "cannot read" in run.err


def test_the_manual_of_the_rules(vmigen: Vmigen, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        vmigen("diff", "--help")
    assert ended.value.code == 0
    text = capfd.readouterr().out
    for rule, (level, meaning) in RULES.items():
        assert re.search(rf"^  {rule} +{level}: {re.escape(meaning)}$", text, re.MULTILINE)


def released(folder: Path = PROJECT / "spec/released") -> list[Path]:
    """The specifications that are kept of releases, the last one last."""
    return sorted(folder.glob("*.yaml"), key=lambda file: [*map(int, file.stem.split("."))])


def test_last_release_is_the_highest_version(tmp_path: Path) -> None:
    """By numbers, not by letters."""
    for version in ("1.10.0", "1.2.0", "0.9.10", "1.9.3"):
        (tmp_path / f"{version}.yaml").write_text("")
    assert [file.stem for file in released(tmp_path)] == ["0.9.10", "1.2.0", "1.9.3", "1.10.0"]


def test_what_is_new_behind_a_release_is_announced(tmp_path: Path, vmigen: Vmigen) -> None:
    """Once the specification is kept, the same `api` version may have nothing that it had not."""
    (tmp_path / "released").mkdir()
    kept = tmp_path / "released/1.0.0.yaml"
    kept.write_text(SPECIFICATION)
    (tmp_path / "vmi.yaml").write_text(SPECIFICATION)
    changes = PROJECT / "CHANGES.md"
    (base,) = released(tmp_path / "released")
    assert vmigen("diff", base, tmp_path / "vmi.yaml", "--changes", changes).status == 0
    kept.write_text(re.sub(r"  - name: CancelAlarm\n.*?(?=  - name: )", "", SPECIFICATION, flags=re.DOTALL))
    run = vmigen("diff", base, tmp_path / "vmi.yaml", "--changes", changes)
    assert run.status == 1 and "added-unannounced" in run.out


def test_changes_since_the_last_release_are_announced() -> None:
    """CHANGES.md names what is not compatible with the last release; before there is one, with HEAD."""
    base = str(released()[-1]) if released() else "HEAD"
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if not released() and git.returncode:
        pytest.skip("not in a git repository, and nothing is released: there is nothing to compare with")
    run = subprocess.run(
        [PROJECT / "vmi", "diff", base, "spec/vmi.yaml", "--changes", "CHANGES.md"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "vmi diff: " in run.stdout
