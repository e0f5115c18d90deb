/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "mapping.h"

#include "../writable.h"
#include "frames.h"

#define PRESENT     0x001ull
#define WRITE       0x002ull
#define LARGE_PAGE  0x080ull
#define FRAME_BITS  0x000ffffffffff000ull
#define ENTRIES     512u
#define LEVEL_BITS  9
#define LARGE_SHIFT 21
#define LARGE_BYTES ((uintptr_t)1 << LARGE_SHIFT)

#ifdef __x86_64__
#define ROOT_SHIFT 39
#define ROOT_MASK  0xfffu /* of CR3: what is not the root's address */
#else
#define ROOT_SHIFT 30
#define ROOT_MASK  0x1fu
#endif

static bool watching;

static uintptr_t frame_of(uint64_t entry)
{
    return (uintptr_t)((entry & FRAME_BITS) >> VMI__FRAME_SHIFT);
}

/* Frames of the linear mapping that are watched. */
static uintptr_t watched_pages(void)
{
    return vmi__boot.linear_pages < VMI__FRAMES ? vmi__boot.linear_pages : VMI__FRAMES;
}

/*
 * The entry that maps an address in the tree of a root, as far as stores may be made there by the
 * tables above it; *shift says how much it maps. 0 if there is none.
 */
static uint64_t *mapping_of(uint64_t root, uintptr_t address, uint32_t *shift)
{
    uint64_t *table = (uint64_t *)(vmi__frame_address(frame_of(root)) + (uintptr_t)(root & 0xfff));

    *shift = ROOT_SHIFT;
    if (frame_of(root) >= vmi__boot.linear_pages)
        return 0;
    for (;; *shift -= LEVEL_BITS) {
        uint64_t *entry = &table[address >> *shift & (ENTRIES - 1)];

        if (!(*entry & PRESENT))
            return 0;
        if (*shift == VMI__FRAME_SHIFT || (*shift <= LARGE_SHIFT && *entry & LARGE_PAGE))
            return entry;
        /* The entries of a PAE root have no such bit. */
        if (!(*entry & WRITE) && *shift != 30)
            return 0;
        if (frame_of(*entry) >= vmi__boot.linear_pages)
            return 0;
        table = (uint64_t *)vmi__frame_address(frame_of(*entry));
    }
}

static uint64_t current_root(void)
{
    uintptr_t root;

    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    return root & ~(uintptr_t)ROOT_MASK;
}

/* Where the image is mapped beside the linear mapping: not on i386. */
static bool in_image(uintptr_t address)
{
#ifdef __x86_64__
    return address >= (uintptr_t)vmi__kernel.image_start &&
           address < (uintptr_t)vmi__kernel.image_end;
#else
    (void)address;
    return false;
#endif
}

/* The entry of the boot tables that maps a page of 4 KiB there, 0 if there is none. */
static uint64_t *own_mapping(uintptr_t address)
{
    uint32_t shift;
    uint64_t *entry;

    if ((address - vmi__boot.linear_base) >> VMI__FRAME_SHIFT >= watched_pages() &&
        !in_image(address))
        return 0;
    entry = mapping_of(vmi__boot.boot_cr3, address, &shift);
    return shift == VMI__FRAME_SHIFT ? entry : 0;
}

/* Halves, because the processor may set bits of the entry meanwhile. */
static void set_writable(uintptr_t address, bool may)
{
    uint32_t *entry = (uint32_t *)own_mapping(address);

    if (!entry)
        return;
    if (may)
        __atomic_fetch_or(entry, (uint32_t)WRITE, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(entry, ~(uint32_t)WRITE, __ATOMIC_RELAXED);
    vmi__checked_drop(address);
}

/* Whether a frame is read-only for good: code and constants. */
static bool is_constant(uintptr_t pfn)
{
    return pfn >= vmi__physical(vmi__kernel.image_start) >> VMI__FRAME_SHIFT &&
           pfn < vmi__physical(vmi__kernel.rodata_end) >> VMI__FRAME_SHIFT;
}

void vmi__checked_let(uintptr_t pfn, bool may)
{
    uintptr_t beside = pfn << VMI__FRAME_SHIFT;

    if (!watching || pfn >= watched_pages() || (may && is_constant(pfn)))
        return;
    set_writable(vmi__frame_address(pfn), may);
#ifdef __x86_64__
    beside += (uintptr_t)vmi__kernel.image_start - vmi__physical(vmi__kernel.image_start);
    if (in_image(beside))
        set_writable(beside, may);
#else
    (void)beside;
#endif
}

/* How many large pages map a range; they are tables from `table` on if that is not 0. */
static uint32_t split(uintptr_t from, uintptr_t bytes, uint64_t *table)
{
    uint32_t count = 0, shift;

    for (uintptr_t at = 0; at < bytes; at += LARGE_BYTES) {
        uint64_t *entry = mapping_of(vmi__boot.boot_cr3, from + at, &shift);

        if (!entry || shift != LARGE_SHIFT)
            continue;
        if (table) {
            uint64_t *pages = table + count * ENTRIES;

            for (uint32_t i = 0; i < ENTRIES; i++)
                pages[i] = (*entry & ~LARGE_PAGE) + ((uint64_t)i << VMI__FRAME_SHIFT);
            *entry = vmi__physical(pages) | PRESENT | WRITE;
        }
        count++;
    }
    return count;
}

static uint32_t split_all(uint64_t *table)
{
    uint32_t count = split(vmi__boot.linear_base, watched_pages() << VMI__FRAME_SHIFT, table);
#ifdef __x86_64__
    uintptr_t from = (uintptr_t)vmi__kernel.image_start & ~(LARGE_BYTES - 1);

    count +=
        split(from, (uintptr_t)vmi__kernel.image_end - from, table ? table + count * ENTRIES : 0);
#endif
    return count;
}

struct vmi__control vmi__checked_write_anything(void)
{
    struct vmi__control control;

    /* CR4.CET goes first, for the processor keeps CR0.WP on with it. */
    __asm__ volatile("mov %%cr0, %0\n\tmov %%cr4, %1" : "=r"(control.cr0), "=r"(control.cr4));
    if (control.cr4 & VMI__CR4_CET)
        __asm__ volatile("mov %0, %%cr4" : : "r"(control.cr4 & ~(uintptr_t)VMI__CR4_CET));
    __asm__ volatile("mov %0, %%cr0" : : "r"(control.cr0 & ~(uintptr_t)VMI__CR0_WP) : "memory");
    return control;
}

void vmi__checked_as_before(struct vmi__control control)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(control.cr0) : "memory");
    if (control.cr4 & VMI__CR4_CET)
        __asm__ volatile("mov %0, %%cr4" : : "r"(control.cr4));
}

bool vmi__checked_is_mapped(uintptr_t address)
{
    uint32_t shift;

    return mapping_of(current_root(), address, &shift);
}

uintptr_t vmi__checked_frame_at(uintptr_t address)
{
    if (in_image(address))
        return vmi__physical((const void *)address) >> VMI__FRAME_SHIFT;
    return vmi__frame_at(address);
}

enum vmi__fault_kind vmi__checked_fault_kind(uintptr_t address, uintptr_t *pfn)
{
    uint64_t *entry = own_mapping(address);
    uint32_t shift;

    if (!entry || mapping_of(current_root(), address, &shift) != entry)
        return VMI__FAULT_OTHER;
    *pfn = frame_of(*entry);
    return *entry & WRITE ? VMI__FAULT_WRITABLE : VMI__FAULT_CLOSED;
}

bool vmi__checked_mapping_start(void)
{
    uint64_t end = (uint64_t)vmi__boot.linear_pages << VMI__FRAME_SHIFT;
    uint32_t count = split_all(0), at;

    if (count) {
        at = vmi__memory_claim(count << VMI__FRAME_SHIFT,
                               end > UINT32_MAX ? UINT32_MAX : (uint32_t)end);
        if (!at)
            return false;
        split_all(vmi__linear(at));
        __asm__ volatile("mov %0, %%cr3" : : "r"((uintptr_t)vmi__boot.boot_cr3) : "memory");
    }
    watching = true;
    return true;
}
