/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ends at once. */
#include "program.inc"

    program_begin nothing
    system_call SYSCALL_EXIT
    program_end nothing
