/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes a return onto its stack and jumps there. */
#include "program.inc"

    program_begin stack
#ifdef __x86_64__
    movb $0xc3, -64(%rsp) /* ret */
    lea -64(%rsp), %rax
    call *%rax
#else
    movb $0xc3, -64(%esp)
    lea -64(%esp), %eax
    call *%eax
#endif
    system_call SYSCALL_EXIT, $1
    program_end stack
