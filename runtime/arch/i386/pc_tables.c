/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The boot tables after entry.S, and the device window that outlives them.
 */
#include "pc.h"

#define CR0_PG 0x80000000u

#define PTE_PRESENT       0x001u
#define PTE_WRITE         0x002u
#define PTE_WRITE_THROUGH 0x008u
#define PTE_CACHE_DISABLE 0x010u
#define PTE_GLOBAL        0x100u

#define CPUID_EXTENDED      0x80000000u
#define CPUID_ADDRESS_SIZES 0x80000008u

#define LARGE_SHIFT 21
#define PAGE_MASK   0xfffull

const char *vmi__tables_finish(void)
{
    uint32_t i = (vmi__boot.linear_pages + (1u << (LARGE_SHIFT - 12)) - 1) >> (LARGE_SHIFT - 12);

    for (; i < VMI__LINEAR_MAX >> LARGE_SHIFT; i++)
        vmi__pc_tables.pd[i] = 0;
    vmi__pc_tables.root[0] = 0;
    __asm__ volatile("mov %0, %%cr3" : : "r"(vmi__physical(vmi__pc_tables.root)) : "memory");
    return 0;
}

static void *set_slot(uint32_t slot, uint64_t address, uint64_t attributes)
{
    char *linear = (char *)VMI__WINDOW_BASE + slot * 4096;
    uint64_t entry = (address & ~PAGE_MASK) | attributes;
    volatile uint32_t *halves = (volatile uint32_t *)&vmi__pc_tables.window[slot];

    /* Absent while the halves do not belong together. */
    halves[0] = 0;
    halves[1] = (uint32_t)(entry >> 32);
    halves[0] = (uint32_t)entry;
    __asm__ volatile("invlpg %0" : : "m"(*linear) : "memory");
    return linear + (address & PAGE_MASK);
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    return set_slot(slot, address,
                    PTE_PRESENT | PTE_WRITE | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_GLOBAL);
}

/*
 * Width of physical addresses: an entry with a bit above would fault (Intel SDM vol. 3A, 4.1.4;
 * 36 where a processor with PAE does not tell).
 */
static uint32_t physical_bits(void)
{
    uint32_t eax = CPUID_EXTENDED, ebx, ecx, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    if (eax < CPUID_ADDRESS_SIZES)
        return 36;
    eax = CPUID_ADDRESS_SIZES;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return eax & 0xff;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    uint64_t first = address & ~PAGE_MASK;
    uint32_t pages, cr0, i;
    char *linear = 0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    if (!(cr0 & CR0_PG))
        return 0;
    if (address < (uint64_t)vmi__boot.linear_pages << 12 &&
        size <= ((uint64_t)vmi__boot.linear_pages << 12) - address)
        return vmi__linear((uint32_t)address);
    if (!vmi__pc_tables.window || address + size < address ||
        (address + size - 1) >> physical_bits())
        return 0;
    pages = (uint32_t)((address + size - first + PAGE_MASK) >> 12);
    if (pages > VMI__WINDOW_SLOTS - VMI__WINDOW_SCRATCH)
        return 0;
    for (i = 0; i < pages; i++) {
        char *page = set_slot(VMI__WINDOW_SCRATCH + i, first + ((uint64_t)i << 12), PTE_PRESENT);

        if (i == 0)
            linear = page;
    }
    return linear + (address & PAGE_MASK);
}
