/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * void double_fault(uintptr_t stack, uintptr_t *sp), in rdi and rsi: leaves the stack pointer in *sp, and
 * has a double fault on a stack that is none. The handler goes on at double_fault_over, on the
 * stack that *sp tells. Keeps all registers but rax.
 */
    .text
    .globl double_fault, double_fault_over
double_fault:
    mov %rsp, (%rsi)
    mov %rdi, %rsp
    push %rax
double_fault_over:
    ret

    .section .note.GNU-stack, "", @progbits
