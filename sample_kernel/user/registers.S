/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Fills all registers, makes a system call that lets others run, and looks whether they are as they
 * were, but for the result's. Status 0, or the number of a register that is not.
 */
#include "program.inc"

#define FILL 0x5eed0000

    .macro expect name, number
    movl $\number, %eax
    cmpl $FILL + \number, %\name
    jne wrong
    .endm

#ifdef __x86_64__
#define SAVE_STACK mov %rsp, %r15
#define KEPT_STACK cmp %rsp, %r15
#else
#define SAVE_STACK movl %esp, %ebp
#define KEPT_STACK cmpl %esp, %ebp
#endif

    .macro call_and_compare by
    SAVE_STACK
    movl $FILL + 1, %ebx
    movl $FILL + 2, %esi
    movl $FILL + 3, %edi
    movl $FILL + 4, %edx
#ifdef __x86_64__
    movl $FILL + 6, %ebp
    movl $FILL + 8, %r8d
    movl $FILL + 9, %r9d
    movl $FILL + 10, %r10d
    movl $FILL + 12, %r12d
    movl $FILL + 13, %r13d
    movl $FILL + 14, %r14d
#endif
    movl $SYSCALL_YIELD, %eax
    \by
    expect ebx, 1
    expect esi, 2
    expect edi, 3
    expect edx, 4
#ifdef __x86_64__
    expect ebp, 6
    expect r8d, 8
    expect r9d, 9
    expect r10d, 10
    expect r12d, 12
    expect r13d, 13
    expect r14d, 14
#endif
    movl $16, %eax
    KEPT_STACK
    jne wrong
    .endm

    program_begin registers
#ifdef __x86_64__
    call_and_compare syscall
    /* SYSCALL has rcx and r11 for itself, an interrupt has not. */
    movl $FILL + 5, %ecx
    movl $FILL + 11, %r11d
#else
    movl $FILL + 5, %ecx
#endif
    call_and_compare by_interrupt
    expect ecx, 5
#ifdef __x86_64__
    expect r11d, 11
#endif
    xorl %eax, %eax
wrong:
    system_call SYSCALL_EXIT, %eax
    program_end registers
