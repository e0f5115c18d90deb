/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two processes of this run at the same time, on a processor with AVX. Each finds its wide registers
 * empty, loads them with numbers of its own, lets the other run, and looks whether they are still
 * there. Status 0, or the step that failed. x86-64 only.
 */
#include "program.inc"

#define ROUNDS 8
#define WORDS  USER_DATA

    program_begin vectors
    system_call SYSCALL_GETPID
    movl %eax, %ebp                    /* ebp: this process's number */
    /* None of the other's numbers may be seen, in neither half. */
    movl $1, %edi                      /* edi: the step */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vptest %ymm\n, %ymm\n
    jnz wrong
    .endr
    /* The register's number in byte 1, of the lower half; one more there, of the upper half. */
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    leal (\n + 1) << 8(%rbp), %eax
    vmovd %eax, %xmm\n
    vinsertf128 $1, %xmm\n, %ymm\n, %ymm\n
    leal \n << 8(%rbp), %eax
    movd %eax, %xmm\n
    .endr

    movl $ROUNDS, %esi                 /* esi: rounds to go */
1:  system_call SYSCALL_YIELD
    movl $2, %edi
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovdqu %ymm\n, WORDS
    leal \n << 8(%rbp), %eax
    cmpl %eax, WORDS
    jne wrong
    addl $0x100, %eax
    cmpl %eax, WORDS + 16
    jne wrong
    .endr
    decl %esi
    jnz 1b
    xorl %edi, %edi
wrong:
    system_call SYSCALL_EXIT, %edi
    program_end vectors
