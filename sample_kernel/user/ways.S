/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * System calls by SYSCALL and by INT in turn, with the base of GS that is the argument, if it is not
 * 0. Status 0, or the step that failed. x86-64 only.
 */
#include "program.inc"

#define ROUNDS 20

    program_begin ways
    movq %rbx, %r12                    /* r12: the base */
    testq %r12, %r12
    jz 2f
    wrgsbase %r12
2:  system_call SYSCALL_GETPID
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
    testq %r12, %r12
    jz wrong
    movl $4, %edi
    rdgsbase %rax
    cmpq %r12, %rax
    jne wrong
    xorl %edi, %edi
wrong:
    system_call SYSCALL_EXIT, %edi, by=by_interrupt
    program_end ways
