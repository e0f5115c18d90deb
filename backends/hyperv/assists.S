/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The first CPU's VP assist page, of which the hypervisor wants whole ones. Clients of the ROM have
 * none (runtime/image/image.ld).
 */

    .section .bss..bound_only, "aw", @nobits
    .balign 4096
    .globl vmi__hyperv_first_assist
    .type vmi__hyperv_first_assist, @object
vmi__hyperv_first_assist:
    .skip 4096
    .size vmi__hyperv_first_assist, . - vmi__hyperv_first_assist

    .section .note.GNU-stack, "", @progbits
