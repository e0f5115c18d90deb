/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From the library into the kernel, whose options it does not know: vmi__kernel_call (runtime.h).
 */
    .text
    .globl vmi__kernel_call
    .type vmi__kernel_call, @function
/*
 * In: eax boot information, edx the function. At its entry eax still holds the first, as regparm
 * has it, and so does the word above the return address, as cdecl has it; ebp finds the stack again
 * whether or not the function drops that word (stdcall). The stack is aligned to 16 bytes at the call.
 */
vmi__kernel_call:
    push %ebp
    mov %esp, %ebp
    sub $4, %esp
    push %eax
    call *%edx
    leave
    ret
    .size vmi__kernel_call, . - vmi__kernel_call

    .section .note.GNU-stack, "", @progbits
