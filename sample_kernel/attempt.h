/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Doing what may fault: the kernel's only way to survive an exception of its own. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

/* How an attempt ended early. */
struct fault {
    uint32_t vector, error;
    uintptr_t address; /* cr2, for page faults */
    uintptr_t ip;
    uint32_t cs;
};

typedef void attempt_function(void *argument) FROM_ASSEMBLY;

/*
 * Calls function(argument). If that raises an exception which no handler resolves, it is given up
 * as it stands (so it must hold no lock), *fault is filled unless it is null, and the result is
 * false.
 */
bool attempt(attempt_function *function, void *argument, struct fault *fault);

/* For the trap handler: if the current thread is inside an attempt, ends it and does not return. */
void attempt_end(const struct trap_frame *frame, uintptr_t address);

/* Tries to read or write a word. False if that faulted. */
bool attempt_read(uintptr_t address, uint32_t *value, struct fault *fault);
bool attempt_write(uintptr_t address, uint32_t value, struct fault *fault);

#endif
