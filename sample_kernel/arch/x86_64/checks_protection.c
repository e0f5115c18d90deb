/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel may not do with pages of ring 3. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "x86.h"

#define RETURN 0xc3 /* the instruction */

static FROM_ASSEMBLY void execute(void *argument)
{
    ((void (*)(void))argument)();
}

/* A page of ring 3 that can be executed there is none of the kernel's code. */
static void supervisor_execution(void)
{
    uint32_t highest, features = 0, ignored;

    vmi_cpuid(0, 0, &highest, &ignored, &ignored, &ignored);
    if (highest >= 7)
        vmi_cpuid(7, 0, &ignored, &features, &ignored, &ignored);
    if (!(features & CPUID_7_EBX_SMEP)) {
        ktap_skip("this processor has no SMEP");
        return;
    }
    EXPECT(vmi_get_cr4() & CR4_SMEP);
    uint32_t pfn = frame_allocate();
    EXPECT(pfn != FRAME_NONE);
    *(volatile uint8_t *)frame_address(pfn) = RETURN;
    window_map(MAP_WINDOW, pfn, PTE_PRESENT | PTE_USER | PTE_ACCESSED);
    vmi_inval_page(MAP_WINDOW);
    struct fault fault;
    EXPECT(!attempt(execute, (void *)MAP_WINDOW, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_FETCH | FAULT_USER),
                 FAULT_PRESENT | FAULT_FETCH);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(pfn);
}

const struct check checks_protection[] = {
    {"protection.supervisor_execution", supervisor_execution},
    {NULL, NULL},
};
