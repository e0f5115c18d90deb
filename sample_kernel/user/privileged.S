/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Executes an instruction that is for ring 0 only. */
#include "program.inc"

    program_begin privileged
    hlt
    system_call SYSCALL_EXIT, $1
    program_end privileged
