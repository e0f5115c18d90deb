/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The tables that the SDK's entry begins with (entry.S), before and after the memory map has been
 * read: the linear region, in it the image with its protections. Code alone may be executed, where
 * the processor can tell (entry.S has set EFER.NXE then), and neither it nor constants may be
 * written. A kernel that chooses its library at boot has its code written first (bind/bind.c).
 */
#include "pc.h"
#include "tables.h"

/* What may be done with a page of the linear region. */
static uint64_t attributes_of(uint32_t address, uint64_t nx)
{
    const struct vmi__kernel *kernel = &vmi__kernel;

    if (address < (uint32_t)(uintptr_t)kernel->image_start ||
        address >= (uint32_t)(uintptr_t)kernel->rodata_end)
        return PTE_PRESENT | PTE_WRITE | nx;
    if (address >= (uint32_t)(uintptr_t)kernel->text_end)
        return PTE_PRESENT | nx;
    return kernel->unbound ? PTE_PRESENT | PTE_WRITE : PTE_PRESENT;
}

/* Do all pages of a block have the same attributes? They change where a part of the image ends. */
static bool is_one(uint32_t block, uint64_t nx)
{
    const uint32_t ends[] = {
        (uint32_t)(uintptr_t)vmi__kernel.image_start,
        (uint32_t)(uintptr_t)vmi__kernel.text_end,
        (uint32_t)(uintptr_t)vmi__kernel.rodata_end,
    };
    uint32_t i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        uint32_t page = (ends[i] + PAGE - 1) & ~(uint32_t)(PAGE - 1);

        if (page > block && page - block < LARGE &&
            attributes_of(page - PAGE, nx) != attributes_of(page, nx))
            return false;
    }
    return true;
}

const char *vmi__tables_begin(void)
{
    uint64_t nx = vmi__no_execute(), *table = vmi__pc_tables.image;
    uint32_t i, j;

    for (i = 0; i < VMI__LINEAR_BOOT >> LARGE_SHIFT; i++) {
        uint32_t block = VMI__LINEAR_BASE + (i << LARGE_SHIFT);

        if (is_one(block, nx)) {
            vmi__pc_tables.pd[i] =
                (uint64_t)i << LARGE_SHIFT | attributes_of(block, nx) | PTE_LARGE;
            continue;
        }
        for (j = 0; j < ENTRIES; j++)
            table[j] =
                vmi__physical((void *)(block + j * PAGE)) | attributes_of(block + j * PAGE, nx);
        vmi__pc_tables.pd[i] = vmi__physical(table) | TABLE;
        table += ENTRIES;
    }
    for (i = 0; i < VMI__DEVICE_SIZE >> LARGE_SHIFT; i++)
        vmi__pc_tables.pd[(VMI__DEVICE_BASE >> LARGE_SHIFT & (ENTRIES - 1)) + i] =
            vmi__physical(&vmi__pc_tables.devices[i * ENTRIES]) | TABLE;
    vmi__pc_tables.root[0] = 0;
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
    return 0;
}

const char *vmi__tables_finish(void)
{
    uint32_t i = (vmi__boot.linear_pages + (1u << (LARGE_SHIFT - PAGE_SHIFT)) - 1) >>
                 (LARGE_SHIFT - PAGE_SHIFT);

    for (; i < VMI__LINEAR_MAX >> LARGE_SHIFT; i++)
        vmi__pc_tables.pd[i] = 0;
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
    return 0;
}
