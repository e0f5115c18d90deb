/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Segments that are put to use by loading them: their bases reach the first 4 GiB only. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "lock.h"
#include "x86.h"

static void load_segment(void *argument)
{
    const uint32_t *selector = argument;

    __asm__ volatile("mov %0, %%fs\n\t"
                     "mov %1, %%fs"
                     :
                     : "r"(*selector), "r"(0)
                     : "memory");
}

/* Whether a selector can be loaded. A switch of threads would not keep FS. */
static bool loads(uint32_t selector)
{
    uint32_t flags = interrupts_mask();
    bool done = attempt(load_segment, &selector, NULL);

    interrupts_restore(flags);
    return done;
}

static void write_gdt_entry(void)
{
    struct vmi_dtr gdt = descriptors_gdt();

    NEEDS(WRITE_GDT_ENTRY);
    EXPECT(!loads(SELECTOR(GDT_SCRATCH, RPL_USER)));
    vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, descriptor_data(0x1000, 0xfff));
    EXPECT(loads(SELECTOR(GDT_SCRATCH, RPL_USER)));
    vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, 0);
    EXPECT(!loads(SELECTOR(GDT_SCRATCH, RPL_USER)));
}

const struct check checks_segments[] = {
    {"descriptors.write_gdt_entry", write_gdt_entry},
    {NULL, NULL},
};
