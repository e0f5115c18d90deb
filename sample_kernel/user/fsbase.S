/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two processes of this run at the same time. Each sets a base of FS of its own, lets the other run,
 * spoils it by a selector and sets it again. Bases that no process may have are refused. Status 0,
 * or the step that failed. x86-64 only.
 */
#include "../x86.h"
#include "program.inc"

#define ROUNDS 8

    .macro expect step, error
    movl $\step, %edi
    cmpl $\error, %eax
    jne wrong
    .endm

    program_begin fsbase
    movabs $0x0000800000000000, %rbx   /* not canonical */
    movl $SYSCALL_FS_BASE, %eax
    syscall
    expect 1, VMI_EINVAL
    movabs $KERNEL_IMAGE, %rbx
    movl $SYSCALL_FS_BASE, %eax
    syscall
    expect 2, VMI_EINVAL

    system_call SYSCALL_GETPID
    movl %eax, %ebp                    /* ebp: this process's number */
    andl $1, %eax
    shll $12, %eax
    leal USER_DATA(%rax), %r12d        /* r12: the base, one of two */
    movl $ROUNDS, %esi                 /* esi: rounds to go */
1:  system_call SYSCALL_FS_BASE, %r12d
    expect 3, VMI_OK
    movl %ebp, %fs:0
    .rept 4
    system_call SYSCALL_YIELD
    movl $4, %edi
    cmpl %ebp, %fs:0
    jne wrong
    movl $5, %edi
    cmpl %ebp, (%r12)
    jne wrong
    movl $0, %fs:0
    system_call SYSCALL_YIELD, by=by_interrupt
    movl $6, %edi
    cmpl $0, (%r12)
    jne wrong
    movl %ebp, %fs:0
    .endr
    movl $USER_DS, %eax
    movl %eax, %fs
    movl %eax, %gs
    decl %esi
    jnz 1b

    /* A child has its parent's. */
    system_call SYSCALL_FS_BASE, %r12d
    movl %ebp, %fs:0
    go_on_in_child 7
    cmpl %ebp, %fs:0
    jne wrong
    xorl %edi, %edi
wrong:
    system_call SYSCALL_EXIT, %edi
    program_end fsbase
