/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Makes system calls that do next to nothing; its status is the time-stamp ticks that they took. */
#include "program.inc"

    program_begin syscalls
    system_call SYSCALL_TICKS
    movl %eax, %esi                    /* esi: ticks at first */
    movl $PROGRAM_SYSTEM_CALLS, %edi   /* edi: calls to go */
1:  system_call SYSCALL_GETPID
    decl %edi
    jnz 1b
    system_call SYSCALL_TICKS
    subl %esi, %eax
    andl $SYSCALL_TICKS_MASK, %eax
    system_call SYSCALL_EXIT, %eax
    program_end syscalls
