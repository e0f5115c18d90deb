/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The pages that Xen's are mapped over (mmu.c, vmi__xen_adopt): its shared page (start.c), and
 * frames of the grant table (share.c). Whatever lies there, nothing else may.
 */
#include "xen_common/grant_frames.h"

    .section .bss.tables, "aw", @nobits
    .balign 4096
    .globl vmi__xen_shared, vmi__xen_grant_table
    .type vmi__xen_shared, @object
    .size vmi__xen_shared, 4096
vmi__xen_shared:
    .skip 4096
    .type vmi__xen_grant_table, @object
    .size vmi__xen_grant_table, VMI__XEN_COMMON_GRANT_FRAMES * 4096
vmi__xen_grant_table:
    .skip VMI__XEN_COMMON_GRANT_FRAMES * 4096

    .section .note.GNU-stack, "", @progbits
