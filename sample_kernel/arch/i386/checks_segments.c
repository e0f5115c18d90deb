/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Segments that are put to use by what they reach. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "lock.h"
#include "x86.h"

#define PROBE 0x600df00d

static uint32_t probe = PROBE;
/* A page of its own: SetLDT may make it read-only. */
static struct descriptor ldt[PAGE_SIZE / sizeof(struct descriptor)]
    __attribute__((aligned(PAGE_SIZE)));

/* Loads FS with a selector and reads the first word of the segment. */
static void FROM_ASSEMBLY read_segment(void *argument)
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
    struct descriptor entry = descriptor_data((uintptr_t)&probe, sizeof(probe) - 1);

    NEEDS(WRITE_GDT_ENTRY);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), 0);
    vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, entry.low, entry.high);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), PROBE);
    vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, 0, 0);
    EXPECT_EQUAL(segment_word(SELECTOR(GDT_SCRATCH, RPL_USER)), 0);
}

static void local_table(void)
{
    struct vmi_dtr gdt = descriptors_gdt();
    struct descriptor table = descriptor_ldt((uintptr_t)ldt, 2 * sizeof(ldt[0]) - 1);
    struct descriptor entry = descriptor_data((uintptr_t)&probe, sizeof(probe) - 1);

    NEEDS(SET_LDT);
    NEEDS(WRITE_LDT_ENTRY);
    ldt[0] = entry;
    vmi_write_gdt_entry((void *)gdt.base, GDT_LDT, table.low, table.high);
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

const struct check checks_segments[] = {
    {"descriptors.write_gdt_entry", write_gdt_entry},
    {"descriptors.local_table", local_table},
    {NULL, NULL},
};

/* All ways into this kernel are gates. */
const struct check checks_entries_cpus[] = {{NULL, NULL}};
