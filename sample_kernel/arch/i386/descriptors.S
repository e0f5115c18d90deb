/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "segments.h"

    .text

/*
 * void segments_load(uint32_t cs, uint32_t ss), selectors in eax and edx: loads all segment
 * registers from the present GDT. Uses ecx.
 */
    .globl segments_load
segments_load:
    movl %edx, %ss
    movl $USER_DS, %ecx
    movl %ecx, %ds
    movl %ecx, %es
    xorl %ecx, %ecx
    movl %ecx, %fs
    movl %ecx, %gs
    pushl %eax
    pushl $1f
    lret
1:  ret

    .section .note.GNU-stack, "", @progbits
