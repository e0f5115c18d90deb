/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads a byte of the kernel, from the address that it begins with in ebx. */
#include "program.inc"

    program_begin intruder
#ifdef __x86_64__
    movb (%rbx), %al
#else
    movb (%ebx), %al
#endif
    system_call SYSCALL_EXIT, $1
    program_end intruder
