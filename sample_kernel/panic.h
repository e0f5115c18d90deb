/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The end of a kernel that cannot go on. */
#ifndef PANIC_H
#define PANIC_H

#include <stdint.h>

struct trap_frame;

/* Says why on the console and ends the machine with VMI_STATUS_PANIC. */
void panic(const char *text, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same for an exception that nobody handles: shows what the processor held. */
void panic_trap(const struct trap_frame *frame, const char *name, uintptr_t address)
    __attribute__((noreturn));

#endif
