/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Address spaces on i386. The root has four entries of 1 GiB. Entry 0 leads to what belongs to a
 * process, entry 3 to the kernel. Each address space has a directory of its own for the top GiB,
 * cloned from the kernel's, for a hypervisor may insist on that; the tables below it are shared, so
 * a kernel mapping that is made once is there in all address spaces.
 */
#include <stddef.h>

#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "panic.h"
#include "string.h"
#include "x86.h"

#define KERNEL_SLOT 3 /* of the root */
#define USER_SLOT   0

/* From the linker script (docs/architecture.md, "Boot contract"). */
extern const char vmi_image_start[], vmi_text_end[], vmi_rodata_end[];

uintptr_t aspace_cr3(const struct aspace *aspace)
{
    return aspace->root << PAGE_SHIFT;
}

void aspace_load(const struct aspace *aspace)
{
    vmi_set_cr3(aspace_cr3(aspace));
}

/*
 * The top directory begins with what the boot tables have from virtual_end up: device mappings of
 * the library, or what a hypervisor keeps there. Copied as it stands in memory, so nothing is
 * translated.
 */
static uint32_t new_top_directory(const struct vmi_boot_info *boot)
{
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        return pfn;
    if (boot->virtual_end == 0) {
        vmi_allocate_page(pfn, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
        return pfn;
    }
    uint64_t boot_root = pte_read(table_entry(boot->boot_cr3 >> PAGE_SHIFT, KERNEL_SLOT));
    uint32_t boot_directory = pte_frame(boot_root);
    uint32_t first = index_of(boot->virtual_end, DIRECTORY_SHIFT);
    memcpy(table_entry(pfn, first), table_entry(boot_directory, first),
           (PTE_ENTRIES - first) * sizeof(uint64_t));
    vmi_allocate_page(pfn, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_CLONE, boot_directory, first,
                      PTE_ENTRIES - first);
    return pfn;
}

/*
 * Allocates the tables for a part of the kernel's space: their frames go to tables[] by index in
 * the directory.
 */
static void allocate_tables(uint32_t tables[PTE_ENTRIES], uintptr_t start, uint32_t pages)
{
    uint32_t first = index_of(start, DIRECTORY_SHIFT);
    uint32_t last = index_of(start + (pages << PAGE_SHIFT) - 1, DIRECTORY_SHIFT);

    for (uint32_t i = first; i <= last; i++) {
        tables[i] = new_table(VMI_PAGE_PT);
        if (tables[i] == FRAME_NONE)
            panic("no memory for the kernel's page tables");
    }
}

/* Maps the linear region's pages from `pfn` up to `end`, all with the same flags. */
static void map_run(const uint32_t tables[PTE_ENTRIES], const struct vmi_boot_info *boot,
                    uint32_t pfn, uint32_t end, uint64_t flags)
{
    uint64_t value = pte_value(pfn, flags);

    while (pfn < end) {
        uintptr_t address = boot->linear_base + (pfn << PAGE_SHIFT);
        uint32_t index = index_of(address, PAGE_SHIFT);
        uint64_t *table = table_entry(tables[index_of(address, DIRECTORY_SHIFT)], 0);

        for (; index < PTE_ENTRIES && pfn < end; index++, pfn++, value += PAGE_SIZE)
            entry_write(&table[index], value, VMI_PAGE_PT);
    }
}

static void map_linear(const uint32_t tables[PTE_ENTRIES], const struct vmi_boot_info *boot)
{
    /* Text and constants are read-only, for the kernel as well (CR0.WP); text alone is code. */
    uint32_t read_only = frame_of(vmi_image_start), text_end = frame_of(vmi_text_end);
    uint32_t read_only_end = frame_of(vmi_rodata_end + PAGE_SIZE - 1);
    uint64_t data = KERNEL_PAGE | PTE_WRITE | pte_no_execute;

    map_run(tables, boot, 0, read_only, data);
    map_run(tables, boot, read_only, text_end, KERNEL_PAGE);
    map_run(tables, boot, text_end, read_only_end, KERNEL_PAGE | pte_no_execute);
    map_run(tables, boot, read_only_end, boot->linear_pages, data);
}

void paging_init(const struct vmi_boot_info *boot)
{
    uint32_t tables[PTE_ENTRIES] = {FRAME_NONE};

    if (boot->linear_base >> ROOT_SHIFT != KERNEL_SLOT ||
        boot->linear_base + (boot->linear_pages << PAGE_SHIFT) > DEMAND_WINDOW ||
        (boot->virtual_end != 0 && boot->virtual_end < WINDOWS_END))
        panic("the address space is not laid out as this kernel needs it");

    paging_use_no_execute(boot);
    /* All tables first: a mapping made before would be a writable mapping of a table-to-be. */
    uint32_t root = new_table(VMI_PAGE_PDP);
    uint32_t directory = new_top_directory(boot);
    if (root == FRAME_NONE || directory == FRAME_NONE)
        panic("no memory for the kernel's page tables");
    allocate_tables(tables, boot->linear_base, boot->linear_pages);
    allocate_tables(tables, DEMAND_WINDOW, DEMAND_WINDOW_PAGES + MAP_WINDOW_PAGES);

    vmi_set_lazy_mode(VMI_LAZY_MMU);
    map_linear(tables, boot);
    for (uint32_t i = 0; i < PTE_ENTRIES; i++)
        if (tables[i] != FRAME_NONE)
            entry_write(table_entry(directory, i), pte_value(tables[i], TABLE_FLAGS), VMI_PAGE_PD);
    entry_write(table_entry(root, KERNEL_SLOT), pte_value(directory, PTE_PRESENT), VMI_PAGE_PDP);
    vmi_set_lazy_mode(VMI_LAZY_NONE);

    kernel_aspace.root = root;
    vmi_set_cr3(aspace_cr3(&kernel_aspace));
    vmi_set_cr0(vmi_get_cr0() | CR0_WP);
}

bool aspace_create(struct aspace *aspace)
{
    uint32_t kernel_directory = pte_frame(pte_read(table_entry(kernel_aspace.root, KERNEL_SLOT)));
    uintptr_t top = frame_allocate();
    uint32_t root = new_table(VMI_PAGE_PDP);
    uintptr_t user = new_table(VMI_PAGE_PD);

    if (top != FRAME_NONE) {
        memcpy(frame_address(top), frame_address(kernel_directory), PAGE_SIZE);
        vmi_allocate_page(top, VMI_PAGE_PD | VMI_PAGE_PAE | VMI_PAGE_CLONE, kernel_directory, 0,
                          PTE_ENTRIES);
    }
    if (top == FRAME_NONE || root == FRAME_NONE || user == FRAME_NONE) {
        if (root != FRAME_NONE)
            release_table(root, VMI_PAGE_PDP);
        if (user != FRAME_NONE)
            release_table(user, VMI_PAGE_PD);
        if (top != FRAME_NONE)
            release_table(top, VMI_PAGE_PD);
        return false;
    }
    entry_write(table_entry(root, USER_SLOT), pte_value(user, PTE_PRESENT), VMI_PAGE_PDP);
    entry_write(table_entry(root, KERNEL_SLOT), pte_value(top, PTE_PRESENT), VMI_PAGE_PDP);
    aspace->root = root;
    return true;
}

void aspace_destroy(struct aspace *aspace)
{
    uintptr_t user = pte_frame(pte_read(table_entry(aspace->root, USER_SLOT)));
    uintptr_t top = pte_frame(pte_read(table_entry(aspace->root, KERNEL_SLOT)));

    /*
     * From the root down. What a released table holds is still there to be read until its frame is
     * given back.
     */
    release_table(aspace->root, VMI_PAGE_PDP);
    release_table(top, VMI_PAGE_PD);
    vmi_release_page(user, VMI_PAGE_PD | VMI_PAGE_PAE);
    aspace_release_tables(user);
    frame_release(user);
    aspace->root = FRAME_NONE;
}
