/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>

#include "current.h"
#include "frames.h"
#include "identifiers.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "x86.h"

/* Addresses that a page table covers. */
#define TABLE_SPAN (1u << DIRECTORY_SHIFT)

struct aspace kernel_aspace;

/* Guards the entries of the demand-zero window. */
static struct spinlock window_lock;

void pte_write(struct aspace *aspace, uint64_t *entry, uintptr_t address, uint64_t value)
{
    bool lost = identifiers_on && *(const volatile uint64_t *)entry & PTE_PRESENT;
    uintptr_t flags = VMI_PAGE_PT;
    /* The kernel's part is in every address space. */
    if (aspace == &kernel_aspace || aspace == thread_current()->aspace)
        flags |= VMI_PXE_CURRENT_AS | (address & ~(uintptr_t)(PAGE_SIZE - 1));
    entry_write(entry, value, flags);
    if (lost)
        identifiers_renew(&aspace->version);
}

/* From the root's entry down to the one that maps an address, through tables that are there. */
uint64_t *aspace_entry(const struct aspace *aspace, uintptr_t address, bool create)
{
    uint32_t table = aspace->root, kind = ROOT_KIND;

    for (uint32_t shift = ROOT_SHIFT; shift > PAGE_SHIFT; shift -= LEVEL_BITS) {
        uint64_t *entry = table_entry(table, index_of(address, shift));
        uint64_t value = pte_read(entry);

        if (!(value & PTE_PRESENT)) {
            /* Only page tables come later: what is above was made with the address space. */
            uint32_t pfn = create && shift == DIRECTORY_SHIFT ? new_table(VMI_PAGE_PT) : FRAME_NONE;
            if (pfn == FRAME_NONE)
                return NULL;
            value = pte_value(pfn, TABLE_FLAGS);
            entry_write(entry, value, kind);
        }
        table = pte_frame(value);
        kind >>= 1;
    }
    return table_entry(table, index_of(address, PAGE_SHIFT));
}

void aspace_visit(const struct aspace *aspace, aspace_visitor *visit, void *context)
{
    for (uintptr_t address = 0; address < USER_END; address += TABLE_SPAN) {
        uint64_t *table = aspace_entry(aspace, address, false);
        for (uint32_t i = 0; table != NULL && i < PTE_ENTRIES; i++)
            if (pte_read(&table[i]) & PTE_PRESENT)
                visit(address + ((uintptr_t)i << PAGE_SHIFT), &table[i], context);
    }
}

void window_map(uintptr_t address, uint32_t pfn, uint64_t flags)
{
    uint64_t *entry = aspace_entry(&kernel_aspace, address, false);
    uint64_t value = flags & PTE_PRESENT ? pte_value(pfn, flags) : 0;
    pte_write(&kernel_aspace, entry, address, value);
}

uint64_t window_read(uintptr_t address)
{
    return pte_read(aspace_entry(&kernel_aspace, address, false));
}

bool paging_kernel_fault(uintptr_t address, uint32_t error)
{
    if (address - DEMAND_WINDOW >= (uintptr_t)DEMAND_WINDOW_PAGES << PAGE_SHIFT ||
        error & (FAULT_PRESENT | FAULT_USER))
        return false;

    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        return false;
    uint32_t flags = lock_acquire(&window_lock);
    if (window_read(address) & PTE_PRESENT)
        frame_release(pfn); /* another CPU was faster */
    else
        window_map(address, pfn, KERNEL_PAGE | PTE_WRITE | pte_no_execute);
    lock_release(&window_lock, flags);
    return true;
}

void paging_kernel_discard(uintptr_t address)
{
    uint32_t flags = lock_acquire(&window_lock);
    uint64_t page = window_read(address);
    window_map(address, 0, 0);
    lock_release(&window_lock, flags);
    vmi_inval_page(address);
    frame_release(pte_frame(page));
}
