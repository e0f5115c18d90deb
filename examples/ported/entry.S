/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where the timer's gate leads, of the ported kernel (kernel.c) and, with PC defined, of the one before (pc.c).
 */
#include <vmi/constants.h>

    .bss
    .balign 8
    .globl interrupt_handler
    .type interrupt_handler, @object
/* The kernel's function for the timer's interrupt, which it stores here before it starts the timer. */
interrupt_handler:
    .skip 8
    .size interrupt_handler, . - interrupt_handler

    .text
    .globl interrupt_entry
    .type interrupt_entry, @function
/*
 * An interrupt of the kernel's own ring: a frame of rip, cs, rflags, rsp and ss is on the stack. Keeps the
 * registers that C may destroy, nine of them, which leaves the stack aligned.
 */
interrupt_entry:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    sub $8, %rsp
    cld
    call *interrupt_handler
    add $8, %rsp
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
#ifdef PC
    iretq
#else
    jmp vmi_iret
#endif
    .size interrupt_entry, . - interrupt_entry

    .section .note.GNU-stack, "", @progbits
