/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Reads the time twice, as the programs that measure do, and ends. */
#include "program.inc"

    program_begin readings
    system_call SYSCALL_TICKS
    system_call SYSCALL_TICKS
    system_call SYSCALL_EXIT
    program_end readings
