/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "segments.h"

    .text

/*
 * void segments_load(uint32_t cs, uint32_t ss), selectors in edi and esi: loads all segment
 * registers from the present GDT; FS and GS keep their bases. Uses rax.
 */
    .globl segments_load
segments_load:
    mov %esi, %ss
    mov $USER_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %edi, %edi
    push %rdi
    push $4f
    lretq
4:  ret

    .section .note.GNU-stack, "", @progbits
