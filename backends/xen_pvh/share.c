/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The grant table, and the frames that it names (backends/xen_common/grants.c does the
 * rest).
 */
#include "pvh.h"
#include "xen_common/grants.h"

#include <xen/memory.h>

extern struct grant_entry_v1 vmi__xen_pvh_grant_table[];

/* Xen makes a frame of the table that is not there yet, up to the domain's limit. */
bool vmi__xen_common_grants_more(uint32_t frame)
{
    return vmi__xen_pvh_adopt(vmi__xen_pvh_grant_table + frame * VMI__XEN_COMMON_FRAME_GRANTS,
                              XENMAPSPACE_grant_table, frame) >= 0;
}

VMI__RUN_ONCE void vmi__xen_pvh_grants_start(void)
{
    if (vmi__xen_common_grants_more(0))
        vmi__xen_common_grants_use(vmi__xen_pvh_grant_table, 1);
}

VMI__RUN_ONCE void vmi__xen_pvh_grants_again(void)
{
    uint32_t frames = vmi__xen_common_grants_forget(), shared = 0;

    while (shared < frames && vmi__xen_common_grants_more(shared))
        shared++;
    vmi__xen_common_grants_use(vmi__xen_pvh_grant_table, shared);
}

/* Only plain memory: what the map calls another kind is the runtime's, the library's or none. */
uint32_t vmi__xen_common_frame(uintptr_t pfn)
{
    uint64_t address = (uint64_t)pfn << 12;

    return pfn < VMI__XEN_COMMON_NO_FRAME && (vmi__memory_is(address, 4096, VMI_MEMORY_USABLE) ||
                                              vmi__memory_is(address, 4096, VMI_MEMORY_IMAGE))
               ? (uint32_t)pfn
               : VMI__XEN_COMMON_NO_FRAME;
}
