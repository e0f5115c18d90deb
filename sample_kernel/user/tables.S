/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Asks where the interrupt descriptor table is, an instruction that rings may have in common. */
#include "program.inc"

    program_begin tables
    sidt USER_DATA
    system_call SYSCALL_EXIT, $0
    program_end tables
