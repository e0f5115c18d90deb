/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages lent to other domains by the grant table, version 1 (xen/grant_table.h): one page of
 * entries, shared with Xen.
 */
#include "channels.h"

#include <xen/grant_table.h>

#define ENTRIES (VMI__PAGE_SIZE / sizeof(struct grant_entry_v1))

extern struct grant_entry_v1 vmi__xen_grant_table[];

static struct vmi__xen_lock lock;
static uint32_t entries; /* 0: there is no table */

void vmi__xen_grants_start(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(setup.frame_list, &frame);
    if (vmi__xen_hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) < 0 ||
        setup.status != GNTST_okay)
        return;
    if (!vmi__xen_adopt(vmi__xen_grant_table, frame))
        entries = ENTRIES;
}

VMI__ROUTINE int32_t vmi__xen_share_page(uint32_t pfn, uint32_t peer, uint32_t flags)
{
    uint32_t mfn = vmi__xen_mfn(pfn), mask;
    int32_t result = VMI_ENOMEM;

    if (mfn == VMI__XEN_NO_FRAME || peer >= DOMID_FIRST_RESERVED || !(flags & VMI_SHARE_READ) ||
        flags & ~(uint32_t)(VMI_SHARE_READ | VMI_SHARE_WRITE))
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; i < entries; i++) {
        struct grant_entry_v1 *entry = &vmi__xen_grant_table[i];

        if (__atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) & GTF_type_mask)
            continue;
        entry->domid = (domid_t)peer;
        entry->frame = mfn;
        __atomic_store_n(&entry->flags,
                         GTF_permit_access | (flags & VMI_SHARE_WRITE ? 0 : GTF_readonly),
                         __ATOMIC_SEQ_CST);
        result = (int32_t)i;
        break;
    }
    vmi__xen_give(&lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_unshare_page(uint32_t reference)
{
    struct grant_entry_v1 *entry = &vmi__xen_grant_table[reference];
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
