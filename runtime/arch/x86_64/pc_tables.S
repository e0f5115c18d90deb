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
    table vmi__boot_root, 4096
    table vmi__boot_pointers_linear, 4096
    table vmi__boot_pointers_image, 4096
    table vmi__boot_directories, ((VMI__LINEAR_BOOT >> 30) * 4096)

    .section .data
    .balign 8
    .globl vmi__pc_tables
    .type vmi__pc_tables, @object
vmi__pc_tables: /* struct vmi__pc_tables */
    .quad vmi__boot_root, vmi__boot_pointers_image, vmi__boot_directories
    .size vmi__pc_tables, . - vmi__pc_tables

    .section .note.GNU-stack, "", @progbits
