/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes a return onto its stack and jumps there. x86-64 only. */
#include "program.inc"

    program_begin stack
    movb $0xc3, -64(%rsp) /* ret */
    lea -64(%rsp), %rax
    call *%rax
    system_call SYSCALL_EXIT, $1
    program_end stack
