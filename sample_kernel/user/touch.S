/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Touches each page of its data for the first time; its status is the time-stamp ticks that this took. */
#include "program.inc"

    program_begin touch
    system_call SYSCALL_TICKS
    movl %eax, %esi                    /* esi: ticks at first */
    movl $USER_DATA, %edi              /* edi: the page */
1:  movl $1, (%edi)
    addl $4096, %edi
    cmpl $USER_DATA + USER_DATA_PAGES * 4096, %edi
    jb 1b
    system_call SYSCALL_TICKS
    subl %esi, %eax
    andl $SYSCALL_TICKS_MASK, %eax
    system_call SYSCALL_EXIT, %eax
    program_end touch
