/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two processes of this run at the same time. Each fills its data pages, which begin as zeroes, and
 * one page of its stack with its process number, lets the other run, and looks whether all is still
 * there. Status 0, or the step that failed.
 */
#include "program.inc"

#define ROUNDS 4

    program_begin memory
    system_call SYSCALL_GETPID
    movl %eax, %ebp                    /* ebp: this process's number */

    movl $USER_DATA, %edi              /* edi: the page */
1:  cmpl $0, (%edi)
    jne not_zero
    movl %ebp, (%edi)
    addl $4096, %edi
    cmpl $USER_DATA + USER_DATA_PAGES * 4096, %edi
    jb 1b
    cmpl $0, -4096(%esp)
    jne not_zero
    movl %ebp, -4096(%esp)

    movl $ROUNDS, %esi                 /* esi: rounds to go */
2:  system_call SYSCALL_YIELD
    movl $USER_DATA, %edi
3:  cmpl %ebp, (%edi)
    jne not_mine
    addl $4096, %edi
    cmpl $USER_DATA + USER_DATA_PAGES * 4096, %edi
    jb 3b
    cmpl %ebp, -4096(%esp)
    jne not_mine
    decl %esi
    jnz 2b
    system_call SYSCALL_EXIT, $0

not_zero:
    system_call SYSCALL_EXIT, $1
not_mine:
    system_call SYSCALL_EXIT, $2
    program_end memory
