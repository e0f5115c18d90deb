/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Address spaces on x86-64. The upper half of every root is the same: the library's (direct map,
 * image, devices), copied as it stands from the boot tables, and one entry of the kernel's own for
 * its windows. In the lower half entry 0 leads to what belongs to a process. Where the hypervisor
 * wants it, a process has a second root with that entry alone, which is in force in ring 3.
 */
#include <stddef.h>

#include "current.h"
#include "frames.h"
#include "identifiers.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "panic.h"
#include "string.h"
#include "x86.h"

#define KERNEL_SLOTS  (PTE_ENTRIES / 2) /* from here on */
#define USER_SLOT     0
#define POINTER_SHIFT 30

static bool user_roots;

uintptr_t aspace_cr3(const struct aspace *aspace)
{
    return (uintptr_t)aspace->root << PAGE_SHIFT;
}

void aspace_load(const struct aspace *aspace)
{
    uintptr_t user = (uintptr_t)aspace->user << PAGE_SHIFT;

    if (!identifiers_on) {
        vmi_set_cr3(aspace_cr3(aspace), user);
        return;
    }
    uint32_t flags = interrupts_mask();
    uintptr_t kernel = __atomic_load_n(&kernel_aspace.version, __ATOMIC_ACQUIRE);
    uintptr_t version = aspace == &kernel_aspace ? kernel : aspace->version;
    vmi_set_cr3(aspace_cr3(aspace) | identifiers_choose(cpu_current(), version, kernel), user);
    interrupts_restore(flags);
}

/* A root that has the upper half of another. */
static uint32_t new_root(uint32_t from)
{
    uint32_t pfn = frame_allocate_zeroed();

    if (pfn == FRAME_NONE)
        return pfn;
    memcpy(table_entry(pfn, KERNEL_SLOTS), table_entry(from, KERNEL_SLOTS),
           KERNEL_SLOTS * sizeof(uint64_t));
    vmi_allocate_page(pfn, VMI_PAGE_PML4 | VMI_PAGE_PAE | VMI_PAGE_CLONE, from, KERNEL_SLOTS,
                      KERNEL_SLOTS);
    return pfn;
}

void paging_init(const struct vmi_boot_info *boot)
{
    uint32_t root = new_root((uint32_t)(boot->boot_cr3 >> PAGE_SHIFT));
    uint32_t pointers = new_table(VMI_PAGE_PDP), directory = new_table(VMI_PAGE_PD);
    uint32_t pages = DEMAND_WINDOW_PAGES + MAP_WINDOW_PAGES;

    if (root == FRAME_NONE || pointers == FRAME_NONE || directory == FRAME_NONE)
        panic("no memory for the kernel's page tables");
    user_roots = boot->user_root != 0;
    paging_use_no_execute(boot);
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    for (uint32_t i = 0; i < pages / PTE_ENTRIES; i++) {
        uint32_t table = new_table(VMI_PAGE_PT);
        if (table == FRAME_NONE)
            panic("no memory for the kernel's page tables");
        entry_write(table_entry(directory, index_of(DEMAND_WINDOW, DIRECTORY_SHIFT) + i),
                    pte_value(table, TABLE_FLAGS), VMI_PAGE_PD);
    }
    entry_write(table_entry(pointers, index_of(DEMAND_WINDOW, POINTER_SHIFT)),
                pte_value(directory, TABLE_FLAGS), VMI_PAGE_PDP);
    entry_write(table_entry(root, index_of(DEMAND_WINDOW, ROOT_SHIFT)),
                pte_value(pointers, TABLE_FLAGS), VMI_PAGE_PML4);
    vmi_set_lazy_mode(VMI_LAZY_NONE);

    kernel_aspace.root = root;
    identifiers_renew(&kernel_aspace.version);
    aspace_load(&kernel_aspace);
    vmi_set_cr0(vmi_get_cr0() | CR0_WP);
}

bool aspace_create(struct aspace *aspace)
{
    uint32_t root = new_root(kernel_aspace.root);
    uint32_t user = user_roots ? new_table(VMI_PAGE_PML4) : FRAME_NONE;
    uint32_t pointers = new_table(VMI_PAGE_PDP), directory = new_table(VMI_PAGE_PD);

    if (root == FRAME_NONE || (user_roots && user == FRAME_NONE) || pointers == FRAME_NONE ||
        directory == FRAME_NONE) {
        if (root != FRAME_NONE)
            release_table(root, VMI_PAGE_PML4);
        if (user != FRAME_NONE)
            release_table(user, VMI_PAGE_PML4);
        if (pointers != FRAME_NONE)
            release_table(pointers, VMI_PAGE_PDP);
        if (directory != FRAME_NONE)
            release_table(directory, VMI_PAGE_PD);
        return false;
    }
    entry_write(table_entry(pointers, 0), pte_value(directory, TABLE_FLAGS), VMI_PAGE_PDP);
    entry_write(table_entry(root, USER_SLOT), pte_value(pointers, TABLE_FLAGS), VMI_PAGE_PML4);
    if (user_roots)
        entry_write(table_entry(user, USER_SLOT), pte_value(pointers, TABLE_FLAGS), VMI_PAGE_PML4);
    aspace->root = root;
    aspace->user = user;
    identifiers_renew(&aspace->version);
    return true;
}

void aspace_destroy(struct aspace *aspace)
{
    uint32_t pointers = pte_frame(pte_read(table_entry(aspace->root, USER_SLOT)));
    uint32_t directory = pte_frame(pte_read(table_entry(pointers, 0)));

    /*
     * From the roots down. What a released table holds is still there to be read until its frame is
     * given back.
     */
    release_table(aspace->root, VMI_PAGE_PML4);
    if (aspace->user != FRAME_NONE)
        release_table(aspace->user, VMI_PAGE_PML4);
    vmi_release_page(pointers, VMI_PAGE_PDP | VMI_PAGE_PAE);
    vmi_release_page(directory, VMI_PAGE_PD | VMI_PAGE_PAE);
    aspace_release_tables(directory);
    frame_release(directory);
    frame_release(pointers);
    aspace->root = FRAME_NONE;
}
