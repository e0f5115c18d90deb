/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The tables that the SDK's entry begins with (entry.S), before and after the memory map has been
 * read: the image with its protections, and the direct map of all memory. Code alone may be
 * executed, where the processor can tell (entry.S has set EFER.NXE then), and neither it nor
 * constants may be written, by neither of their addresses. A kernel that chooses its library at
 * boot has its code written first, where it is executed (bind/bind.c).
 */
#include "pc.h"
#include "tables.h"

#define TABLES_LIMIT VMI__LINEAR_BOOT /* page tables are written through the first map */

/*
 * The image is mapped by large pages where all of one has the same protection: there are tables for
 * where it begins, for the ends of code and of constants, and for its own end.
 */
#define IMAGE_TABLES 4
static uint64_t image_tables[IMAGE_TABLES][ENTRIES] __attribute__((aligned(4096)));
static uint64_t image_directory[ENTRIES] __attribute__((aligned(4096)));

/* ---- the image ---- */

/* What may be done with a page of the image; 0 for what is none of it. */
static uint64_t image_attributes(uintptr_t address, uint64_t nx)
{
    const struct vmi__kernel *kernel = &vmi__kernel;

    if (address < (uintptr_t)kernel->image_start || address >= (uintptr_t)kernel->image_end)
        return 0;
    if (address < (uintptr_t)kernel->text_end)
        return kernel->unbound ? PTE_PRESENT | PTE_GLOBAL | PTE_WRITE : PTE_PRESENT | PTE_GLOBAL;
    if (address < (uintptr_t)kernel->rodata_end)
        return PTE_PRESENT | PTE_GLOBAL | nx;
    return PTE_PRESENT | PTE_GLOBAL | PTE_WRITE | nx;
}

static void map_image(uint64_t nx)
{
    uintptr_t block = (uintptr_t)vmi__kernel.image_start & ~(LARGE - 1);
    uint32_t used = 0;

    for (; block < (uintptr_t)vmi__kernel.image_end; block += LARGE) {
        uint64_t *entry = &image_directory[INDEX(block, LARGE_SHIFT)];
        uint64_t attributes = image_attributes(block, nx), *table;

        /* Attributes come in one order, so first and last tell. */
        if (attributes && attributes == image_attributes(block + LARGE - PAGE, nx)) {
            *entry = (block - VMI__IMAGE_BASE) | attributes | PTE_LARGE;
            continue;
        }
        table = image_tables[used++];
        for (uint32_t i = 0; i < ENTRIES; i++) {
            uintptr_t page = block + i * PAGE;

            attributes = image_attributes(page, nx);
            table[i] = attributes ? (page - VMI__IMAGE_BASE) | attributes : 0;
        }
        *entry = vmi__physical(table) | TABLE;
    }
}

static void load_root(void)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
}

const char *vmi__tables_begin(void)
{
    uint64_t nx = vmi__no_execute();

    map_image(nx);
    vmi__pc_tables.image[INDEX(VMI__IMAGE_BASE, POINTER_SHIFT)] =
        vmi__physical(image_directory) | TABLE;
    vmi__pc_tables.root[0] = 0;
    load_root();
    /* Only now: until here code ran by these directories, and may have to be translated anew. */
    for (uint32_t i = 0; i < VMI__LINEAR_BOOT >> LARGE_SHIFT; i++)
        vmi__pc_tables.directories[i] |= nx;
    load_root();
    return vmi__window_install(vmi__pc_tables.root);
}

/* ---- the direct map ---- */

/* More tables than FEW, which map a GiB each, are taken MANY at once: there is memory enough. */
#define FEW  16
#define MANY 64

/* A zeroed table in memory that nobody has; 0 if there is none. */
static uint64_t *new_table(void)
{
    static uint32_t taken, left;
    static uint64_t at;
    uint64_t *table;

    if (!left) {
        left = taken < FEW ? 1 : MANY;
        at = vmi__memory_claim(left * PAGE, (uint32_t)(TABLES_LIMIT - 1));
        if (!at) {
            left = 0;
            return 0;
        }
    }
    table = vmi__linear(at);
    at += PAGE;
    left--;
    taken++;
    memset(table, 0, PAGE);
    return table;
}

/* The table below an entry, made if there is none; 0 if memory is short. */
static uint64_t *below(uint64_t *entry)
{
    uint64_t *table;

    if (*entry & PTE_PRESENT)
        return vmi__table_at(*entry);
    table = new_table();
    if (table)
        *entry = vmi__physical(table) | TABLE;
    return table;
}

/*
 * The page table below a directory's entry, as below(). One that takes the place of a large page of
 * the first map maps the same until the end, for memory is reached through it.
 */
static uint64_t *page_table(uint64_t *entry)
{
    uint64_t old = *entry, *table;

    if (!(old & PTE_LARGE))
        return below(entry);
    table = new_table();
    if (!table)
        return 0;
    for (uint32_t i = 0; i < ENTRIES; i++)
        table[i] = (old & ~PTE_LARGE) + i * PAGE;
    *entry = vmi__physical(table) | TABLE;
    return table;
}

/* Forgets what is left of the first map: it is no memory. Entries of memory are global. */
static void forget_first(uint64_t *table, uint64_t bits)
{
    for (uint32_t i = 0; i < ENTRIES; i++)
        if ((table[i] & (bits | PTE_GLOBAL)) == bits)
            table[i] = 0;
}

/* The directory's entry for an address of memory; 0 if memory is short. */
static uint64_t *directory_entry(uint64_t address)
{
    uint64_t linear = VMI__LINEAR_BASE + address;
    uint64_t *table = below(&vmi__pc_tables.root[INDEX(linear, ROOT_SHIFT)]);

    if (table)
        table = below(&table[INDEX(linear, POINTER_SHIFT)]);
    return table ? &table[INDEX(linear, LARGE_SHIFT)] : 0;
}

/* What the direct map has; no device is reached through it by accident. */
static bool is_memory(const struct vmi_memory_range *range)
{
    return range->kind != VMI_MEMORY_RESERVED && range->kind != VMI_MEMORY_UNUSABLE;
}

/*
 * The first stretch of memory, whatever its kinds, that ends above an address, in whole pages;
 * false if there is none. Looked for in the map as it is now, for tables are claimed from it.
 */
static bool next_memory(uint64_t from, uint64_t *start, uint64_t *end)
{
    const struct vmi_memory_range *ranges = vmi__boot.memory;
    uint32_t low = 0, high = vmi__boot.memory_count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        /* Less one: the last may end at 2^64. */
        if (ranges[middle].base + (ranges[middle].size - 1) < from)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < vmi__boot.memory_count && !is_memory(&ranges[low]))
        low++;
    if (low == vmi__boot.memory_count || ranges[low].base >= VMI__LINEAR_MAX)
        return false;
    *start = ranges[low].base & ~PAGE_MASK;
    if (*start < from)
        *start = from;
    do
        *end = (ranges[low].base + ranges[low].size + PAGE_MASK) & ~PAGE_MASK;
    while (++low < vmi__boot.memory_count && is_memory(&ranges[low]) && ranges[low].base <= *end);
    if (*end > VMI__LINEAR_MAX || *end < *start)
        *end = VMI__LINEAR_MAX;
    return true;
}

/* Constants and code are not written by this way either. */
static bool is_read_only(uint64_t address)
{
    return address >= vmi__physical(vmi__kernel.image_start) &&
           address < vmi__physical(vmi__kernel.rodata_end);
}

static const char *map_stretch(uint64_t start, uint64_t end, uint64_t attributes)
{
    static const char no_room[] = "no memory below 4 GiB is left for page tables of the direct map";
    uint64_t first = vmi__physical(vmi__kernel.image_start) & ~(LARGE - 1);
    uint64_t last = (vmi__physical(vmi__kernel.rodata_end) - 1) & ~(LARGE - 1);

    while (start < end) {
        uint64_t *entry = directory_entry(start), *table;

        if (!entry)
            return no_room;
        if (!(start & (LARGE - 1)) && end - start >= LARGE && (start < first || start > last)) {
            *entry = start | attributes | PTE_LARGE;
            start += LARGE;
            continue;
        }
        table = page_table(entry);
        if (!table)
            return no_room;
        do {
            table[INDEX(start, PAGE_SHIFT)] =
                start | (is_read_only(start) ? attributes & ~PTE_WRITE : attributes);
            start += PAGE;
        } while (start < end && start & (LARGE - 1));
    }
    return 0;
}

const char *vmi__tables_finish(void)
{
    const uint64_t attributes = PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | vmi__no_execute();
    uint64_t start, end = 0;
    const char *reason = 0;

    while (!reason && end < VMI__LINEAR_MAX && next_memory(end, &start, &end))
        reason = map_stretch(start, end, attributes);
    if (reason)
        return reason;
    for (uint32_t i = 0; i < VMI__LINEAR_BOOT >> LARGE_SHIFT; i++)
        if (!(vmi__pc_tables.directories[i] & PTE_LARGE))
            forget_first(vmi__table_at(vmi__pc_tables.directories[i]), PTE_PRESENT);
    for (uint32_t i = 0; i < VMI__LINEAR_BOOT >> POINTER_SHIFT; i++)
        forget_first(&vmi__pc_tables.directories[i * ENTRIES], PTE_LARGE);
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
    return 0;
}
