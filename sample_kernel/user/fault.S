/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Writes to an address that no process has. */
#include "program.inc"

    program_begin fault
    movl $1, 0x10
    system_call SYSCALL_EXIT, $1
    program_end fault
