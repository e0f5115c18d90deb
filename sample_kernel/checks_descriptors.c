/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Descriptor tables: the registers read back, and entries that are put to use. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "layout.h"
#include "lock.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

#define PROBE 0x600df00d

static uint32_t probe = PROBE;
/* A page of its own: SetLDT may make it read-only. */
static struct descriptor ldt[PAGE_SIZE / sizeof(struct descriptor)]
    __attribute__((aligned(PAGE_SIZE)));

static void gdt_read_back(void)
{
    struct vmi_dtr wanted = descriptors_gdt(), found = {0};

    NEEDS(GET_GDT);
    vmi_get_gdt(&found);
    EXPECT_EQUAL(found.base, wanted.base);
    EXPECT_EQUAL(found.limit, wanted.limit);
}

static void idt_read_back(void)
{
    struct vmi_dtr wanted = descriptors_idt(), found = {0};

    NEEDS(GET_IDT);
    vmi_get_idt(&found);
    EXPECT_EQUAL(found.base, wanted.base);
    EXPECT_EQUAL(found.limit, wanted.limit);
}

static void task_register_read_back(void)
{
    NEEDS(GET_TR);
    EXPECT_EQUAL(vmi_get_tr(), tss_selector(0));
}

/* Loads FS with a selector and reads the first word of the segment. */
static void __attribute__((regparm(3))) read_segment(void *argument)
{
    uint32_t *selector = argument, value;
    __asm__ volatile("movl %1, %%fs\n\t"
                     "movl %%fs:0, %0\n\t"
                     "movl %2, %%fs"
                     : "=&r"(value)
                     : "r"(*selector), "r"(0)
                     : "memory");
    *selector = value;
}

/*
 * The word at the start of a segment, or 0 if that faults. A switch of threads would not keep FS.
 */
static uint32_t segment_word(uint32_t selector)
{
    uint32_t flags = interrupts_mask();
    bool done = attempt(read_segment, &selector, NULL);
    interrupts_restore(flags);
    return done ? selector : 0;
}

static void write_gdt_entry(void)
{
    struct vmi_dtr gdt = descriptors_gdt();
    struct descriptor entry = descriptor_data((uint32_t)(uintptr_t)&probe, sizeof(probe) - 1);

    NEEDS(WRITE_GDT_ENTRY);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), 0);
    vmi_write_gdt_entry((void *)(uintptr_t)gdt.base, GDT_SCRATCH, entry.low, entry.high);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), PROBE);
    vmi_write_gdt_entry((void *)(uintptr_t)gdt.base, GDT_SCRATCH, 0, 0);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), 0);
}

static void local_table(void)
{
    struct vmi_dtr gdt = descriptors_gdt();
    struct descriptor table = descriptor_ldt((uint32_t)(uintptr_t)ldt, 2 * sizeof(ldt[0]) - 1);
    struct descriptor entry = descriptor_data((uint32_t)(uintptr_t)&probe, sizeof(probe) - 1);

    NEEDS(SET_LDT);
    NEEDS(WRITE_LDT_ENTRY);
    ldt[0] = entry;
    vmi_write_gdt_entry((void *)(uintptr_t)gdt.base, GDT_LDT, table.low, table.high);
    vmi_set_ldt(SELECTOR(GDT_LDT, 0));
    if (call_unsupported(VMI_ORDINAL_GET_LDT) == NULL)
        EXPECT_EQUAL(vmi_get_ldt(), SELECTOR(GDT_LDT, 0));
    EXPECT_EQUAL(segment_word(SELECTOR(0, RPL_USER) | SELECTOR_LDT), PROBE);
    EXPECT_EQUAL(segment_word(SELECTOR(1, RPL_USER) | SELECTOR_LDT), 0);
    vmi_write_ldt_entry(ldt, 1, entry.low, entry.high);
    EXPECT_EQUAL(segment_word(SELECTOR(1, RPL_USER) | SELECTOR_LDT), PROBE);
    vmi_set_ldt(0);
    EXPECT_EQUAL(segment_word(SELECTOR(0, RPL_USER) | SELECTOR_LDT), 0);
}

static volatile uint32_t taken_as;

static void note_vector(struct trap_frame *frame)
{
    taken_as = frame->vector;
    vmi_end_of_interrupt(VECTOR_CHECK);
}

/*
 * The gate of one vector is led to the entry point of another one, which shows in the number that
 * is pushed there.
 */
static void write_idt_entry(void)
{
    struct vmi_dtr idt = descriptors_idt();
    const uint32_t other = VECTOR_CHECK + 0x20;
    uint32_t entries = (uint32_t)(uintptr_t)trap_entries;
    struct descriptor detour = descriptor_gate(entries + other * TRAP_ENTRY_SIZE, 0);
    struct descriptor straight = descriptor_gate(entries + VECTOR_CHECK * TRAP_ENTRY_SIZE, 0);

    NEEDS(WRITE_IDT_ENTRY);
    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, note_vector);
    trap_handler_set(other, note_vector);

    vmi_write_idt_entry((void *)(uintptr_t)idt.base, VECTOR_CHECK, detour.low, detour.high);
    EXPECT_EQUAL(vmi_send_ipi(1, 0, VECTOR_CHECK), VMI_OK);
    EXPECT(wait_for(&taken_as, PATIENCE_MILLISECONDS));
    EXPECT_EQUAL(taken_as, other);

    taken_as = 0;
    vmi_write_idt_entry((void *)(uintptr_t)idt.base, VECTOR_CHECK, straight.low, straight.high);
    EXPECT_EQUAL(vmi_send_ipi(1, 0, VECTOR_CHECK), VMI_OK);
    EXPECT(wait_for(&taken_as, PATIENCE_MILLISECONDS));
    EXPECT_EQUAL(taken_as, VECTOR_CHECK);
}

const struct check checks_descriptors[] = {
    {"descriptors.gdt_read_back", gdt_read_back},
    {"descriptors.idt_read_back", idt_read_back},
    {"descriptors.task_register_read_back", task_register_read_back},
    {"descriptors.write_gdt_entry", write_gdt_entry},
    {"descriptors.write_idt_entry", write_idt_entry},
    {"descriptors.local_table", local_table},
    {NULL, NULL},
};
