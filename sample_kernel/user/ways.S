/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * System calls by SYSCALL and by INT in turn. Status 0, or the step that failed. x86-64 only.
 */
#include "program.inc"

#define ROUNDS 20

    program_begin ways
    system_call SYSCALL_GETPID
    movl %eax, %ebp                    /* ebp: this process's number */
    movl $ROUNDS, %esi                 /* esi: rounds to go */
1:  system_call SYSCALL_GETPID, by=by_interrupt
    movl $1, %edi                      /* edi: the step */
    cmpl %ebp, %eax
    jne wrong
    system_call SYSCALL_GETPID
    movl $2, %edi
    cmpl %ebp, %eax
    jne wrong
    system_call SYSCALL_YIELD, by=by_interrupt
    movl $3, %edi
    testl %eax, %eax
    jnz wrong
    decl %esi
    jnz 1b
    xorl %edi, %edi
wrong:
    system_call SYSCALL_EXIT, %edi, by=by_interrupt
    program_end ways
