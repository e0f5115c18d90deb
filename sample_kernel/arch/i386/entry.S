/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where the gates of the IDT lead, and the way back. */

#include <vmi/constants.h>

#include "layout.h"
#include "x86.h"

/* Offset of the code selector in struct trap_frame. */
#define FRAME_CS 44

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
    /* falls through */

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
