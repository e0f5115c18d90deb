/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Page tables and TLB, seen through real accesses. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "threads.h"
#include "x86.h"

extern const char vmi_image_start[], vmi_rodata_end[];

/* The first word of a page. */
static volatile uint32_t *word_at(uintptr_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static void translation(void)
{
    uint32_t count = 0;

    for (uint32_t pfn = 1; pfn < checks_boot_info->linear_pages; pfn += 97) {
        uint64_t machine = vmi_physical_to_machine(pte_value(pfn, PTE_PRESENT));
        if (!(machine & PTE_PRESENT))
            continue; /* a hole in guest-physical memory */
        EXPECT_EQUAL(machine & (PAGE_SIZE - 1), PTE_PRESENT);
        EXPECT_EQUAL(vmi_machine_to_physical(machine), pte_value(pfn, PTE_PRESENT));
        count++;
    }
    EXPECT(count > 0);
}

static void text_read_only(void)
{
    uint32_t value;
    struct fault fault;

    EXPECT(attempt_read((uintptr_t)vmi_image_start, &value, NULL));
    EXPECT(!attempt_write((uintptr_t)vmi_image_start, value, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_WRITE), FAULT_PRESENT | FAULT_WRITE);
    EXPECT(!attempt_write((uintptr_t)vmi_rodata_end - 4, 0, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
}

static void entry_read_back(void)
{
    uint32_t pfn = frame_allocate_zeroed();
    EXPECT(pfn != FRAME_NONE);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    uint64_t entry = window_read(MAP_WINDOW);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(pfn);
    EXPECT_EQUAL(pte_frame(entry), pfn);
    EXPECT_EQUAL(entry & (PTE_PRESENT | PTE_WRITE | PTE_USER), PTE_PRESENT | PTE_WRITE);
    EXPECT_EQUAL(window_read(MAP_WINDOW), 0);
}

static void unmapped(void)
{
    uint32_t pfn = frame_allocate_zeroed(), value;
    struct fault fault;

    EXPECT(pfn != FRAME_NONE);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    bool before = attempt_read(MAP_WINDOW, &value, NULL);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    bool after = attempt_read(MAP_WINDOW, &value, &fault);
    frame_release(pfn);
    EXPECT(before);
    EXPECT(!after);
    EXPECT_EQUAL(fault.address, MAP_WINDOW);
}

/* Maps one frame, reads it, maps another in its place, flushes as asked, reads that one. */
static void remap(void (*flush)(void))
{
    uint32_t first = frame_allocate(), second = frame_allocate();

    EXPECT(first != FRAME_NONE && second != FRAME_NONE);
    *(volatile uint32_t *)frame_address(first) = 1;
    *(volatile uint32_t *)frame_address(second) = 2;
    uint32_t flags = interrupts_mask(); /* a switch of threads might flush as well */
    window_map(MAP_WINDOW, first, WINDOW_PAGE);
    uint32_t found_first = *word_at(MAP_WINDOW);
    window_map(MAP_WINDOW, second, WINDOW_PAGE);
    flush();
    uint32_t found_second = *word_at(MAP_WINDOW);
    *word_at(MAP_WINDOW) = 3;
    window_map(MAP_WINDOW, 0, 0);
    flush();
    interrupts_restore(flags);
    uint32_t written = *(volatile uint32_t *)frame_address(second);
    frame_release(first);
    frame_release(second);

    EXPECT_EQUAL(found_first, 1);
    EXPECT_EQUAL(found_second, 2);
    EXPECT_EQUAL(written, 3);
}

static void flush_page(void)
{
    vmi_inval_page(MAP_WINDOW + 0x123);
}

static void inval_page(void)
{
    remap(flush_page);
}

static void flush_all(void)
{
    vmi_flush_tlb(VMI_FLUSH_TLB);
}

static void flush_tlb(void)
{
    remap(flush_all);
}

static void flush_global(void)
{
    vmi_flush_tlb(VMI_FLUSH_TLB | VMI_FLUSH_GLOBAL);
}

static void flush_tlb_global(void)
{
    remap(flush_global);
}

static void reload_root(void)
{
    aspace_load(&kernel_aspace);
}

static void set_cr3(void)
{
    remap(reload_root);
}

static void protection(void)
{
    uint32_t pfn = frame_allocate_zeroed();
    struct fault fault;

    EXPECT(pfn != FRAME_NONE);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    bool writable = attempt_write(MAP_WINDOW, 1, NULL);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE & ~PTE_WRITE);
    vmi_inval_page(MAP_WINDOW);
    bool read_only = !attempt_write(MAP_WINDOW, 2, &fault);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    vmi_inval_page(MAP_WINDOW);
    bool writable_again = attempt_write(MAP_WINDOW, 3, NULL);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(pfn);
    EXPECT(writable);
    EXPECT(read_only);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_WRITE), FAULT_PRESENT | FAULT_WRITE);
    EXPECT(writable_again);
}

/* Frames that lazy_mode() maps. */
static uint32_t frames[MAP_WINDOW_PAGES];

static uintptr_t page_address(uintptr_t page)
{
    return MAP_WINDOW + (page << PAGE_SHIFT);
}

/*
 * Maps all pages of the window in lazy mode, reads and writes through them, and unmaps them the
 * same way.
 */
static void lazy_mode(void)
{
    uint32_t wrong = 0;
    bool short_of_memory = false;

    for (uint32_t i = 0; i < MAP_WINDOW_PAGES; i++) {
        frames[i] = frame_allocate();
        if (frames[i] == FRAME_NONE)
            short_of_memory = true;
        else
            *(volatile uint32_t *)frame_address(frames[i]) = i;
    }
    if (!short_of_memory) {
        /* Nobody else's page-table updates belong into this batch. */
        uint32_t flags = interrupts_mask();
        vmi_set_lazy_mode(VMI_LAZY_MMU);
        for (uint32_t i = 0; i < MAP_WINDOW_PAGES; i++)
            window_map(page_address(i), frames[i], WINDOW_PAGE);
        vmi_set_lazy_mode(VMI_LAZY_NONE);
        for (uint32_t i = 0; i < MAP_WINDOW_PAGES; i++) {
            wrong += *word_at(page_address(i)) != i;
            *word_at(page_address(i)) = ~i;
        }
        vmi_set_lazy_mode(VMI_LAZY_MMU);
        for (uint32_t i = 0; i < MAP_WINDOW_PAGES; i++)
            window_map(page_address(i), 0, 0);
        vmi_set_lazy_mode(VMI_LAZY_NONE);
        vmi_flush_tlb(VMI_FLUSH_TLB);
        interrupts_restore(flags);
    }
    for (uint32_t i = 0; i < MAP_WINDOW_PAGES; i++) {
        if (frames[i] == FRAME_NONE)
            continue;
        if (!short_of_memory)
            wrong += *(volatile uint32_t *)frame_address(frames[i]) != ~i;
        frame_release(frames[i]);
    }
    EXPECT(!short_of_memory);
    EXPECT_EQUAL(wrong, 0);
}

static void demand_zero(void)
{
    uint32_t before = frames_free(), wrong = 0;
    const uint32_t pages = 8;

    EXPECT_EQUAL(window_read(DEMAND_WINDOW), 0);
    for (uint32_t i = 0; i < pages; i++)
        wrong += *word_at(DEMAND_WINDOW + (i << PAGE_SHIFT) + 0x40) != 0;
    uint32_t taken = before - frames_free();
    for (uint32_t i = 0; i < pages; i++)
        *word_at(DEMAND_WINDOW + (i << PAGE_SHIFT) + 0x40) = i + 1;
    for (uint32_t i = 0; i < pages; i++) {
        wrong += *word_at(DEMAND_WINDOW + (i << PAGE_SHIFT) + 0x40) != i + 1;
        paging_kernel_discard(DEMAND_WINDOW + (i << PAGE_SHIFT));
    }
    EXPECT_EQUAL(wrong, 0);
    EXPECT_EQUAL(taken, pages);
    EXPECT_EQUAL(frames_free(), before);
}

/* Address spaces come and go without a trace; what a table held is plain memory again. */
static void release(void)
{
    uint32_t before = frames_free();

    for (int round = 0; round < 4; round++) {
        struct aspace aspace;
        EXPECT(aspace_create(&aspace));
        uint64_t *entry = aspace_entry(&aspace, USER_DATA, true);
        uint32_t pfn = frame_allocate();
        EXPECT(entry != NULL && pfn != FRAME_NONE);
        pte_write(&aspace, entry, USER_DATA, pte_value(pfn, PTE_PRESENT | PTE_WRITE | PTE_USER));
        aspace_destroy(&aspace);
        EXPECT_EQUAL(frames_free(), before);
    }

    uint32_t pfn = frame_allocate_zeroed();
    EXPECT(pfn != FRAME_NONE);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    vmi_release_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE);
    bool writable = attempt_write((uintptr_t)frame_address(pfn), 1, NULL);
    frame_release(pfn);
    EXPECT(writable);
}

/* A second mapping of memory is made known and forgotten again. */
static void linear_mapping(void)
{
    NEEDS(SET_LINEAR_MAPPING);
    uint32_t pfn = frame_allocate_zeroed();
    EXPECT(pfn != FRAME_NONE);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    vmi_set_linear_mapping(1, MAP_WINDOW, 1, pfn);
    *word_at(MAP_WINDOW) = 7;
    uint32_t found = *(volatile uint32_t *)frame_address(pfn);
    vmi_set_linear_mapping(1, 0, 0, 0);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(pfn);
    EXPECT_EQUAL(found, 7);
}

const struct check checks_paging[] = {
    {"paging.translation", translation},
    {"paging.text_read_only", text_read_only},
    {"paging.entry_read_back", entry_read_back},
    {"paging.unmapped", unmapped},
    {"paging.inval_page", inval_page},
    {"paging.flush_tlb", flush_tlb},
    {"paging.flush_tlb_global", flush_tlb_global},
    {"paging.set_cr3", set_cr3},
    {"paging.protection", protection},
    {"paging.lazy_mode", lazy_mode},
    {"paging.demand_zero", demand_zero},
    {"paging.release", release},
    {"paging.linear_mapping", linear_mapping},
    {NULL, NULL},
};
