/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The grant table, and the frames that it names (backends/xen_common/grants.c does the
 * rest).
 */
#include "channels.h"
#include "xen_common/grants.h"

#include <xen/grant_table.h>

extern struct grant_entry_v1 vmi__xen_grant_table[];

/* Has Xen set up so many frames of the table, and tell which they are. */
static bool set_up(uint32_t count, xen_pfn_t *frames)
{
    struct gnttab_setup_table setup = {.dom = DOMID_SELF, .nr_frames = count};

    set_xen_guest_handle(setup.frame_list, frames);
    return vmi__xen_hypercall_grant_table_op(GNTTABOP_setup_table, &setup, 1) >= 0 &&
           setup.status == GNTST_okay;
}

/*
 * All frames that there may be, and now: a kernel that has made tables of its own would not have
 * what is mapped later.
 */
void vmi__xen_grants_start(void)
{
    xen_pfn_t frames[VMI__XEN_COMMON_GRANT_FRAMES] = {0};
    struct gnttab_query_size size = {.dom = DOMID_SELF};
    uint32_t count = VMI__XEN_COMMON_GRANT_FRAMES, mapped = 0;

    if (vmi__xen_hypercall_grant_table_op(GNTTABOP_query_size, &size, 1) < 0 ||
        size.status != GNTST_okay)
        return;
    if (count > size.max_nr_frames)
        count = size.max_nr_frames;
    if (!set_up(count, frames))
        return;
    while (mapped < count &&
           !vmi__xen_adopt(vmi__xen_grant_table + mapped * VMI__XEN_COMMON_FRAME_GRANTS,
                           frames[mapped]))
        mapped++;
    vmi__xen_common_grants_use(vmi__xen_grant_table, mapped);
}

bool vmi__xen_common_grants_more(uint32_t frame)
{
    (void)frame;
    return false;
}

/* An entry of version 1 has a frame number of 32 bits. */
uint32_t vmi__xen_common_frame(uintptr_t pfn)
{
    uintptr_t mfn = vmi__xen_mfn(pfn);

    return mfn >= VMI__XEN_COMMON_NO_FRAME ? VMI__XEN_COMMON_NO_FRAME : (uint32_t)mfn;
}
