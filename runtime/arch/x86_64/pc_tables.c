/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The boot tables after entry.S: the image with its protections, the direct map of all memory, and
 * the device window that outlives them. Everything but code is without execution where the
 * processor can (entry.S has set EFER.NXE then).
 */
#include "pc.h"

#define PTE_PRESENT       0x001ull
#define PTE_WRITE         0x002ull
#define PTE_WRITE_THROUGH 0x008ull
#define PTE_CACHE_DISABLE 0x010ull
#define PTE_LARGE         0x080ull
#define PTE_GLOBAL        0x100ull
#define PTE_NO_EXECUTE    (1ull << 63)
#define PTE_FRAME         0x000ffffffffff000ull
#define TABLE             (PTE_PRESENT | PTE_WRITE)

#define MSR_EFER 0xc0000080u
#define EFER_NXE 0x800u

#define CPUID_ADDRESS_SIZES 0x80000008u

#define ENTRIES       512u
#define PAGE          4096ull
#define PAGE_MASK     (PAGE - 1)
#define LARGE_SHIFT   21
#define LARGE         (1ull << LARGE_SHIFT)
#define POINTER_SHIFT 30
#define ROOT_SHIFT    39

#define TABLES_LIMIT VMI__LINEAR_BOOT /* page tables are written through the first map */

/* The image, in pages: as many tables as it may have blocks of 2 MiB. */
#define IMAGE_BLOCKS 8
static uint64_t image_tables[IMAGE_BLOCKS][ENTRIES] __attribute__((aligned(4096)));
static uint64_t image_directory[ENTRIES] __attribute__((aligned(4096)));

extern const char vmi_text_end[], vmi_rodata_end[];

static uint64_t no_execute(void)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    return low & EFER_NXE ? PTE_NO_EXECUTE : 0;
}

static uint64_t *table_at(uint64_t entry)
{
    return vmi__linear(entry & PTE_FRAME);
}

/* A zeroed table in memory that nobody has; 0 if there is none. */
static uint64_t *new_table(void)
{
    uint64_t at = vmi__memory_claim(PAGE, (uint32_t)(TABLES_LIMIT - 1));
    uint64_t *table = vmi__linear(at);

    if (!at)
        return 0;
    memset(table, 0, PAGE);
    return table;
}

/* The table below an entry, made if there is none; 0 if memory is short. */
static uint64_t *below(uint64_t *entry)
{
    uint64_t *table;

    if (*entry & PTE_PRESENT)
        return table_at(*entry);
    table = new_table();
    if (table)
        *entry = vmi__physical(table) | TABLE;
    return table;
}

/* Maps the image page by page: code, then what is only read, then what is written. */
static const char *protect_image(uint64_t nx)
{
    uintptr_t address = (uintptr_t)vmi__kernel.image_start, end = (uintptr_t)vmi__kernel.image_end;

    if ((end - 1 - VMI__IMAGE_BASE) >> LARGE_SHIFT >= IMAGE_BLOCKS)
        return "the image ends above 16 MiB, which is what the boot tables have room for";
    for (; address < end; address += PAGE) {
        uint64_t entry = vmi__physical((const void *)address) | PTE_PRESENT | PTE_GLOBAL;

        if (address >= (uintptr_t)vmi_rodata_end)
            entry |= PTE_WRITE;
        if (address >= (uintptr_t)vmi_text_end)
            entry |= nx;
        image_tables[(address - VMI__IMAGE_BASE) >> LARGE_SHIFT][address >> 12 & (ENTRIES - 1)] =
            entry;
    }
    for (uint32_t i = 0; i < IMAGE_BLOCKS; i++)
        image_directory[i] = vmi__physical(image_tables[i]) | TABLE;
    vmi__pc_tables.pointers_image[VMI__IMAGE_BASE >> POINTER_SHIFT & (ENTRIES - 1)] =
        vmi__physical(image_directory) | TABLE;
    return 0;
}

/* What the direct map has; no device is reached through it by accident. */
static bool is_memory(const struct vmi_memory_range *range)
{
    return range->kind != VMI_MEMORY_RESERVED && range->kind != VMI_MEMORY_UNUSABLE;
}

static bool has_memory(uint64_t block)
{
    for (uint32_t i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (is_memory(range) && range->base < block + LARGE && range->base + range->size > block)
            return true;
    }
    return false;
}

/* Maps one block of 2 MiB of the direct map; false if memory is short. */
static bool map_block(uint64_t address, uint64_t attributes)
{
    uint64_t linear = VMI__LINEAR_BASE + address;
    uint64_t *table = below(&vmi__pc_tables.root[linear >> ROOT_SHIFT & (ENTRIES - 1)]);

    if (table)
        table = below(&table[linear >> POINTER_SHIFT & (ENTRIES - 1)]);
    if (table)
        table[linear >> LARGE_SHIFT & (ENTRIES - 1)] = address | attributes;
    return table;
}

static const char *map_memory(uint64_t nx)
{
    const uint64_t attributes = PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_GLOBAL | nx;
    uint64_t end = (uint64_t)vmi__boot.linear_pages << 12, block;

    for (block = VMI__LINEAR_BOOT; block < end; block += LARGE) {
        if (has_memory(block) && !map_block(block, attributes))
            return "no memory below 4 GiB is left for page tables of the direct map";
    }
    /* Tables are written through these: they come last. */
    for (block = 0; block < VMI__LINEAR_BOOT; block += LARGE)
        vmi__pc_tables.directories[block >> LARGE_SHIFT] =
            block < end && has_memory(block) ? block | attributes : 0;
    return 0;
}

const char *vmi__tables_finish(void)
{
    uint64_t nx = no_execute();
    const char *reason = protect_image(nx);

    if (!reason)
        reason = map_memory(nx);
    vmi__pc_tables.root[0] = 0;
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
    return reason;
}

static void *set_slot(uint32_t slot, uint64_t address, uint64_t attributes)
{
    char *linear = (char *)VMI__WINDOW_BASE + slot * PAGE;

    *(volatile uint64_t *)&vmi__pc_tables.window[slot] =
        (address & ~PAGE_MASK) | attributes | no_execute();
    __asm__ volatile("invlpg %0" : : "m"(*linear) : "memory");
    return linear + (address & PAGE_MASK);
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    return set_slot(slot, address,
                    PTE_PRESENT | PTE_WRITE | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_GLOBAL);
}

/* Width of physical addresses: an entry with a bit above would fault (Intel SDM vol. 3A, 4.1.4). */
static uint32_t physical_bits(void)
{
    uint32_t eax = CPUID_ADDRESS_SIZES, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return eax & 0xff;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    uint64_t first = address & ~PAGE_MASK, pages;
    char *linear = 0;

    if (address + size < address || (address + size - 1) >> physical_bits())
        return 0;
    pages = (address + size - first + PAGE_MASK) >> 12;
    if (pages > VMI__WINDOW_SLOTS - VMI__WINDOW_SCRATCH)
        return 0;
    for (uint32_t i = 0; i < pages; i++) {
        char *page = set_slot(VMI__WINDOW_SCRATCH + i, first + ((uint64_t)i << 12), PTE_PRESENT);

        if (i == 0)
            linear = page;
    }
    return linear + (address & PAGE_MASK);
}
