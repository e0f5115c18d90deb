/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The boot tables, which entry.S fills, and the structure by which C finds them.
 */
#include "layout.h"

    .macro table name, size
    .globl \name
    .type \name, @object
\name:
    .skip \size
    .size \name, \size
    .endm

    .section .bss.tables, "aw", @nobits
    .balign 4096
    table vmi__boot_pdpt, 4096
    table vmi__boot_pd, 4096
    table vmi__window_table, 4096
    table vmi__device_tables, ((VMI__DEVICE_SIZE >> 21) * 4096)
    table vmi__image_tables, (VMI__IMAGE_TABLES * 4096)

    .section .data
    .balign 4
    .globl vmi__pc_tables
    .type vmi__pc_tables, @object
vmi__pc_tables: /* struct vmi__pc_tables */
    .long vmi__boot_pdpt, vmi__boot_pd, vmi__window_table, vmi__device_tables, vmi__image_tables
    .size vmi__pc_tables, . - vmi__pc_tables

    .section .note.GNU-stack, "", @progbits
