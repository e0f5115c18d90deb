/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes a line; its status is its process number, less the length that the kernel did not take. */
#include "program.inc"

    program_begin hello
    system_call SYSCALL_WRITE, $USER(text), $text_end-text
    movl %eax, %esi
    subl $text_end - text, %esi
    system_call SYSCALL_YIELD
    system_call SYSCALL_GETPID
    addl %eax, %esi
    system_call SYSCALL_EXIT, %esi
text:
    .ascii "hello from ring 3"
text_end:
    program_end hello
