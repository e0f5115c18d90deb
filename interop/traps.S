/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Trap entries. Source: Intel SDM vol. 3A, 6.12.
 */
#include "layout.h"

    .text

/* Entries of 16 bytes; those without an error code of the processor's push a zero. */
    .balign 16
    .globl client_traps
client_traps:
    vector = 0
    .rept 256
    .balign 16
    .if (vector != 8) && (vector != 17) && ((vector < 10) || (vector > 14))
    push $0
    .endif
    push $vector
    jmp trapped
    vector = vector + 1
    .endr

/* On the stack: vector, error code, then what the processor has pushed. */
trapped:
    pusha
    push %ds
    push %es
    mov $KERNEL_DS, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %esp, %eax
    push %eax
    call client_trap
    add $4, %esp
    /* The answer, in al, outlives these as a flag. */
    test %al, %al
    pop %es
    pop %ds
    popa
    lea 8(%esp), %esp
    jz 1f
    jmp site_iret
1:  iret

    .section .note.GNU-stack, "", @progbits
