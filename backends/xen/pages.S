/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The page that start.c maps Xen's shared page over. Whatever lies there, nothing else may. */
    .section .bss.tables, "aw", @nobits
    .balign 4096
    .globl vmi__xen_shared, vmi__xen_grant_table
    .type vmi__xen_shared, @object
    .size vmi__xen_shared, 4096
vmi__xen_shared:
    .skip 4096
    .type vmi__xen_grant_table, @object
    .size vmi__xen_grant_table, 4096
vmi__xen_grant_table:
    .skip 4096

    .section .note.GNU-stack, "", @progbits
