/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The builder's tables on i386 with PAE (xen/xen.h, "Start-of-day memory layout"): taken over, and
 * extended until the linear region is mapped.
 */
#include "../../builder.h"
#include "entries.h"
#include "m2p.h"

#include <xen/memory.h>
#include <xen/version.h>

static struct mmu_update updates[2 * 64];

const char *vmi__xen_take_list(const struct start_info *info)
{
    if (!vmi__xen_behind_image(info->mfn_list, info->nr_pages * sizeof(xen_pfn_t)) ||
        info->mfn_list & (sizeof(xen_pfn_t) - 1))
        return "Xen's start_info has no list of frames";
    vmi__xen_memory.p2m = (xen_pfn_t *)info->mfn_list;
    vmi__xen_memory.pages = info->nr_pages;
    return 0;
}

/*
 * Finds m2p. Which parts of it are mapped is told by the page tables (read_tables): until then it
 * gives no frame.
 */
void vmi__xen_start_translation(void)
{
    struct xen_machphys_mapping mapping = {0};
    struct xen_platform_parameters platform = {0};
    uint32_t entries;

    if (vmi__xen_hypercall_memory_op(XENMEM_machphys_mapping, &mapping) < 0 ||
        vmi__xen_hypercall_xen_version(XENVER_platform_parameters, &platform) < 0)
        vmi__fatal("Xen does not say where its tables are");
    if (mapping.v_start < VMI__LINEAR_BASE + VMI__LINEAR_MAX ||
        platform.virt_start < VMI__LINEAR_BASE + VMI__LINEAR_MAX ||
        mapping.v_start >= mapping.v_end || mapping.v_start & 3)
        vmi__fatal("Xen's tables are not above the linear region");
    entries = (uint32_t)(mapping.v_end - mapping.v_start) / 4;
    vmi__xen_memory.m2p = (const xen_pfn_t *)mapping.v_start;
    vmi__xen_memory.m2p_last = mapping.max_mfn < entries ? mapping.max_mfn : entries - 1;
    vmi__boot.virtual_end =
        platform.virt_start < mapping.v_start ? platform.virt_start : mapping.v_start;
}

/* The table that a present entry of the builder's tables names. */
static uint64_t *table_of(uint64_t entry)
{
    uint64_t frame = (entry & VMI__PTE_FRAME) >> VMI__PAGE_SHIFT;
    uintptr_t pfn = frame >> 32 ? VMI__XEN_NO_FRAME : vmi__xen_builder_pfn((uintptr_t)frame);

    if (pfn == VMI__XEN_NO_FRAME)
        vmi__fatal("the domain builder's page tables are not behind the image");
    return vmi__linear(pfn << VMI__PAGE_SHIFT);
}

/* Notes what kind of table each page of the builder's tables is; returns how many pages of the
 * linear region they map. */
static uint32_t read_tables(uint64_t *root)
{
    uint32_t mapped = 0;

    vmi__xen_mark(root, VMI_PAGE_PDP | VMI__XEN_PINNED);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t *directory;

        if (!(root[i] & VMI__PTE_PRESENT))
            continue;
        directory = table_of(root[i]);
        vmi__xen_mark(directory, VMI_PAGE_PD);
        for (uint32_t j = 0; j < VMI__XEN_TABLE_ENTRIES; j++) {
            uint32_t address = i << 30 | j << 21;
            uint64_t *table;

            if (!(directory[j] & VMI__PTE_PRESENT))
                continue;
            if (address >= vmi__boot.virtual_end) {
                vmi__xen_top_present[j / 32] |= 1u << j % 32;
                continue;
            }
            table = table_of(directory[j]);
            vmi__xen_mark(table, VMI_PAGE_PT);
            for (uint32_t k = 0; k < VMI__XEN_TABLE_ENTRIES; k++)
                if (table[k] & VMI__PTE_PRESENT &&
                    mapped == vmi__xen_builders(address | k << VMI__PAGE_SHIFT))
                    mapped++;
        }
    }
    return mapped;
}

/* Maps the rest of the linear region by new tables, each made read-only and then hung in. */
static void extend_tables(uint64_t *directory, uint32_t mapped)
{
    uint32_t count = 0, done = 0;

    if (mapped % VMI__XEN_TABLE_ENTRIES && mapped < vmi__xen_memory.linear_pages)
        vmi__fatal("the domain builder has mapped part of 2 MiB");
    for (uint32_t page = mapped; page < vmi__xen_memory.linear_pages;
         page += VMI__XEN_TABLE_ENTRIES) {
        uint64_t *table = vmi__xen_take_pages(1);
        uint32_t address = (uint32_t)(uintptr_t)table;
        uint64_t machine = vmi__xen_machine(table);

        for (uint32_t i = 0; i < VMI__XEN_TABLE_ENTRIES && page + i < vmi__xen_memory.linear_pages;
             i++)
            table[i] = (uint64_t)vmi__xen_mfn(page + i) << VMI__PAGE_SHIFT | VMI__XEN_ENTRY;
        updates[count].ptr = (directory[address >> 21 & 511] & VMI__PTE_FRAME) +
                             (address >> VMI__PAGE_SHIFT & 511) * 8;
        updates[count++].val = machine | (VMI__XEN_ENTRY & ~VMI__PTE_WRITE);
        updates[count].ptr = vmi__xen_machine(
            &directory[(VMI__LINEAR_BASE >> 21 & 511) + page / VMI__XEN_TABLE_ENTRIES]);
        updates[count++].val = machine | VMI__XEN_ENTRY;
        vmi__xen_mark(table, VMI_PAGE_PT);
        if (count == sizeof(updates) / sizeof(updates[0]) ||
            page + VMI__XEN_TABLE_ENTRIES >= vmi__xen_memory.linear_pages) {
            if (vmi__xen_hypercall_mmu_update(updates, count, &done, DOMID_SELF) < 0)
                vmi__fatal("Xen refuses page tables for the linear region");
            count = 0;
        }
    }
}

void vmi__xen_start_tables(const struct start_info *info)
{
    uint64_t *root = (uint64_t *)info->pt_base;
    uintptr_t mapped, state_pages;

    vmi__xen_pools[VMI__XEN_POOL_LOW].end =
        vmi__physical(vmi__kernel.image_start) >> VMI__PAGE_SHIFT;
    state_pages =
        vmi__xen_pages_of(vmi__xen_memory.linear_pages * sizeof(vmi__xen_memory.state[0]));
    vmi__xen_memory.state = vmi__xen_take_pages(state_pages);
    vmi__xen_memory.boot_cr3 = vmi__physical(root);
    vmi__boot.boot_cr3 = vmi__physical(root);
    mapped = read_tables(root);
    if (mapped < vmi__xen_builder.end)
        vmi__fatal("the domain builder has not mapped its own pages");
    vmi__xen_pools[VMI__XEN_POOL_BUILDER] = (struct vmi__xen_pool){
        .start = vmi__xen_builder.end,
        .next = vmi__xen_builder.end,
        .end = mapped < vmi__xen_memory.linear_pages ? mapped : vmi__xen_memory.linear_pages,
    };
    extend_tables(table_of(root[3]), mapped);
    vmi__xen_devices.top = table_of(root[3]);
    vmi__xen_devices.size = VMI__XEN_DEVICE_TABLES << 21;
    vmi__xen_devices.base = (vmi__boot.virtual_end & ~0x1fffffu) - vmi__xen_devices.size;
}
