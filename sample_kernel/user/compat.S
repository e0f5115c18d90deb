/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Goes to the 32-bit code segment, where SYSCALL is another instruction: it is invalid, or its answer
 * is that there is no such call. INT is the same as ever. Status 0, or the step that failed. x86-64
 * only.
 */
#include "../x86.h"
#include "program.inc"

    program_begin compat
    movl $USER_DATA, %esp
    addl $4096, %esp
    /* Not by LRET: with SMAP on, QEMU 7.2 reads what it pops as ring 0 would, and faults. */
    ljmpl *to_narrow(%rip)
to_narrow:
    .long USER(narrow)
    .word SELECTOR(GDT_USER_CODE32, RPL_USER)
    .code32
narrow:
    movl $SYSCALL_GETPID, %eax
    syscall
    movl $1, %ebx
    cmpl $VMI_ENOSYS, %eax
    jne wrong
    movl $SYSCALL_GETPID, %eax
    int $VECTOR_SYSCALL
    movl $2, %ebx
    cmpl $0, %eax
    jle wrong
    xorl %ebx, %ebx
wrong:
    movl $SYSCALL_EXIT, %eax
    int $VECTOR_SYSCALL
    .code64
    program_end compat
