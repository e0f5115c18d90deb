/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the gates of the IDT lead. */

#include <vmi/constants.h>

#include "layout.h"
#include "x86.h"

    .text

/*
 * One entry per vector, 16 bytes apart. On the stack: eip, cs, eflags (and esp, ss if the trap came
 * from ring 3), and an error code for some vectors; the others get a 0 in its place. Then the
 * vector. Registers are the interrupted code's.
 */
    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept TRAP_COUNT
    .balign 16
    ENDBR
    .if vector != TRAP_DOUBLE_FAULT && (vector < TRAP_INVALID_TSS || vector > TRAP_PAGE_FAULT) && \
        vector != TRAP_ALIGNMENT && vector != TRAP_CONTROL_PROTECTION && \
        vector != TRAP_VMM_COMMUNICATION && vector != TRAP_SECURITY
    pushl $0
    .endif
    pushl $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

/*
 * The frame is completed to a struct trap_frame. DS and ES may hold anything that ring 3 put there;
 * from here on they hold the flat segment that serves all rings. The handler gets the frame in eax.
 */
trap_common:
    pushal
    cld
    movl $USER_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    VMI_END_USER_ACCESS /* it may have come between, or from a process that has set AC */
    movl %esp, %eax
    call trap_dispatch
    movl %esp, %eax
    jmp trap_return

    .section .note.GNU-stack, "", @progbits
