/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>

#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "panic.h"
#include "string.h"
#include "threads.h"
#include "x86.h"

/* Addresses that one entry of each level covers. */
#define ROOT_SHIFT      30
#define DIRECTORY_SHIFT 21
#define TABLE_SPAN      (1u << DIRECTORY_SHIFT)

#define KERNEL_SLOT 3 /* of the root */
#define USER_SLOT   0
#define ROOT_SLOTS  4

/* Bits that a present entry of the kernel starts with, so that the processor need not set them. */
#define KERNEL_PAGE (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

/* From the linker script (docs/architecture.md, "Boot contract"). */
extern const char vmi_image_start[], vmi_rodata_end[];

struct aspace kernel_aspace;

/* Guards the entries of the demand-zero window. */
static struct spinlock window_lock;

uint32_t aspace_cr3(const struct aspace *aspace)
{
    return aspace->root << PAGE_SHIFT;
}

uint64_t pte_value(uint32_t pfn, uint32_t flags)
{
    return (uint64_t)pfn << PAGE_SHIFT | flags;
}

uint32_t pte_frame(uint64_t pte)
{
    return (uint32_t)(pte >> PAGE_SHIFT) & 0x00ffffff;
}

uint64_t pte_read(const uint64_t *entry)
{
    uint64_t machine = *(const volatile uint64_t *)entry;
    return machine & PTE_PRESENT ? vmi_machine_to_physical(machine) : 0;
}

static void entry_write(uint64_t *entry, uint64_t value, uint32_t flags)
{
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, flags);
}

void pte_write(const struct aspace *aspace, uint64_t *entry, uint32_t address, uint64_t value)
{
    uint32_t flags = VMI_PAGE_PT;
    /* The kernel's part is in every address space. */
    if (aspace == &kernel_aspace || aspace == thread_current()->aspace)
        flags |= VMI_PXE_CURRENT_AS | (address & ~(uint32_t)(PAGE_SIZE - 1));
    entry_write(entry, value, flags);
}

/* Makes a frame, zeroed or otherwise filled, a table. */
static uint32_t new_table(uint32_t kind)
{
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn != FRAME_NONE)
        vmi_allocate_page(pfn, kind | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    return pfn;
}

static void release_table(uint32_t pfn, uint32_t kind)
{
    vmi_release_page(pfn, kind | VMI_PAGE_PAE);
    frame_release(pfn);
}

static uint32_t index_of(uint32_t address, uint32_t shift)
{
    return address >> shift & (PTE_ENTRIES - 1);
}

static uint64_t *table_entry(uint32_t pfn, uint32_t index)
{
    return (uint64_t *)frame_address(pfn) + index;
}

uint64_t *aspace_entry(const struct aspace *aspace, uint32_t address, bool create)
{
    uint64_t root_entry = pte_read(table_entry(aspace->root, address >> ROOT_SHIFT));
    if (!(root_entry & PTE_PRESENT))
        return NULL;

    uint64_t *directory_entry =
        table_entry(pte_frame(root_entry), index_of(address, DIRECTORY_SHIFT));
    uint64_t table = pte_read(directory_entry);
    if (!(table & PTE_PRESENT)) {
        uint32_t pfn = create ? new_table(VMI_PAGE_PT) : FRAME_NONE;
        if (pfn == FRAME_NONE)
            return NULL;
        table = pte_value(pfn, TABLE_FLAGS);
        entry_write(directory_entry, table, VMI_PAGE_PD);
    }
    return table_entry(pte_frame(table), index_of(address, PAGE_SHIFT));
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
static void allocate_tables(uint32_t tables[PTE_ENTRIES], uint32_t start, uint32_t pages)
{
    uint32_t first = index_of(start, DIRECTORY_SHIFT);
    uint32_t last = index_of(start + (pages << PAGE_SHIFT) - 1, DIRECTORY_SHIFT);

    for (uint32_t i = first; i <= last; i++) {
        tables[i] = new_table(VMI_PAGE_PT);
        if (tables[i] == FRAME_NONE)
            panic("no memory for the kernel's page tables");
    }
}

static void map_linear(const uint32_t tables[PTE_ENTRIES], const struct vmi_boot_info *boot)
{
    /* Text and constants are read-only, for the kernel as well (CR0.WP). */
    uint32_t read_only = frame_of(vmi_image_start);
    uint32_t read_only_end = frame_of(vmi_rodata_end + PAGE_SIZE - 1);

    for (uint32_t pfn = 0; pfn < boot->linear_pages; pfn++) {
        uint32_t address = boot->linear_base + (pfn << PAGE_SHIFT);
        uint32_t flags = KERNEL_PAGE;
        if (pfn < read_only || pfn >= read_only_end)
            flags |= PTE_WRITE;
        uint64_t *entry =
            table_entry(tables[index_of(address, DIRECTORY_SHIFT)], index_of(address, PAGE_SHIFT));
        entry_write(entry, pte_value(pfn, flags), VMI_PAGE_PT);
    }
}

void paging_init(const struct vmi_boot_info *boot)
{
    uint32_t tables[PTE_ENTRIES] = {FRAME_NONE};

    if (boot->linear_base >> ROOT_SHIFT != KERNEL_SLOT ||
        boot->linear_base + (boot->linear_pages << PAGE_SHIFT) > DEMAND_WINDOW ||
        (boot->virtual_end != 0 && boot->virtual_end < WINDOWS_END))
        panic("the address space is not laid out as this kernel needs it");

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
    uint32_t top = frame_allocate();
    uint32_t root = new_table(VMI_PAGE_PDP);
    uint32_t user = new_table(VMI_PAGE_PD);

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
    uint32_t user = pte_frame(pte_read(table_entry(aspace->root, USER_SLOT)));
    uint32_t top = pte_frame(pte_read(table_entry(aspace->root, KERNEL_SLOT)));

    /*
     * From the root down. What a released table holds is still there to be read until its frame is
     * given back.
     */
    release_table(aspace->root, VMI_PAGE_PDP);
    release_table(top, VMI_PAGE_PD);
    vmi_release_page(user, VMI_PAGE_PD | VMI_PAGE_PAE);
    for (uint32_t i = 0; i < PTE_ENTRIES; i++) {
        uint64_t table = pte_read(table_entry(user, i));
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
    frame_release(user);
    aspace->root = FRAME_NONE;
}

void aspace_visit(const struct aspace *aspace, aspace_visitor *visit, void *context)
{
    for (uint32_t address = 0; address < USER_END; address += TABLE_SPAN) {
        uint64_t *table = aspace_entry(aspace, address, false);
        for (uint32_t i = 0; table != NULL && i < PTE_ENTRIES; i++)
            if (pte_read(&table[i]) & PTE_PRESENT)
                visit(address + (i << PAGE_SHIFT), &table[i], context);
    }
}

void window_map(uint32_t address, uint32_t pfn, uint32_t flags)
{
    uint64_t *entry = aspace_entry(&kernel_aspace, address, false);
    uint64_t value = flags & PTE_PRESENT ? pte_value(pfn, flags) : 0;
    pte_write(&kernel_aspace, entry, address, value);
}

uint64_t window_read(uint32_t address)
{
    return pte_read(aspace_entry(&kernel_aspace, address, false));
}

bool paging_kernel_fault(uint32_t address, uint32_t error)
{
    if (address - DEMAND_WINDOW >= DEMAND_WINDOW_PAGES << PAGE_SHIFT ||
        error & (FAULT_PRESENT | FAULT_USER))
        return false;

    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        return false;
    uint32_t flags = lock_acquire(&window_lock);
    if (window_read(address) & PTE_PRESENT)
        frame_release(pfn); /* another CPU was faster */
    else
        window_map(address, pfn, KERNEL_PAGE | PTE_WRITE);
    lock_release(&window_lock, flags);
    return true;
}

void paging_kernel_discard(uint32_t address)
{
    uint32_t flags = lock_acquire(&window_lock);
    uint64_t page = window_read(address);
    window_map(address, 0, 0);
    lock_release(&window_lock, flags);
    vmi_inval_page(address);
    frame_release(pte_frame(page));
}
