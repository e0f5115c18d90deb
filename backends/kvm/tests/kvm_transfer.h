/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For kvm_registers.c: what stands in the place of the instruction that enters KVM. It changes rax
 * alone, as KVM does.
 */
        .macro vmi__kvm_transfer
        mov %rax, at_transfer
        mov %rbx, at_transfer + 8
        mov %rcx, at_transfer + 16
        mov %rdx, at_transfer + 24
        mov %rsi, at_transfer + 32
        mov returned, %rax
        .endm
