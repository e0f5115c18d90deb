/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages of the image that Xen's own are put over: nothing else may lie in them.
 */
#include "xen_common/grant_frames.h"

    .section .bss.tables, "aw", @nobits
    .balign 4096
    .globl vmi__xen_pvh_shared, vmi__xen_pvh_grant_table
    .type vmi__xen_pvh_shared, @object
    .size vmi__xen_pvh_shared, 4096
vmi__xen_pvh_shared:
    .skip 4096
    .type vmi__xen_pvh_grant_table, @object
    .size vmi__xen_pvh_grant_table, VMI__XEN_COMMON_GRANT_FRAMES * 4096
vmi__xen_pvh_grant_table:
    .skip VMI__XEN_COMMON_GRANT_FRAMES * 4096

    .section .note.GNU-stack, "", @progbits
