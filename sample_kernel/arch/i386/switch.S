/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Changes of stack. The registers that C expects a call to keep (ebx, esi, edi, ebp) lie on the
 * stack that is left.
 */

#include <vmi/constants.h>

#include "segments.h"

/* Offset of the code selector in struct trap_frame. */
#define FRAME_CS 44

    .text

/*
 * void switch_context(uint32_t *save, const uint32_t *load): save in eax, load in edx. Leaves the
 * present stack, its pointer in *save, and returns on the stack *load to whoever left that one.
 */
    .globl switch_context
switch_context:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl (%edx), %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/*
 * void run_on_stack(void (*function)(void), void *top): function in eax, top in edx. Does not
 * return.
 */
    .globl run_on_stack
run_on_stack:
    movl %edx, %esp
    xorl %ebp, %ebp
    pushl %ebp /* end of the chain of callers */
    jmp *%eax

/*
 * uint32_t attempt_enter(uint32_t *esp, function, argument): in eax, edx, ecx. Leaves the stack
 * pointer in *esp, calls function(argument) (regparm: in eax), returns 0.
 */
    .globl attempt_enter
attempt_enter:
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl %ecx, %eax
    call *%edx
    xorl %eax, %eax
    jmp 1f

/* void attempt_leave(uint32_t esp): esp in eax, as attempt_enter() left it. Makes that return 1. */
    .globl attempt_leave
attempt_leave:
    movl %eax, %esp
    movl $1, %eax
1:  popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

/*
 * void trap_return(struct trap_frame *frame), frame in eax: restores the registers and leaves. On
 * the way to ring 3 FS and GS are emptied, for the kernel does not keep them per process.
 */
    .globl trap_return
trap_return:
    movl %eax, %esp
    movl FRAME_CS(%esp), %eax
    andl $RPL_MASK, %eax
    cmpl $RPL_USER, %eax
    jne 1f
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
1:
    popal
    addl $8, %esp /* vector and error code */
    VMI_IRET

    .section .note.GNU-stack, "", @progbits
