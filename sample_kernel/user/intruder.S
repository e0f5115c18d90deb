/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the first byte of the kernel's image. */
#include "program.inc"

    program_begin intruder
    movb 0xc0100000, %al
    system_call SYSCALL_EXIT, $1
    program_end intruder
