/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Two processes of this run at the same time, with CR4.FSGSBASE on. Each finds bases of FS and GS
 * of 0, sets both to numbers of its own, GS's in the upper half, lets the other run, and looks
 * whether they are still there; so does a child. Status 0, or the step that failed. x86-64 only.
 */
#include "program.inc"

#define ROUNDS 8

    program_begin bases
    movl $1, %edi                      /* edi: the step */
    rdfsbase %r12
    rdgsbase %r13
    orq %r13, %r12
    jnz wrong

    system_call SYSCALL_GETPID
    shll $12, %eax
    leal USER_DATA(%rax), %r12d        /* r12: the base of FS */
    movabs $KERNEL_IMAGE, %r13
    addq %rax, %r13                    /* r13: that of GS */
    wrfsbase %r12
    wrgsbase %r13
    movl $ROUNDS, %esi                 /* esi: rounds to go */
1:  system_call SYSCALL_YIELD
    movl $2, %edi
    call same
    system_call SYSCALL_YIELD, by=by_interrupt
    movl $3, %edi
    call same
    decl %esi
    jnz 1b

    go_on_in_child 4
    movl $5, %edi
    call same
    xorl %edi, %edi
wrong:
    system_call SYSCALL_EXIT, %edi

same:
    rdfsbase %rax
    cmpq %r12, %rax
    jne wrong
    rdgsbase %rax
    cmpq %r13, %rax
    jne wrong
    ret
    program_end bases
