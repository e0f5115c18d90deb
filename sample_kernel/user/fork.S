/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Writes 1, forks, and waits for a child that finds the 1, writes 2 and returns 40 if it reads the
 * 2 back. The parent adds 2 if its own 1 has stayed: status 42.
 */
#include "program.inc"

#define MINE USER_DATA

    program_begin fork
    movl $1, MINE
    system_call SYSCALL_FORK
    testl %eax, %eax
    js failed
    jz child

    system_call SYSCALL_WAIT, %eax
    cmpl $1, MINE
    jne failed
    addl $2, %eax
    system_call SYSCALL_EXIT, %eax

child:
    cmpl $1, MINE
    jne failed
    movl $2, MINE
    cmpl $2, MINE
    jne failed
    system_call SYSCALL_EXIT, $40

failed:
    system_call SYSCALL_EXIT, $1
    program_end fork
