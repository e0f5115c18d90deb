/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Goes on at the address that it begins with in rbx, where SYSCALL would ask for its number. x86-64
 * only.
 */
#include "program.inc"

    program_begin jump
    movl $SYSCALL_GETPID, %eax
    jmp *%rbx
    program_end jump
