# SPDX-License-Identifier: MIT OR GPL-2.0-only
"""Stores to page tables, descriptor tables and the local APIC are found by type, as hints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lint_runs import Build, Lint, link

# Lines with a comment are to be found, as what the comment says.
SOURCE = """
typedef unsigned int u32;
typedef unsigned long long u64;
typedef struct { u64 pte; } pte_t;
struct gdt_entry { u32 low, high; };
struct gdt_ptr { unsigned short limit; u32 base; } __attribute__((packed));
struct lapic_regs { volatile u32 reg[256]; };
struct mm { int x; pte_t *tables[4]; };
struct gdt_entry gdt[8];
struct gdt_ptr gdt_ptr;
static pte_t table[512];
extern u32 idt[];
u64 page_directory[512];
static u64 plain[512];
void one(pte_t *p, u64 v);
void one(pte_t *p, u64 v) {
    p->pte = v; /* page table: pte_t */
}
static inline __attribute__((always_inline)) void set(pte_t *where, u64 v) {
    *where = (pte_t){v}; /* page table: pte_t */
}
void inlined(struct mm *m, u64 v);
void inlined(struct mm *m, u64 v) {
    set(m->tables[2], v);
}
void nested(struct mm *m, int i, u64 v);
void nested(struct mm *m, int i, u64 v) {
    m->tables[1][i].pte = v; /* page table: pte_t */
}
void descriptors(int i, u32 v);
void descriptors(int i, u32 v) {
    gdt[i].high = v; /* descriptor table: gdt_entry */
    idt[2 * i] = v; /* descriptor table: idt */
}
void variable(int i, u32 v);
void variable(int i, u32 v) {
    page_directory[i] = v; /* page table: page_directory */
}
void apic(struct lapic_regs *l);
void apic(struct lapic_regs *l) {
    l->reg[0xb0 / 4] = 0; /* local apic: lapic_regs */
}
void plain_apic(volatile u32 *lapic);
void plain_apic(volatile u32 *lapic) {
    lapic[0xb0 / 4] = 0; /* local apic: lapic */
}
void change(int i, u64 v);
void change(int i, u64 v) {
    table[i].pte |= v; /* page table: pte_t */
}
void fixed(void);
void fixed(void) {
    *(volatile u32 *)0xfee000b0ul = 0; /* local apic: 0xfee000b0 */
}
u64 fine(u32 *p, struct mm *m, pte_t *q, int i);
u64 fine(u32 *p, struct mm *m, pte_t *q, int i) {
    pte_t local = *q;
    *p = (u32)local.pte;
    m->x = 3;
    m->tables[2] = q;
    plain[i] = q->pte;
    gdt_ptr.limit = 3;
    return q->pte + table[i].pte + page_directory[i];
}
"""
EXPECTED = {
    number: line.split("/* ")[1].split(" */")[0]
    for number, line in enumerate(SOURCE.split("\n"), 1)
    if "/*" in line
}


def hints(run: object) -> dict[int, str]:
    found = {}
    for each in json.loads(run.out)["findings"]:  # type: ignore[attr-defined]
        if each["class"] == "hint":
            kind = each["instruction"].removeprefix("store to ")
            found[each["source"]["line"]] = f"{kind}: {each['text'].rpartition(' to ')[2]}"
    return found


@pytest.mark.parametrize("version", ("-gdwarf-4", "-gdwarf-5"))
@pytest.mark.parametrize("level", ("-O0", "-O2"))
@pytest.mark.parametrize("cc", ("gcc", "clang"))
@pytest.mark.parametrize("bits", (32, 64))
def test_stores(bits: int, cc: str, level: str, version: str, build: Build, lint: Lint) -> None:
    made = build(SOURCE, bits, level, version, "-mno-sse", suffix=".c", cc=cc)
    assert hints(lint(made, "--format=json")) == EXPECTED
    extra = build("unsigned int idt[512];", bits, "-g", name="idt", suffix=".c")
    linked = link(made, extra, bits=bits, flags=("-e", "one"))
    assert hints(lint(linked, "--format=json")) == EXPECTED


def test_hints_do_not_count(build: Build, lint: Lint, tmp_path: Path) -> None:
    made = build(SOURCE, 32, "-O2", "-g", "-mno-sse", suffix=".c")
    run = lint(made)
    assert run.status == 0
    assert (
        "made.c:17: warning: store to page table (movl %ecx, (%eax) to pte_t)" in run.out
        or "store to page table" in run.out
    )
    assert "; if a hypervisor knows of it already, use vmi_set_pxe (SetPxE) or vmi_set_pxe_long" in run.out
    assert "or vmi_write_idt_entry (WriteIDTEntry)" in run.out and "use vmi_apic_write (APICWrite)" in run.out
    assert "stores to look at in 1 object" in run.out
    assert "store" not in lint(made, "--hints=never").out
    assert lint(build(SOURCE, 32, "-O2", "-mno-sse", suffix=".c", name="plain")).out.count("store") == 0
    allow = tmp_path / "allow.yaml"
    allow.write_text(
        'allow:\n  - {symbol: "*", instruction: "store to *", reason: tables are not in use yet}\n'
    )
    run = lint(made, "--allow", allow)
    assert "warning" not in run.out and "store" not in run.out
    allow.write_text("allow:\n  - {symbol: f, instruction: store to nowhere, reason: no such thing}\n")
    assert lint(made, "--allow", allow).status == 2


def test_names_of_ones_own(build: Build, lint: Lint) -> None:
    source = "struct leaf { long word; };\nvoid f(struct leaf *p);\nvoid f(struct leaf *p) { p->word = 1; }\n"
    made = build(source, 64, "-O2", "-g", suffix=".c")
    assert hints(lint(made, "--format=json")) == {}
    assert hints(lint(made, "--format=json", "--type", "page-table=Le?f")) == {3: "page table: leaf"}
    run = lint(made, "--type", "page=leaf")
    assert run.status == 2 and "'page=leaf'; expected KIND=NAME, KIND one of page-table, " in run.err


def test_very_much_debug_information(build: Build, lint: Lint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmi_lint.stores.MANY", 100)
    made = build(SOURCE, 32, "-O2", "-g", "-mno-sse", suffix=".c")
    run = lint(made)
    assert "store to" not in run.out
    assert "has very much debug information: stores were not looked for (--hints=always does)" in run.out
    assert "store to page table" in lint(made, "--hints=always").out
