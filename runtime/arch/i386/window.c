/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library maps in every address space of the kernel: its own registers in the last 4 MiB,
 * and below them what MapDevice maps. Both outlive the boot tables, for a kernel copies the entries
 * of their directory.
 */
#include "pc.h"
#include "tables.h"

#define CR0_PG 0x80000000u

/* Pages that are dropped one by one; more are dropped together. */
#define DROPPED_MAX 32

static void set_entry(uint64_t *at, uint64_t entry)
{
    volatile uint32_t *halves = (volatile uint32_t *)at;

    /* Absent while the halves do not belong together. */
    halves[0] = 0;
    halves[1] = (uint32_t)(entry >> 32);
    halves[0] = (uint32_t)entry;
}

/* ---- the library's registers ---- */

static void *set_slot(uint32_t slot, uint64_t address, uint64_t attributes)
{
    char *linear = (char *)VMI__WINDOW_BASE + slot * PAGE;

    set_entry(&vmi__pc_tables.window[slot],
              (address & ~PAGE_MASK) | attributes | vmi__no_execute());
    __asm__ volatile("invlpg %0" : : "m"(*linear) : "memory");
    return linear + (address & PAGE_MASK);
}

volatile void *vmi__window_map(uint32_t slot, uint64_t address)
{
    return set_slot(slot, address,
                    PTE_PRESENT | PTE_WRITE | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PTE_GLOBAL);
}

bool vmi__window_has(uint64_t first, uint64_t last)
{
    for (uint32_t slot = 0; slot < VMI__WINDOW_SCRATCH; slot++) {
        uint64_t entry = vmi__pc_tables.window[slot];
        uint64_t frame = entry & ~(PAGE_MASK | PTE_NO_EXECUTE);

        if (entry & PTE_PRESENT && frame <= last && frame + PAGE_MASK >= first)
            return true;
    }
    return false;
}

/*
 * Where a processor with PAE does not tell, it is 36 (Intel SDM vol. 3A, 4.1.4); but one of QEMU's
 * has 32 then if it has no PSE-36, and faults on more.
 */
uint32_t vmi__physical_bits(void)
{
    uint32_t eax, ebx, ecx = 0, edx;

    if (vmi__extended(CPUID_ADDRESS_SIZES, &eax, &edx))
        return eax & 0xff;
    eax = 1;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx & CPUID_1_EDX_PSE36 ? 36 : 32;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    uint64_t first = address & ~PAGE_MASK;
    uint32_t pages, cr0, i;
    char *linear = 0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    if (!(cr0 & CR0_PG))
        return 0;
    if (address < (uint64_t)vmi__boot.linear_pages << PAGE_SHIFT &&
        size <= ((uint64_t)vmi__boot.linear_pages << PAGE_SHIFT) - address)
        return vmi__linear((uint32_t)address);
    if (!vmi__pc_tables.window || address + size < address ||
        (address + size - 1) >> vmi__physical_bits())
        return 0;
    pages = (uint32_t)((address + size - first + PAGE_MASK) >> PAGE_SHIFT);
    if (pages > VMI__WINDOW_SLOTS - VMI__WINDOW_SCRATCH)
        return 0;
    for (i = 0; i < pages; i++) {
        char *page =
            set_slot(VMI__WINDOW_SCRATCH + i, first + ((uint64_t)i << PAGE_SHIFT), PTE_PRESENT);

        if (i == 0)
            linear = page;
    }
    return linear + (address & PAGE_MASK);
}

/* ---- devices ---- */

bool vmi__devices_present(void)
{
    uint32_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    return cr0 & CR0_PG && vmi__pc_tables.devices;
}

uint32_t vmi__devices_shift(uintptr_t pages)
{
    (void)pages;
    return PAGE_SHIFT;
}

bool vmi__devices_map(uintptr_t linear, uint64_t physical, uintptr_t pages, uint64_t attributes)
{
    uint64_t *entry = &vmi__pc_tables.devices[(linear - VMI__DEVICE_BASE) >> PAGE_SHIFT];

    attributes |= PTE_PRESENT | PTE_WRITE | vmi__no_execute();
    for (; pages; pages--, physical += PAGE)
        set_entry(entry++, physical | attributes);
    return true;
}

void vmi__devices_unmap(uintptr_t linear, uintptr_t pages)
{
    uint64_t *entry = &vmi__pc_tables.devices[(linear - VMI__DEVICE_BASE) >> PAGE_SHIFT];
    bool all = pages > DROPPED_MAX;
    uintptr_t cr3;

    for (; pages; pages--, linear += PAGE) {
        set_entry(entry++, 0);
        if (!all)
            __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
    }
    if (all) {
        /* None of them is global. */
        __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
        __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
    }
}
