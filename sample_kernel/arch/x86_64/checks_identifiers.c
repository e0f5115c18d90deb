/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Process-context identifiers: what an address space has in the TLB is still there when it is
 * loaded again, and nothing of that is what it once was. Interrupts are masked throughout: a switch
 * of threads would load others.
 */
#include <stddef.h>

#include "checks.h"
#include "current.h"
#include "frames.h"
#include "identifiers.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "supervisor.h"
#include "x86.h"

#define PAGE         USER_DATA /* of both address spaces */
#define SPACES       2
#define FRAMES       3
#define ENTRY        (KERNEL_PAGE | PTE_WRITE)
#define CR3_CONTEXT  0xfffu
#define VALUE(frame) ((frame) + 1)

static struct {
    struct aspace spaces[SPACES];
    uint64_t *entries[SPACES];
    uint32_t frames[FRAMES];
} made;

/* Two address spaces whose page is one of two frames; each frame has a number of its own. */
static bool make(void)
{
    for (uint32_t i = 0; i < FRAMES; i++) {
        made.frames[i] = frame_allocate();
        if (made.frames[i] == FRAME_NONE)
            return false;
        *(volatile uint32_t *)frame_address(made.frames[i]) = VALUE(i);
    }
    for (uint32_t i = 0; i < SPACES; i++) {
        if (!aspace_create(&made.spaces[i]))
            return false;
        made.entries[i] = aspace_entry(&made.spaces[i], PAGE, true);
        if (made.entries[i] == NULL)
            return false;
    }
    return true;
}

/* The page of an address space is another frame: its version is another one. */
static void map(uint32_t space, uint32_t frame)
{
    pte_write(&made.spaces[space], made.entries[space], PAGE, pte_value(made.frames[frame], ENTRY));
}

static void unmake(void)
{
    for (uint32_t i = 0; i < SPACES; i++) {
        pte_write(&made.spaces[i], made.entries[i], PAGE, 0);
        aspace_destroy(&made.spaces[i]);
    }
    for (uint32_t i = 0; i < FRAMES; i++)
        frame_release(made.frames[i]);
}

static uint32_t read(uintptr_t address)
{
    return *(const volatile uint32_t *)address;
}

static uint32_t load_and_read(uint32_t space, uintptr_t address)
{
    aspace_load(&made.spaces[space]);
    return read(address);
}

/* Whether loading an address space keeps, and the page is that frame then. */
static bool finds(uint32_t space, uint32_t frame, bool keeps)
{
    uint32_t kept = identifiers_kept(cpu_current());

    return load_and_read(space, PAGE) == VALUE(frame) &&
           identifiers_kept(cpu_current()) - kept == keeps;
}

#define NEEDS_IDENTIFIERS()                                                                        \
    do {                                                                                           \
        if (!(supervisor_wanted() & CR4_PCIDE)) {                                                  \
            ktap_skip("PCID is not there, or not the kernel's: the lines # feature say it");       \
            return;                                                                                \
        }                                                                                          \
        EXPECT(vmi_get_cr4() & CR4_PCIDE);                                                         \
        EXPECT(make());                                                                            \
    } while (0)

/* What the kernel does by itself: aspace_load() keeps what it may, and no more. */
static void kept(void)
{
    NEEDS_IDENTIFIERS();
    map(0, 0);
    map(1, 1);
    uint32_t flags = interrupts_mask();
    bool first = finds(0, 0, false) && finds(1, 1, false);
    uintptr_t loaded = vmi_get_cr3();
    bool again = finds(0, 0, true) && finds(1, 1, true);
    bool same = vmi_get_cr3() == loaded && loaded & CR3_CONTEXT && !(loaded & CR3_KEEP);

    map(0, 2);
    bool elsewhere = finds(0, 2, false) && finds(1, 1, true) && finds(0, 2, true);

    map(0, 0);
    vmi_inval_page(PAGE);
    bool in_use = read(PAGE) == VALUE(0) && finds(1, 1, true) && finds(0, 0, false);

    window_map(MAP_WINDOW, made.frames[0], WINDOW_PAGE);
    bool window =
        load_and_read(0, MAP_WINDOW) == VALUE(0) && load_and_read(1, MAP_WINDOW) == VALUE(0);
    aspace_load(&kernel_aspace);
    window_map(MAP_WINDOW, made.frames[1], WINDOW_PAGE);
    vmi_inval_page(MAP_WINDOW);
    window = window && load_and_read(0, MAP_WINDOW) == VALUE(1) &&
             load_and_read(1, MAP_WINDOW) == VALUE(1);
    aspace_load(&kernel_aspace);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    interrupts_restore(flags);
    unmake();
    EXPECT(first);
    EXPECT(again);
    EXPECT(same);
    EXPECT(elsewhere);
    EXPECT(in_use);
    EXPECT(window);
}

/* The identifiers of the calls below, which aspace_load() does not use. */
#define CONTEXT 0x100

/* Loads an address space by an identifier of its own, as the calls say it. */
static uint32_t found(uint32_t space, uintptr_t keep)
{
    vmi_set_cr3(aspace_cr3(&made.spaces[space]) | (CONTEXT + space) | keep,
                (uintptr_t)made.spaces[space].user << PAGE_SHIFT);
    return read(PAGE);
}

static void drop_all(void)
{
    vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
}

static const struct vmi_invpcid first_space = {.pcid = CONTEXT, .address = PAGE};

static void drop_address(void)
{
    vmi_inval_pcid(VMI_INVPCID_ADDRESS, &first_space);
}

static void drop_context(void)
{
    vmi_inval_pcid(VMI_INVPCID_CONTEXT, &first_space);
}

static void drop_contexts(void)
{
    vmi_inval_pcid(VMI_INVPCID_ALL, &first_space);
}

/*
 * What the calls promise: each of these drops what an identifier has that is not in use. So does
 * SetCR3 without CR3_KEEP.
 */
static void dropped(void)
{
    static void (*const ways[])(void) = {drop_all, drop_address, drop_context, drop_contexts, NULL};
    uint32_t wrong = 0;

    NEEDS_IDENTIFIERS();
    map(1, 1);
    uint32_t flags = interrupts_mask();
    for (uint32_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        map(0, 0);
        wrong += found(0, 0) != VALUE(0);
        wrong += found(1, 0) != VALUE(1);
        map(0, 2);
        if (ways[i] != NULL)
            ways[i]();
        wrong += found(1, CR3_KEEP) != VALUE(1);
        wrong += found(0, ways[i] != NULL ? CR3_KEEP : 0) != VALUE(2);
        wrong += (vmi_get_cr3() & CR3_CONTEXT) != CONTEXT;
    }
    aspace_load(&kernel_aspace);
    interrupts_restore(flags);
    unmake();
    EXPECT_EQUAL(wrong, 0);
}

const struct check checks_identifiers[] = {
    {"paging.identifiers_kept", kept},
    {"paging.identifiers_dropped", dropped},
    {NULL, NULL},
};
