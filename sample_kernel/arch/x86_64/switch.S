/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

#include <vmi/constants.h>

#include "frame_registers.inc"
/*
 * Changes of stack. The registers that C expects a call to keep (rbx, rbp, r12 to r15) lie on the
 * stack that is left.
 */

    .macro leave_registers
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro take_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    .endm

    .text

/* void switch_context(uintptr_t *save, const uintptr_t *load): save in rdi, load in rsi. */
    .globl switch_context
switch_context:
    leave_registers
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    take_registers
    ret

/* A new thread, from its first switch. r12: function, r13: its argument, r14: where to begin. */
    .globl thread_first
thread_first:
    mov %r12, %rdi
    mov %r13, %rsi
    jmp *%r14

/* void run_on_stack(void (*function)(void), void *top): function in rdi, top in rsi. */
    .globl run_on_stack
run_on_stack:
    mov %rsi, %rsp
    xor %ebp, %ebp
    push %rbp /* end of the chain of callers */
    jmp *%rdi

/*
 * uint32_t attempt_enter(uintptr_t *sp, function, argument): in rdi, rsi, rdx. Leaves the stack
 * pointer in *sp, calls function(argument), returns 0.
 */
    .globl attempt_enter
attempt_enter:
    leave_registers
    mov %rsp, (%rdi)
    mov %rdx, %rdi
    sub $8, %rsp /* aligned to 16 bytes at the call */
    call *%rsi
    add $8, %rsp
    xor %eax, %eax
    jmp 1f

/* void attempt_leave(uintptr_t sp): sp in rdi, as attempt_enter() left it. Makes that return 1. */
    .globl attempt_leave
attempt_leave:
    mov %rdi, %rsp
    mov $1, %eax
1:  take_registers
    ret

/* void trap_return(struct trap_frame *frame), frame in rdi: restores the registers and leaves. */
    .globl trap_return
trap_return:
    mov %rdi, %rsp
    restore
    VMI_IRET

    .section .note.GNU-stack, "", @progbits
