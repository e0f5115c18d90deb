/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From the library into the kernel: vmi__kernel_call (runtime.h).
 */
    .text
    .globl vmi__kernel_call
    .type vmi__kernel_call, @function
/* In: rdi boot information, rsi the function. The stack is aligned to 16 bytes at the call. */
vmi__kernel_call:
    push %rbp
    mov %rsp, %rbp
    and $-16, %rsp
    call *%rsi
    leave
    ret
    .size vmi__kernel_call, . - vmi__kernel_call

    .section .note.GNU-stack, "", @progbits
