/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages lent to other domains by the grant table, version 1 (xen/grant_table.h): one page of
 * entries, shared with Xen.
 */
#include "pvh.h"

#include <xen/grant_table.h>
#include <xen/memory.h>

#define ENTRIES   (4096 / sizeof(struct grant_entry_v1))
#define PFN_LIMIT (1u << 20) /* 32-bit entries below 4 GiB */

extern struct grant_entry_v1 vmi__xen_pvh_grant_table[];

static struct vmi__lock lock;
static uint32_t entries; /* 0: there is no table */

void vmi__xen_pvh_grants_start(void)
{
    if (vmi__xen_pvh_adopt(vmi__xen_pvh_grant_table, XENMAPSPACE_grant_table, 0) >= 0)
        entries = ENTRIES;
}

VMI__ROUTINE int32_t vmi__xen_pvh_share_page(uint32_t pfn, uint32_t peer, uint32_t flags)
{
    uint32_t flags_kept;
    int32_t result = VMI_ENOMEM;

    /* What the map calls another kind is the runtime's, the library's or no memory. */
    if (pfn >= PFN_LIMIT ||
        !(vmi__memory_is((uint64_t)pfn << 12, 4096, VMI_MEMORY_USABLE) ||
          vmi__memory_is((uint64_t)pfn << 12, 4096, VMI_MEMORY_IMAGE)) ||
        peer >= DOMID_FIRST_RESERVED || !(flags & VMI_SHARE_READ) ||
        flags & ~(uint32_t)(VMI_SHARE_READ | VMI_SHARE_WRITE))
        return VMI_EINVAL;
    flags_kept = vmi__lock(&lock);
    for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; i < entries; i++) {
        struct grant_entry_v1 *entry = &vmi__xen_pvh_grant_table[i];

        if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & GTF_type_mask)
            continue;
        entry->domid = (domid_t)peer;
        entry->frame = pfn;
        __atomic_store_n(&entry->flags,
                         GTF_permit_access | (flags & VMI_SHARE_WRITE ? 0 : GTF_readonly),
                         __ATOMIC_SEQ_CST);
        result = (int32_t)i;
        break;
    }
    vmi__unlock(&lock, flags_kept);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_unshare_page(uint32_t reference)
{
    struct grant_entry_v1 *entry = &vmi__xen_pvh_grant_table[reference];
    uint16_t flags;

    if (reference < GNTTAB_NR_RESERVED_ENTRIES || reference >= entries)
        return VMI_EINVAL;
    flags = __atomic_load_n(&entry->flags, __ATOMIC_SEQ_CST);
    do {
        if (!(flags & GTF_type_mask))
            return VMI_EINVAL;
        if (flags & (GTF_reading | GTF_writing))
            return VMI_EBUSY;
    } while (!__atomic_compare_exchange_n(&entry->flags, &flags, 0, 0, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return VMI_OK;
}
