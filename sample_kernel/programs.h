/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The programs in user/. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include "process.h"

extern const struct program user_hello, user_memory, user_fork, user_fault, user_intruder,
    user_privileged, user_spin, user_misuse;

#endif
