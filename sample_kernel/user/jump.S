/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Goes on at the address that it begins with in ebx (rbx), where a system call would ask for its
 * number.
 */
#include "program.inc"

    program_begin jump
    movl $SYSCALL_GETPID, %eax
#ifdef __x86_64__
    jmp *%rbx
#else
    jmp *%ebx
#endif
    program_end jump
