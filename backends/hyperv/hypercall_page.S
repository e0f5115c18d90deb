/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The page that the hypervisor fills with the instructions that enter it. It is part of the text, so
 * that every kernel has it mapped for execution. Until it is filled, to call it is a fault.
 */
        .section .text.pages, "ax", @progbits
        .globl  vmi__hyperv_hypercall_page
        .type   vmi__hyperv_hypercall_page, @function
        .balign 4096, 0xcc
vmi__hyperv_hypercall_page:
        .fill   4096, 1, 0xcc
        .size   vmi__hyperv_hypercall_page, . - vmi__hyperv_hypercall_page

    .section .note.GNU-stack, "", @progbits
