/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Descriptor tables: the registers read back, and entries that are put to use. */
#include <stddef.h>

#include "checks.h"
#include "cpus.h"
#include "descriptors.h"
#include "entry.h"
#include "layout.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

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
    uintptr_t entries = (uintptr_t)trap_entries;
    struct descriptor detour = descriptor_gate(entries + other * TRAP_ENTRY_SIZE, 0);
    struct descriptor straight = descriptor_gate(entries + VECTOR_CHECK * TRAP_ENTRY_SIZE, 0);

    NEEDS(WRITE_IDT_ENTRY);
    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, note_vector);
    trap_handler_set(other, note_vector);

    vmi_write_idt_entry((void *)idt.base, VECTOR_CHECK, detour.low, detour.high);
    EXPECT_EQUAL(cpus_interrupt(1, VECTOR_CHECK), VMI_OK);
    EXPECT(wait_for(&taken_as, PATIENCE_MILLISECONDS));
    EXPECT_EQUAL(taken_as, other);

    taken_as = 0;
    vmi_write_idt_entry((void *)idt.base, VECTOR_CHECK, straight.low, straight.high);
    EXPECT_EQUAL(cpus_interrupt(1, VECTOR_CHECK), VMI_OK);
    EXPECT(wait_for(&taken_as, PATIENCE_MILLISECONDS));
    EXPECT_EQUAL(taken_as, VECTOR_CHECK);
}

const struct check checks_descriptors[] = {
    {"descriptors.gdt_read_back", gdt_read_back},
    {"descriptors.idt_read_back", idt_read_back},
    {"descriptors.task_register_read_back", task_register_read_back},
    {"descriptors.write_idt_entry", write_idt_entry},
    {NULL, NULL},
};
