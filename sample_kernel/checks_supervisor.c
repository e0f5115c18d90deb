/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What the kernel may not do with pages of processes: execute them (SMEP), and access them but
 * between BeginUserAccess and EndUserAccess (SMAP). */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "supervisor.h"
#include "traps.h"
#include "x86.h"

#define RETURN 0xc3 /* the instruction */
#define WORD   0x5eedd00d

#define NEEDS_PREVENTION(bit, name)                                                                \
    do {                                                                                           \
        if (!(supervisor_prevention() & (bit))) {                                                  \
            ktap_skip(name " is off: the processor has none, or this is i386");                    \
            return;                                                                                \
        }                                                                                          \
        EXPECT(vmi_get_cr4() & (bit));                                                             \
    } while (0)

/* A page of ring 3 in the kernel's window. */
static uint32_t map_user_page(uint32_t first_word)
{
    uint32_t pfn = frame_allocate();

    if (pfn == FRAME_NONE)
        return pfn;
    *(volatile uint32_t *)frame_address(pfn) = first_word;
    window_map(MAP_WINDOW, pfn, PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY);
    vmi_inval_page(MAP_WINDOW);
    return pfn;
}

static void unmap_user_page(uint32_t pfn)
{
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(pfn);
}

static void FROM_ASSEMBLY execute(void *argument)
{
    ((void (*)(void))argument)();
}

static void supervisor_execution(void)
{
    struct fault fault;

    NEEDS_PREVENTION(CR4_SMEP, "SMEP");
    uint32_t pfn = map_user_page(RETURN);
    EXPECT(pfn != FRAME_NONE);
    EXPECT(!attempt(execute, (void *)MAP_WINDOW, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.address, MAP_WINDOW);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_FETCH | FAULT_USER | FAULT_WRITE),
                 FAULT_PRESENT | FAULT_FETCH);
    unmap_user_page(pfn);
}

/* Both kinds of access must fault, on a page that is there. */
static void expect_access_faults(void)
{
    uint32_t value;
    struct fault fault;

    EXPECT(!attempt_read(MAP_WINDOW, &value, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.address, MAP_WINDOW);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_USER | FAULT_WRITE), FAULT_PRESENT);
    EXPECT(!attempt_write(MAP_WINDOW, 0, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_USER | FAULT_WRITE),
                 FAULT_PRESENT | FAULT_WRITE);
}

static void supervisor_access(void)
{
    NEEDS_PREVENTION(CR4_SMAP, "SMAP");
    uint32_t pfn = map_user_page(WORD);
    EXPECT(pfn != FRAME_NONE);
    expect_access_faults();
    vmi_begin_user_access();
    uint32_t read = *(volatile uint32_t *)MAP_WINDOW;
    *(volatile uint32_t *)MAP_WINDOW = WORD + 1;
    vmi_end_user_access();
    EXPECT_EQUAL(read, WORD);
    EXPECT_EQUAL(*(volatile uint32_t *)frame_address(pfn), WORD + 1);
    expect_access_faults();
    unmap_user_page(pfn);
}

static volatile bool handler_could_read;

static void try_in_handler(struct trap_frame *frame)
{
    uint32_t value;

    handler_could_read = attempt_read(MAP_WINDOW, &value, NULL);
    frame->ip += 2; /* over UD2 */
}

/* A handler does not have the access that the code has which it came between. */
static void supervisor_access_in_handler(void)
{
    NEEDS_PREVENTION(CR4_SMAP, "SMAP");
    uint32_t pfn = map_user_page(WORD);
    EXPECT(pfn != FRAME_NONE);
    trap_handler *previous = trap_handler_set(TRAP_INVALID_OPCODE, try_in_handler);
    handler_could_read = true;
    vmi_begin_user_access();
    __asm__ volatile("ud2" : : : "memory");
    uint32_t read = *(volatile uint32_t *)MAP_WINDOW;
    vmi_end_user_access();
    trap_handler_set(TRAP_INVALID_OPCODE, previous);
    EXPECT(!handler_could_read);
    EXPECT_EQUAL(read, WORD);
    unmap_user_page(pfn);
}

const struct check checks_supervisor[] = {
    {"protection.supervisor_execution", supervisor_execution},
    {"protection.supervisor_access", supervisor_access},
    {"protection.supervisor_access_in_handler", supervisor_access_in_handler},
    {NULL, NULL},
};
