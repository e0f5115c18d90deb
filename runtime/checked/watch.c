/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "watch.h"

#include "../faults.h"
#include "descriptors.h"
#include "lock.h"
#include "mapping.h"
#include "say.h"
#include "state.h"
#include "tables.h"

#define VECTOR_PAGE_FAULT 14
#define GATE_WORDS        (sizeof(uintptr_t) / 2)
#define GATE_PRESENT      0x8000u
#define GATE_TYPE         0x0700u
#define GATE_TYPE_TASK    0x0500u
#define GATE_INTERRUPT    0x8e00u /* present, DPL 0 (Intel SDM vol. 3A, 6.11) */

/* Tables that were stored to, and are to be read-only again. */
#define OPENED_MOST 16

extern uintptr_t vmi__checked_fault_handlers[VMI__FAULT_HANDLERS];

uint32_t vmi__checked_opened;

static bool watching;
static uintptr_t opened[OPENED_MOST];

/* A task gate has the processor write to the GDT by itself (Intel SDM vol. 3A, 7.3): none is
 * watched then. */
static bool task_gates;

/* A CPU that is in a call which writes to what is read-only: the call's frame, 0 for none. */
static struct {
    struct vmi__flavour_frame *frame;
    struct vmi__control control;
    uintptr_t gates;      /* the table that WriteIDTEntry writes to, or 0 */
    uintptr_t descriptor; /* what WriteGDTEntry or WriteLDTEntry writes, or 0 */
    bool interrupts;      /* that were let in */
} writing[VMI__CHECKED_CPUS];

/* ---- gates ---- */

/* The entry that leads on to a handler, 0 if there is none left. */
static uintptr_t entry_for(uintptr_t handler)
{
    for (uint32_t i = 0; i < VMI__FAULT_HANDLERS; i++) {
        uintptr_t *known = &vmi__checked_fault_handlers[i];
        uintptr_t entry = (uintptr_t)vmi__checked_fault_entries + i * VMI__WATCH_ENTRY_SIZE;

        if (!*known)
            *known = handler;
        if (*known == handler || entry == handler)
            return entry;
    }
    return 0;
}

/*
 * Has the gate of page faults of a table lead to the library. A gate that is not there yet would be
 * the machine's end, so it is the library's own.
 */
static void front(uintptr_t base, uint32_t bytes)
{
    volatile uint32_t *gate = (volatile uint32_t *)base + VECTOR_PAGE_FAULT * GATE_WORDS;
    uint32_t words[GATE_WORDS];
    struct vmi__control control;
    uintptr_t handler;

    if (!watching || bytes < (VECTOR_PAGE_FAULT + 1) * 4 * GATE_WORDS ||
        !vmi__checked_is_mapped((uintptr_t)gate))
        return;
#ifdef __i386__
    for (uint32_t i = 0; i <= VECTOR_PAGE_FAULT && !task_gates; i++)
        if ((((volatile uint32_t *)base)[2 * i + 1] & GATE_TYPE) == GATE_TYPE_TASK) {
            task_gates = true;
            vmi__tables_forget(VMI__TABLE_GDT);
        }
#endif
    for (uint32_t i = 0; i < GATE_WORDS; i++)
        words[i] = gate[i];
    if (!(words[1] & GATE_PRESENT)) {
        words[0] = vmi__boot.kernel_cs << 16;
        words[1] = GATE_INTERRUPT;
        handler = (uintptr_t)vmi__fault_entries + VECTOR_PAGE_FAULT * VMI__FAULT_ENTRY_SIZE;
    } else if ((words[1] & GATE_TYPE) == GATE_TYPE_TASK) {
        return;
    } else {
        handler = (words[0] & 0xffffu) | (words[1] & 0xffff0000u);
#ifdef __x86_64__
        handler |= (uintptr_t)words[2] << 32;
#endif
    }
    handler = entry_for(handler);
    if (!handler)
        return;
    words[0] = (words[0] & 0xffff0000u) | (uint32_t)(handler & 0xffff);
    words[1] = (words[1] & 0xffffu) | (uint32_t)(handler & 0xffff0000u);
#ifdef __x86_64__
    words[2] = (uint32_t)(handler >> 32);
#endif
    vmi__idt_gate_changes(base, VECTOR_PAGE_FAULT, words);
    control = vmi__checked_write_anything();
    for (uint32_t i = 0; i < GATE_WORDS; i++)
        gate[i] = words[i];
    vmi__checked_as_before(control);
}

void vmi__checked_watch_start(void)
{
    struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) idt;

    watching = vmi__checked_mapping_start();
    if (!watching) {
        vmi__print(
            "# checked: stores to tables are not seen: there is no memory to map it by pages\r\n");
        return;
    }
    __asm__ volatile("sidt %0" : "=m"(idt));
    front(idt.base, idt.limit + 1u);
}

/* ---- calls ---- */

void vmi__checked_watch_note(const struct vmi__call *call)
{
    while (vmi__checked_opened)
        vmi__table_renew(opened[--vmi__checked_opened]);
    switch (call->ordinal) {
    case VMI_ORDINAL_ALLOCATE_PAGE:
    case VMI_ORDINAL_RELEASE_PAGE:
        vmi__table_renew(vmi__argument(call, 0));
        break;
    case VMI_ORDINAL_SET_GDT: {
        const struct vmi_dtr *dtr = (const struct vmi_dtr *)vmi__argument(call, 0);

        vmi__table_loaded(call, VMI__TABLE_GDT, task_gates ? 0 : dtr->base, dtr->limit + 1u);
        break;
    }
    case VMI_ORDINAL_SET_IDT: {
        const struct vmi_dtr *dtr = (const struct vmi_dtr *)vmi__argument(call, 0);

        front(dtr->base, dtr->limit + 1u);
        vmi__table_loaded(call, VMI__TABLE_IDT, dtr->base, dtr->limit + 1u);
        break;
    }
    case VMI_ORDINAL_SET_INITIAL_AP_STATE: {
        const struct vmi_ap_state *state = (const struct vmi_ap_state *)vmi__argument(call, 0);

        front(state->idtr_base, state->idtr_limit + 1u);
        break;
    }
#ifdef __i386__
    case VMI_ORDINAL_SET_LDT: {
        struct vmi_dtr ldt = vmi__checked_ldt((uint32_t)vmi__argument(call, 0));

        vmi__table_loaded(call, VMI__TABLE_LDT, ldt.base, ldt.limit + 1u);
        break;
    }
#endif
    case VMI_ORDINAL_STOP_CPU:
        vmi__table_loaded(call, VMI__TABLE_GDT, 0, 0);
        vmi__table_loaded(call, VMI__TABLE_LDT, 0, 0);
        break;
    default:
        break;
    }
}

static bool is_descriptor(uint32_t ordinal)
{
#ifdef __i386__
    if (ordinal == VMI_ORDINAL_WRITE_LDT_ENTRY)
        return true;
#endif
    return ordinal == VMI_ORDINAL_WRITE_GDT_ENTRY;
}

/* Where a call stores to a table; 0 if it stores to none. */
static uintptr_t stored_by(const struct vmi__call *call)
{
    switch (call->ordinal) {
#ifdef __i386__
    case VMI_ORDINAL_SET_PXE:
        return vmi__argument(call, 1);
    case VMI_ORDINAL_SET_PXE_LONG:
        return vmi__argument(call, 2);
    case VMI_ORDINAL_WRITE_LDT_ENTRY:
#else
    case VMI_ORDINAL_SET_PXE_LONG:
        return vmi__argument(call, 1);
#endif
    case VMI_ORDINAL_WRITE_GDT_ENTRY:
        return vmi__argument(call, 0) + 8 * (uint32_t)vmi__argument(call, 1);
    case VMI_ORDINAL_WRITE_IDT_ENTRY:
        return vmi__argument(call, 0) + 4 * GATE_WORDS * (uint32_t)vmi__argument(call, 1);
    case VMI_ORDINAL_SET_TR: /* marks the task-state segment as busy */
        return vmi__checked_gdt().base;
    default:
        return 0;
    }
}

void vmi__checked_watch_enter(const struct vmi__call *call, struct vmi__flavour_frame *frame)
{
    uint32_t cpu = call->cpu;
    bool gate = call->ordinal == VMI_ORDINAL_WRITE_IDT_ENTRY;
    uintptr_t stored = stored_by(call);

    if (!watching || !stored || writing[cpu].frame ||
        (!gate && !vmi__table_closed(vmi__checked_frame_at(stored))))
        return;
    writing[cpu].frame = frame;
    writing[cpu].gates = gate ? vmi__argument(call, 0) : 0;
    writing[cpu].descriptor = is_descriptor(call->ordinal) ? stored : 0;
    writing[cpu].interrupts = frame->flags & VMI__FLAG_INTERRUPT;
    frame->flags &= ~(uintptr_t)VMI__FLAG_INTERRUPT;
    writing[cpu].control = vmi__checked_write_anything();
}

void vmi__checked_watch_leave(struct vmi__flavour_frame *frame)
{
    uint32_t cpu = vmi__flavour_cpu() % VMI__CHECKED_CPUS;

    if (writing[cpu].frame != frame)
        return;
    writing[cpu].frame = 0;
    vmi__checked_as_before(writing[cpu].control);
    if (writing[cpu].descriptor)
        vmi__table_accessed(writing[cpu].descriptor, 8);
    if (writing[cpu].gates && vmi__checked_take(cpu, true)) {
        front(writing[cpu].gates, (VECTOR_PAGE_FAULT + 1) * 4 * GATE_WORDS);
        vmi__checked_give();
    }
    if (writing[cpu].interrupts)
        frame->flags |= VMI__FLAG_INTERRUPT;
}

/* ---- the fault ---- */

/* A store to a frame that is read-only, by the instruction at `from`. Of gates it is remembered,
 * for they may be announced yet. */
static void name(uintptr_t from, uintptr_t address, uintptr_t pfn)
{
    struct vmi__table *table = vmi__table_on(pfn);
    struct vmi__finding finding;

    if (vmi__table_of_pages(pfn)) {
        vmi__found(&finding, "a page table was stored to", "address", address, "frame", pfn);
        vmi__checked_stored(&vmi__checked_store_entries_by_calls, &finding, from);
    } else if (table->kind == VMI__TABLE_IDT) {
        if (address - table->base < table->bytes)
            vmi__idt_stored(table->base, from);
        else
            vmi__table_forget(table); /* a page that has other things, too */
    } else {
        vmi__found(&finding,
                   table->kind == VMI__TABLE_GDT ? "a page of a GDT that is loaded was stored to"
                                                 : "a page of an LDT that is loaded was stored to",
                   "address", address, "table", table->base);
        vmi__checked_stored(&vmi__checked_store_descriptors_by_calls, &finding, from);
    }
    if (vmi__checked_opened < OPENED_MOST)
        opened[vmi__checked_opened++] = pfn;
}

VMI__ROUTINE void vmi__checked_page_fault(uint32_t nothing, struct vmi__flavour_frame *frame)
{
    enum vmi__fault_kind kind;
    uintptr_t address, pfn;

    (void)nothing;
    __asm__ volatile("cli\n\tmov %%cr2, %0" : "=r"(address) : : "memory");
    kind = vmi__checked_fault_kind(address, &pfn);
    /* What the boot tables have read-only, and is no table: code and constants. */
    if (kind == VMI__FAULT_OTHER || (kind == VMI__FAULT_CLOSED && !vmi__table_closed(pfn)))
        return;
    if (kind == VMI__FAULT_CLOSED) {
        if (vmi__checked_take(vmi__flavour_cpu() % VMI__CHECKED_CPUS, false)) {
            name(frame->stack[2], address, pfn);
            vmi__checked_give();
        }
        vmi__checked_let(pfn, true);
    }
    vmi__checked_drop(address);
    frame->stack[0] = 0;
}
