/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "programs.h"

/* user/NAME.S defines program_NAME and program_NAME_end. */
#define PROGRAM(id)                                                                                \
    extern const unsigned char program_##id[], program_##id##_end[];                               \
    const struct program user_##id = {                                                             \
        .name = #id, .image = program_##id, .image_end = program_##id##_end}

PROGRAM(hello);
PROGRAM(memory);
PROGRAM(fork);
PROGRAM(fault);
PROGRAM(intruder);
PROGRAM(privileged);
PROGRAM(spin);
PROGRAM(misuse);
PROGRAM(nothing);
PROGRAM(syscalls);
PROGRAM(touch);
