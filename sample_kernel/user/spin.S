/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Never gives the processor away of its own accord. */
#include "program.inc"

    program_begin spin
1:  jmp 1b
    program_end spin
