/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * bool vmi__xen_m2p_read(const xen_pfn_t *at, uintptr_t *pfn): in rdi, rsi; out: al. Where Xen's list
 * has a hole, which no table tells a domain of 64 bits, the load faults: the entry of page faults
 * (events.S) goes on at vmi__xen_m2p_hole then. Destroyed: rcx.
 */
    .text
    .globl vmi__xen_m2p_read, vmi__xen_m2p_load, vmi__xen_m2p_hole
    .type vmi__xen_m2p_read, @function
vmi__xen_m2p_read:
vmi__xen_m2p_load:
    mov (%rdi), %rcx
    mov %rcx, (%rsi)
    mov $1, %eax
    ret
vmi__xen_m2p_hole:
    xor %eax, %eax
    ret
    .size vmi__xen_m2p_read, . - vmi__xen_m2p_read

    .section .note.GNU-stack, "", @progbits
