/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Page tables, which entry.S fills, and the stack of the first CPU.
 */
    .bss
    .balign 4096
    .globl client_root, client_directory, client_apic_table
client_root:
    .skip 4096
client_directory: /* with PAE */
    .skip 4096
client_apic_table:
    .skip 4096
    .globl client_stack_top
    .skip 16384
client_stack_top:

    .section .note.GNU-stack, "", @progbits
