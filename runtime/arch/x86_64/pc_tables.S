/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The boot tables, which entry.S fills and boot_tables.c goes on with.
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

    .section .note.GNU-stack, "", @progbits
