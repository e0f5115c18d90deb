/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "m2p.h"

uint32_t vmi__xen_top_present[VMI__XEN_TABLE_ENTRIES / 32];

bool vmi__xen_m2p_read(const xen_pfn_t *at, uintptr_t *pfn)
{
    uint32_t part = (uintptr_t)at >> 21 & (VMI__XEN_TABLE_ENTRIES - 1);

    if (!(vmi__xen_top_present[part / 32] & 1u << part % 32))
        return false;
    *pfn = *at;
    return true;
}
