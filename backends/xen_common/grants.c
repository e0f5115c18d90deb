/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SharePage and UnsharePage, and references that front ends keep. No lock: an entry belongs to
 * whoever has marked it as taken, and the mark is the library's own, for Xen writes to the table as
 * well.
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

void vmi__xen_common_grants_forget(void)
{
    grants = 0;
    memset(taken, 0, sizeof(taken));
}

grant_ref_t vmi__xen_common_grant_reserve(void)
{
    if (!grants)
        return 0;
    for (uint32_t i = GNTTAB_NR_RESERVED_ENTRIES; i < VMI__XEN_COMMON_GRANTS; i++)
        if (!__atomic_exchange_n(&taken[i], 1, __ATOMIC_ACQUIRE))
            return i;
    return 0;
}

void vmi__xen_common_grant_lend(grant_ref_t reference, uint32_t frame, uint32_t peer,
                                bool read_only)
{
    grants[reference].domid = (domid_t)peer;
    grants[reference].frame = frame;
    __atomic_store_n(&grants[reference].flags, GTF_permit_access | (read_only ? GTF_readonly : 0),
                     __ATOMIC_SEQ_CST);
}

/* Takes back what an entry lends: VMI_EBUSY while it is mapped, VMI_EINVAL if it lends nothing. */
static int32_t take_back(uint32_t reference)
{
    uint16_t flags = __atomic_load_n(&grants[reference].flags, __ATOMIC_SEQ_CST);

    do {
        if (!(flags & GTF_type_mask))
            return VMI_EINVAL;
        if (flags & (GTF_reading | GTF_writing))
            return VMI_EBUSY;
    } while (!__atomic_compare_exchange_n(&grants[reference].flags, &flags, 0, 0, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    return VMI_OK;
}

bool vmi__xen_common_grant_end(grant_ref_t reference)
{
    return take_back(reference) != VMI_EBUSY;
}

void vmi__xen_common_grant_release(grant_ref_t reference)
{
    __atomic_store_n(&taken[reference], 0, __ATOMIC_RELEASE);
}

VMI__ROUTINE int32_t vmi__xen_common_share_page(uintptr_t pfn, uint32_t peer, uint32_t flags)
{
    uint32_t frame = vmi__xen_common_frame(pfn);
    grant_ref_t reference;

    if (frame == VMI__XEN_COMMON_NO_FRAME || peer >= DOMID_FIRST_RESERVED ||
        !(flags & VMI_SHARE_READ) || flags & ~(uint32_t)(VMI_SHARE_READ | VMI_SHARE_WRITE))
        return VMI_EINVAL;
    reference = vmi__xen_common_grant_reserve();
    if (!reference)
        return VMI_ENOMEM;
    vmi__xen_common_grant_lend(reference, frame, peer, !(flags & VMI_SHARE_WRITE));
    return (int32_t)reference;
}

VMI__ROUTINE int32_t vmi__xen_common_unshare_page(uint32_t reference)
{
    int32_t result;

    if (!grants || reference < GNTTAB_NR_RESERVED_ENTRIES || reference >= VMI__XEN_COMMON_GRANTS)
        return VMI_EINVAL;
    result = take_back(reference);
    if (result == VMI_OK)
        vmi__xen_common_grant_release(reference);
    return result;
}
