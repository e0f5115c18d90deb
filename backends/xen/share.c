/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The grant table's page, and the frames that it names (backends/xen_common/grants.c does the
 * rest).
 */
#include "channels.h"
#include "xen_common/grants.h"

#include <xen/grant_table.h>

extern struct grant_entry_v1 vmi__xen_grant_table[];

void vmi__xen_grants_start(void)
{
    xen_pfn_t frame = 0;
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = 1};

    set_xen_guest_handle(setup.frame_list, &frame);
    if (vmi__xen_hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) < 0 ||
        setup.status != GNTST_okay)
        return;
    if (!vmi__xen_adopt(vmi__xen_grant_table, frame))
        vmi__xen_common_grants_use(vmi__xen_grant_table);
}

/* An entry of version 1 has a frame number of 32 bits. */
uint32_t vmi__xen_common_frame(uintptr_t pfn)
{
    uintptr_t mfn = vmi__xen_mfn(pfn);

    return mfn >= VMI__XEN_COMMON_NO_FRAME ? VMI__XEN_COMMON_NO_FRAME : (uint32_t)mfn;
}
