/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two processes of this run at the same time. Each finds its floating-point registers empty, loads
 * them with numbers of its own, lets the other run, and looks whether they are still there. Status
 * 0, or the step that failed.
 */
#include "program.inc"

#define ROUNDS 8
#define WORD   USER_DATA

    program_begin float
    system_call SYSCALL_GETPID
    movl %eax, %ebp                    /* ebp: this process's number */
#ifdef __x86_64__
    /* None of the other's numbers may be seen. */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movd %xmm\n, %eax
    testl %eax, %eax
    jnz not_empty
    .endr
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    leal \n << 8(%rbp), %eax
    movd %eax, %xmm\n
    .endr
    stmxcsr WORD
    cmpl $0x1f80, WORD
    jne not_empty
    orl $0x6000, WORD                  /* round toward zero */
    ldmxcsr WORD
#endif
    movl %ebp, WORD
    fildl WORD
    fildl WORD

    movl $ROUNDS, %esi                 /* esi: rounds to go */
1:  system_call SYSCALL_YIELD
    movl $0, WORD
    fistl WORD
    cmpl %ebp, WORD
    jne not_mine
#ifdef __x86_64__
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    leal \n << 8(%rbp), %eax
    movd %xmm\n, %ecx
    cmpl %eax, %ecx
    jne not_mine
    .endr
    stmxcsr WORD
    movl WORD, %eax
    andl $0x6000, %eax
    cmpl $0x6000, %eax
    jne not_mine
#endif
    decl %esi
    jnz 1b
    system_call SYSCALL_EXIT, $0

not_empty:
    system_call SYSCALL_EXIT, $1
not_mine:
    system_call SYSCALL_EXIT, $2
    program_end float
