/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "tables.h"

#include <vmi/vmi.h>

#include "frames.h"
#include "x86.h"

uint64_t pte_value(uint32_t pfn, uint64_t flags)
{
    return (uint64_t)pfn << PAGE_SHIFT | flags;
}

uint32_t pte_frame(uint64_t pte)
{
    return (uint32_t)((pte & PTE_FRAME) >> PAGE_SHIFT);
}

uint64_t pte_read(const uint64_t *entry)
{
    uint64_t machine = *(const volatile uint64_t *)entry;
    return machine & PTE_PRESENT ? vmi_machine_to_physical(machine) : 0;
}

uint32_t new_table(uint32_t kind)
{
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn != FRAME_NONE)
        vmi_allocate_page(pfn, kind | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    return pfn;
}

void release_table(uint32_t pfn, uint32_t kind)
{
    vmi_release_page(pfn, kind | VMI_PAGE_PAE);
    frame_release(pfn);
}

uint32_t index_of(uintptr_t address, uint32_t shift)
{
    return (uint32_t)(address >> shift) & (PTE_ENTRIES - 1);
}

uint64_t *table_entry(uint32_t pfn, uint32_t index)
{
    return (uint64_t *)frame_address(pfn) + index;
}

void aspace_release_tables(uint32_t directory)
{
    for (uint32_t i = 0; i < PTE_ENTRIES; i++) {
        uint64_t table = pte_read(table_entry(directory, i));
        if (!(table & PTE_PRESENT))
            continue;
        vmi_release_page(pte_frame(table), VMI_PAGE_PT | VMI_PAGE_PAE);
        for (uint32_t j = 0; j < PTE_ENTRIES; j++) {
            uint64_t page = pte_read(table_entry(pte_frame(table), j));
            if (page & PTE_PRESENT)
                frame_release(pte_frame(page));
        }
        frame_release(pte_frame(table));
    }
}
