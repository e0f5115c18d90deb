/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Takes one interrupt that is requested.
 */
#include "endbr.h"

    .text
    .globl vmi__native_pending_take, vmi__native_pending_taken
    .type vmi__native_pending_take, @function
    .type vmi__native_pending_taken, @function
/*
 * uint32_t vmi__native_pending_take(void). Interrupts are masked, and all gates lead to
 * vmi__native_pending_taken. Out: eax 1 if one came, whose frame is dropped, or 0. ebp: the stack
 * below that frame.
 */
vmi__native_pending_take:
    push %ebp
    mov %esp, %ebp
    sti
    nop /* it comes after this one at the earliest, and is not late (Intel SDM vol. 2B, STI) */
    nop
    cli
    xor %eax, %eax
    jmp 1f
vmi__native_pending_taken:
    VMI__ENDBR32
    mov %ebp, %esp
    mov $1, %eax
1:  pop %ebp
    ret
    .size vmi__native_pending_take, . - vmi__native_pending_take

    .section .note.GNU-stack, "", @progbits
