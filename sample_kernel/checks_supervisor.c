/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the processor has is on, or a line says why not. What the kernel may not do with pages of
 * processes: execute them (SMEP), and access them but between BeginUserAccess and EndUserAccess
 * (SMAP). What a process may not learn: where the kernel's tables are (UMIP).
 */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "supervisor.h"
#include "traps.h"
#include "x86.h"

#define RETURN 0xc3 /* the instruction */
#define WORD   0x5eedd00d

#define NEEDS_PREVENTION(bit, name)                                                                \
    do {                                                                                           \
        if (!(supervisor_wanted() & (bit))) {                                                      \
            ktap_skip(name " is not there, or not the kernel's: the lines # feature say it");      \
            return;                                                                                \
        }                                                                                          \
        EXPECT(vmi_get_cr4() & (bit));                                                             \
    } while (0)

/* What is there and off, and is not said to be left off, is named. */
static void features(void)
{
    uintptr_t there = supervisor_there(), missed = supervisor_wanted() & ~vmi_get_cr4();
    char names[64] = "";
    size_t used = 0;

    if (no_execute_there() && pte_no_execute == 0)
        used += format(names, sizeof(names), " nx");
    else if (no_execute_there())
        print("# feature nx: on\n");
    if (checks_boot_info->kernel_rpl != 0)
        there = 0; /* CR0 and CR4 are the hypervisor's */
    else if (vmi_get_cr0() & CR0_WP)
        print("# feature wp: on\n");
    else
        used += format(names + used, sizeof(names) - used, " wp");
    for (const struct supervisor_feature *each = supervisor_features; each->name != NULL; each++) {
        if (there & each->bit && each->why_off != NULL)
            print("# feature %s: there, left off: %s\n", each->name, each->why_off);
        else if (missed & each->bit)
            used += format(names + used, sizeof(names) - used, " %s", each->name);
        else if (there & each->bit)
            print("# feature %s: on\n", each->name);
    }
    if (used != 0)
        ktap_fail("there and off:%s", names);
}

/* The entry that maps an address of the kernel's. */
static uint64_t mapping(uintptr_t address)
{
    uint32_t table = kernel_aspace.root;

    for (uint32_t shift = ROOT_SHIFT;; shift -= LEVEL_BITS) {
        uint64_t entry = pte_read(table_entry(table, index_of(address, shift)));

        if (shift == PAGE_SHIFT || !(entry & PTE_PRESENT) ||
            (shift < ROOT_SHIFT && entry & PTE_LARGE))
            return entry;
        table = pte_frame(entry);
    }
}

/*
 * PGE is of use only if there are global translations: the library's of the image and of memory.
 * Those of the kernel's windows are none, as are those of processes.
 */
static void global_pages(void)
{
    NEEDS_PREVENTION(CR4_PGE, "PGE");
    EXPECT(mapping((uintptr_t)&checks_boot_info) & PTE_GLOBAL);
    EXPECT(mapping((uintptr_t)frame_address(kernel_aspace.root)) & PTE_GLOBAL);
}

/* A process that asks where the interrupt descriptor table is gets an exception. */
static void user_mode_instruction(void)
{
    struct process ended;
    struct process *process;

    NEEDS_PREVENTION(CR4_UMIP, "UMIP");
    process = process_start(&user_tables);
    EXPECT(process != NULL);
    process_reap(process, &ended);
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_PROTECTION);
}

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
    {"processor.features", features},
    {"paging.global", global_pages},
    {"processes.user_mode_instruction", user_mode_instruction},
    {"protection.supervisor_execution", supervisor_execution},
    {"protection.supervisor_access", supervisor_access},
    {"protection.supervisor_access_in_handler", supervisor_access_in_handler},
    {NULL, NULL},
};
