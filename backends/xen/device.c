/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * MapDevice and UnmapDevice. What a device has lies at the same address for the machine and for a
 * domain that was given it (xl.cfg, iomem): such frames are in no list of the domain's, and Xen
 * looks at each entry that names one (xen/arch/x86/mm.c, get_page_from_l1e: -EPERM for a frame that
 * is none of the domain's to map). Pages are of 4 KiB, as all that Xen maps for a paravirtualized
 * domain; what is mapped where is the runtime's (runtime/device_map.c).
 */
#include "domain.h"

#include "device_map.h"
#include "entries.h"

/* Flags of tables, and of what they map. */
#define TABLE (VMI__PTE_PRESENT | VMI__PTE_WRITE | VMI__PTE_ACCESSED | VMI__PTE_DIRTY)

#define CPUID_EXTENDED_1    0x80000001u
#define CPUID_NX            (1u << 20) /* of edx */
#define CPUID_ADDRESS_SIZES 0x80000008u

/*
 * Bits that choose an entry of the PAT, of which Xen's is part of its interface (XEN_MSR_PAT in
 * xen/arch/x86/include/asm/processor.h): WB, WT, UC-, UC, WC, WP, UC, UC.
 */
#define CACHE_PWT 0x08u
#define CACHE_PCD 0x10u
#define CACHE_PAT 0x80u

#define BATCH 64

struct vmi__xen_devices vmi__xen_devices;

static struct vmi__xen_lock lock;
static uint64_t *tables;
static uint32_t tables_used;

/* With the lock held. */
static struct mmu_update updates[BATCH];

static uint64_t attributes(uint32_t cache)
{
    switch (cache) {
    case VMI_CACHE_WRITE_COMBINING:
        return CACHE_PAT;
    case VMI_CACHE_WRITE_THROUGH:
        return CACHE_PWT;
    case VMI_CACHE_WRITE_BACK:
        return 0;
    default:
        return CACHE_PCD | CACHE_PWT;
    }
}

/* As this domain is to see it. */
static void cpuid(uint32_t leaf, uint32_t *eax, uint32_t *edx)
{
    uint32_t ebx, ecx = 0;

    __asm__(XEN_CPUID : "=a"(*eax), "=b"(ebx), "+c"(ecx), "=d"(*edx) : "0"(leaf));
}

static uint32_t physical_bits(void)
{
    uint32_t eax, edx;

    cpuid(CPUID_ADDRESS_SIZES, &eax, &edx);
    return eax & 0xff;
}

static uint64_t no_execute(void)
{
    uint32_t eax, edx;

    cpuid(CPUID_EXTENDED_1, &eax, &edx);
    return edx & CPUID_NX ? VMI__PTE_NO_EXECUTE : 0;
}

/* ---- the window's tables ---- */

/* The table that an entry of a table of `kind` names, made if there is none; 0 if none is left. */
static uint64_t *below(uint64_t *entry, uint32_t kind)
{
    uint64_t *table = tables + (uintptr_t)tables_used * VMI__XEN_TABLE_ENTRIES;
    uint64_t physical = vmi__physical(table);

    if (*entry & VMI__PTE_PRESENT)
        return vmi__linear(vmi__xen_pfn((uintptr_t)((*entry & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT))
                           << VMI__PAGE_SHIFT);
    if (!tables || tables_used == VMI__XEN_DEVICE_TABLES)
        return 0;
    tables_used++;
    vmi__xen_allocate_page((uintptr_t)(physical >> VMI__PAGE_SHIFT), (kind >> 1) | VMI_PAGE_PAE, 0,
                           0, 0);
    vmi__xen_write_entry(physical | TABLE, entry);
    return table;
}

/* The entry of a page table for an address of the window; 0 if there is no table left for it. */
static uint64_t *entry_for(uintptr_t linear)
{
    uint64_t *table = vmi__xen_devices.top;
    uint32_t kind = VMI__XEN_DEVICES_KIND;

    for (uint32_t shift = VMI__XEN_DEVICES_SHIFT; table && shift > VMI__PAGE_SHIFT;
         shift -= VMI__XEN_TABLE_BITS, kind >>= 1)
        table = below(&table[linear >> shift & (VMI__XEN_TABLE_ENTRIES - 1)], kind);
    return table ? &table[linear >> VMI__PAGE_SHIFT & (VMI__XEN_TABLE_ENTRIES - 1)] : 0;
}

/* Makes the tables for so many pages, and has Xen have them. */
static bool make_tables(uintptr_t linear, uintptr_t pages)
{
    const uintptr_t part = (uintptr_t)VMI__PAGE_SIZE * VMI__XEN_TABLE_ENTRIES;
    uintptr_t last = linear + ((pages - 1) << VMI__PAGE_SHIFT);
    bool made = true;

    for (uintptr_t at = linear & ~(part - 1); at <= last && made; at += part)
        made = entry_for(at);
    vmi__xen_carry_out(vmi__xen_self());
    return made;
}

void vmi__xen_devices_start(void *pages)
{
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    tables = pages;
    if (VMI__XEN_DEVICES_KIND != VMI_PAGE_PD)
        return;
    /* A kernel copies the entries of a top directory: those of the window have to be there. */
    cpu->lazy = VMI_LAZY_MMU;
    if (!make_tables(vmi__xen_devices.base, vmi__xen_devices.size >> VMI__PAGE_SHIFT))
        vmi__fatal("too few tables for what devices have");
    cpu->lazy = VMI_LAZY_NONE;
    vmi__boot.virtual_end = vmi__xen_devices.base;
}

/* ---- mappings ---- */

/*
 * Writes entries of the window, each frame `step` behind the one before. Returns for how many pages
 * that was done; fewer than asked if Xen refuses one.
 */
static uintptr_t write(uintptr_t linear, uintptr_t pages, uint64_t value, uint32_t step)
{
    uintptr_t written = 0;

    while (written < pages) {
        uint32_t count = 0, done = 0;

        for (; count < BATCH && written + count < pages; count++) {
            updates[count].ptr =
                vmi__xen_machine(entry_for(linear + ((written + count) << VMI__PAGE_SHIFT))) |
                MMU_NORMAL_PT_UPDATE;
            updates[count].val = value;
            value += step;
        }
        if (vmi__xen_hypercall_mmu_update(updates, count, &done, DOMID_SELF) < 0)
            return written + done;
        written += count;
    }
    return written;
}

/* No CPU of the domain uses the translations afterwards. */
static void clear(uintptr_t linear, uintptr_t pages)
{
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    if (!pages)
        return;
    write(linear, pages, 0, 0);
    vmi__xen_queue_ext(cpu, VMI_ORDINAL_UNMAP_DEVICE, MMUEXT_TLB_FLUSH_ALL, 0, 0);
    vmi__xen_carry_out(cpu);
}

/* Is one of these frames the domain's own memory, as the machine numbers it? */
static bool has_memory(uint64_t base, uintptr_t pages)
{
    uint64_t frame = base >> VMI__PAGE_SHIFT;

    for (; pages && frame < VMI__XEN_NO_FRAME; pages--, frame++)
        if (vmi__xen_pfn((uintptr_t)frame) != VMI__XEN_NO_FRAME)
            return true;
    return false;
}

/* With the lock held, of arguments that have been found sound. */
static int32_t map(uint64_t base, uintptr_t pages, uint32_t cache, void **address)
{
    struct vmi__device_mapping *mapping;
    uintptr_t written;
    int32_t result;

    if (has_memory(base, pages))
        return VMI_EINVAL;
    result = vmi__device_note(vmi__xen_devices.base, vmi__xen_devices.size, base, pages, cache,
                              VMI__PAGE_SHIFT, &mapping);
    if (result != VMI_OK)
        return result;
    if (!make_tables(mapping->linear, pages)) {
        mapping->pages = 0;
        return VMI_ENOMEM;
    }
    written = write(mapping->linear, pages, base | TABLE | attributes(cache) | no_execute(),
                    VMI__PAGE_SIZE);
    if (written < pages) {
        clear(mapping->linear, written);
        mapping->pages = 0;
        return VMI_EIO;
    }
    *address = (void *)mapping->linear;
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__xen_map_device(uint64_t base, uintptr_t size, uint32_t cache,
                                         void **address)
{
    uint32_t mask;
    int32_t result;

    if (!vmi__device_sound(base, size, cache, physical_bits()))
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    result = map(base, size >> VMI__PAGE_SHIFT, cache, address);
    vmi__xen_give(&lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_unmap_device(uintptr_t address)
{
    uint32_t mask = vmi__xen_take(&lock);
    struct vmi__device_mapping *mapping = vmi__device_noted(address);

    if (mapping) {
        clear(mapping->linear, mapping->pages);
        mapping->pages = 0;
    }
    vmi__xen_give(&lock, mask);
    return mapping ? VMI_OK : VMI_EINVAL;
}
