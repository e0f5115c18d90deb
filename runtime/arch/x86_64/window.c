/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library maps in every address space of the kernel, whoever made the tables that it
 * finds: its own registers in the last 4 MiB, and a root slot for what MapDevice maps.
 */
#include "pc.h"
#include "tables.h"
#include "tlb.h"

/* The last 4 MiB: the second half has no table. The pointers are for a root that has none there. */
static uint64_t last_pointers[ENTRIES] __attribute__((aligned(4096)));
static uint64_t last_directory[ENTRIES] __attribute__((aligned(4096)));
static uint64_t registers[VMI__WINDOW_SLOTS] __attribute__((aligned(4096)));

/*
 * Tables of the device slot: its pointers, and those that are taken when they are needed and stay
 * where they are. A mapping of 2 MiB on a boundary of its own takes none but what it is entered in.
 */
#define DEVICE_TABLES 32
static uint64_t device_tables[DEVICE_TABLES][ENTRIES] __attribute__((aligned(4096)));
static uint32_t device_tables_used = 1;

#define CPUID_EXTENDED_1    0x80000001u
#define CPUID_EXTENDED_1_1G (1u << 26) /* of edx: pages of 1 GiB */

#define CPUID_ADDRESS_SIZES 0x80000008u

/* Pages that are dropped one by one; more are dropped together. */
#define DROPPED_MAX 32

/* Whether a root has them. */
static bool installed;

const char *vmi__window_install(uint64_t *root)
{
    uint64_t *entry = &root[INDEX(VMI__WINDOW_BASE, ROOT_SHIFT)];
    uint64_t *device = &root[INDEX(VMI__DEVICE_BASE, ROOT_SHIFT)];

    if (*device & PTE_PRESENT)
        return "root slot 510, which is for devices, is in use";
    if (!(*entry & PTE_PRESENT))
        *entry = vmi__physical(last_pointers) | TABLE;
    entry = &vmi__table_at(*entry)[INDEX(VMI__WINDOW_BASE, POINTER_SHIFT)];
    if (*entry & PTE_PRESENT)
        return "the last GiB of linear space, which is for the library, is in use";
    last_directory[INDEX(VMI__WINDOW_BASE, LARGE_SHIFT)] = vmi__physical(registers) | TABLE;
    *entry = vmi__physical(last_directory) | TABLE;
    *device = vmi__physical(device_tables[0]) | TABLE;
    installed = true;
    return 0;
}

/* ---- the library's registers ---- */

static void *set_slot(uint32_t slot, uint64_t address, uint64_t attributes)
{
    char *linear = (char *)VMI__WINDOW_BASE + slot * PAGE;

    *(volatile uint64_t *)&registers[slot] =
        (address & ~PAGE_MASK) | attributes | vmi__no_execute();
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
        uint64_t frame = registers[slot] & PTE_FRAME;

        if (registers[slot] & PTE_PRESENT && frame <= last && frame + PAGE_MASK >= first)
            return true;
    }
    return false;
}

uint32_t vmi__physical_bits(void)
{
    uint32_t eax = CPUID_ADDRESS_SIZES, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return eax & 0xff;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    uint64_t first = address & ~PAGE_MASK, pages;
    char *linear = 0;

    if (!installed || address + size < address || (address + size - 1) >> vmi__physical_bits())
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

/* ---- devices ---- */

/* The table below an entry of the device slot's; 0 if there is none and none is to be had. */
static uint64_t *below(uint64_t *entry, bool make)
{
    if (!(*entry & PTE_PRESENT)) {
        if (!make || device_tables_used == DEVICE_TABLES)
            return 0;
        *(volatile uint64_t *)entry = vmi__physical(device_tables[device_tables_used++]) | TABLE;
    }
    /* By the image, for not every direct map has it. */
    return device_tables[((*entry & PTE_FRAME) - vmi__physical(device_tables)) / PAGE];
}

static uint32_t largest_shift(void)
{
    uint32_t eax = CPUID_EXTENDED_1, ebx, ecx = 0, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx & CPUID_EXTENDED_1_1G ? POINTER_SHIFT : LARGE_SHIFT;
}

uint32_t vmi__devices_shift(uintptr_t pages)
{
    uint32_t shift = largest_shift();

    while (shift > PAGE_SHIFT && pages >> (shift - PAGE_SHIFT) == 0)
        shift -= LEVEL_BITS;
    return shift;
}

/*
 * The entry for an address, on the level of the largest page that begins there, has room and is
 * allowed (`largest`); *shift says which. Where `make` is false: the one that is there. 0 if there
 * is none.
 */
static uint64_t *device_entry(uintptr_t linear, uint64_t physical, uintptr_t pages,
                              uint32_t largest, bool make, uint32_t *shift)
{
    uint64_t *table = device_tables[0];

    for (*shift = POINTER_SHIFT;; *shift -= LEVEL_BITS) {
        uint64_t *entry = &table[INDEX(linear, *shift)];
        uintptr_t size = (uintptr_t)1 << *shift;

        if (*shift == PAGE_SHIFT || (!make && *entry & PTE_LARGE))
            return entry;
        if (make && *shift <= largest && !(*entry & PTE_PRESENT) &&
            !((linear | physical) & (size - 1)) && pages >= size >> PAGE_SHIFT)
            return entry;
        table = below(entry, make);
        if (!table)
            return 0;
    }
}

bool vmi__devices_present(void)
{
    return installed;
}

bool vmi__devices_map(uintptr_t linear, uint64_t physical, uintptr_t pages, uint64_t attributes)
{
    uint64_t page = attributes | PTE_PRESENT | PTE_WRITE | vmi__no_execute();
    uint64_t large = page | PTE_LARGE;
    uint32_t largest = largest_shift(), shift;
    uintptr_t first = linear;

    /* The bit of the PAT is another one in entries of large pages. */
    if (attributes & VMI__CACHE_PAT)
        large |= PTE_LARGE_PAT;
    while (pages) {
        uint64_t *entry = device_entry(linear, physical, pages, largest, true, &shift);

        if (!entry) {
            vmi__devices_unmap(first, (linear - first) >> PAGE_SHIFT);
            return false;
        }
        *(volatile uint64_t *)entry = physical | (shift == PAGE_SHIFT ? page : large);
        linear += (uintptr_t)1 << shift;
        physical += (uint64_t)1 << shift;
        pages -= (uintptr_t)1 << (shift - PAGE_SHIFT);
    }
    return true;
}

void vmi__devices_unmap(uintptr_t linear, uintptr_t pages)
{
    uintptr_t cr4 = vmi__tlb_cr4(), end = linear + (pages << PAGE_SHIFT);
    bool all = pages > DROPPED_MAX || cr4 & VMI__CR4_PCIDE;
    uint32_t shift;

    while (linear < end) {
        *(volatile uint64_t *)device_entry(linear, 0, 0, 0, false, &shift) = 0;
        if (!all)
            __asm__ volatile("invlpg (%0)" : : "r"(linear) : "memory");
        linear += (uintptr_t)1 << shift;
    }
    if (all)
        vmi__tlb_drop_all(cr4, false); /* none of them is global */
}
