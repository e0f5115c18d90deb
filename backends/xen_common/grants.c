/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SharePage and UnsharePage. No lock: an entry belongs to whoever has marked it as taken, and the
 * mark is the library's own, for Xen writes to the table as well.
 */
#include "grants.h"

#include "routines.h"
#include "runtime.h"

static struct grant_entry_v1 *grants; /* 0: there is no table */
static uint8_t taken[VMI__XEN_COMMON_GRANTS];

void vmi__xen_common_grants_use(struct grant_entry_v1 *table)
{
    grants = table;
}

VMI__ROUTINE int32_t vmi__xen_common_share_page(uintptr_t pfn, uint32_t peer, uint32_t flags)
{
    uint32_t frame = vmi__xen_common_frame(pfn), i;

    if (frame == VMI__XEN_COMMON_NO_FRAME || peer >= DOMID_FIRST_RESERVED ||
        !(flags & VMI_SHARE_READ) || flags & ~(uint32_t)(VMI_SHARE_READ | VMI_SHARE_WRITE))
        return VMI_EINVAL;
    if (!grants)
        return VMI_ENOMEM;
    for (i = GNTTAB_NR_RESERVED_ENTRIES; i < VMI__XEN_COMMON_GRANTS; i++) {
        if (__atomic_exchange_n(&taken[i], 1, __ATOMIC_ACQUIRE))
            continue;
        grants[i].domid = (domid_t)peer;
        grants[i].frame = frame;
        __atomic_store_n(&grants[i].flags,
                         GTF_permit_access | (flags & VMI_SHARE_WRITE ? 0 : GTF_readonly),
                         __ATOMIC_SEQ_CST);
        return (int32_t)i;
    }
    return VMI_ENOMEM;
}

VMI__ROUTINE int32_t vmi__xen_common_unshare_page(uint32_t reference)
{
    uint16_t flags;

    if (!grants || reference < GNTTAB_NR_RESERVED_ENTRIES || reference >= VMI__XEN_COMMON_GRANTS)
        return VMI_EINVAL;
    flags = __atomic_load_n(&grants[reference].flags, __ATOMIC_SEQ_CST);
    do {
        if (!(flags & GTF_type_mask))
            return VMI_EINVAL;
        if (flags & (GTF_reading | GTF_writing))
            return VMI_EBUSY;
    } while (!__atomic_compare_exchange_n(&grants[reference].flags, &flags, 0, 0, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    __atomic_store_n(&taken[reference], 0, __ATOMIC_RELEASE);
    return VMI_OK;
}
