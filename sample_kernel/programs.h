/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The programs in user/; for C and assembly. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

/* How many calls the program `syscalls` makes between its two readings of the time. */
#define PROGRAM_SYSTEM_CALLS 1000

#ifndef __ASSEMBLER__
#include "process.h"

extern const struct program user_hello, user_memory, user_fork, user_fault, user_intruder,
    user_privileged, user_spin, user_misuse, user_nothing, user_syscalls, user_touch;
#endif

#endif
