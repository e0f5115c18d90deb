/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Exceptions, interrupts and system calls: from the gate to the handler of the vector. */
#ifndef TRAPS_H
#define TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "layout.h"
#include "x86.h"

/* Runs with interrupts masked. A handler of an interrupt ends it with vmi_end_of_interrupt(). */
typedef void trap_handler(struct trap_frame *frame);

/* The handler of a vector, null for none. */
trap_handler *trap_handler_get(uint32_t vector);
/* Sets the handler of a vector (null for none); returns the one before. */
trap_handler *trap_handler_set(uint32_t vector, trap_handler *handler);

/*
 * For a handler that finds an exception is not its business: ends the attempt, the process or the
 * kernel that raised it (in this order of preference). Returns only by way of the first two.
 */
void trap_unhandled(struct trap_frame *frame, uintptr_t address);

/* Name of an exception, for people. */
const char *trap_name(uint32_t vector);

/* entry.S: 256 entry points of 16 bytes each, in the order of vectors. */
extern const char trap_entries[];
#define TRAP_ENTRY_SIZE 16

/* entry.S: leaves the kernel by way of the frame that the stack pointer is set to. */
void trap_return(struct trap_frame *frame) FROM_ASSEMBLY __attribute__((noreturn));

/* Called by entry.S. */
void trap_dispatch_anywhere(struct trap_frame *frame);
void trap_dispatch(struct trap_frame *frame) FROM_ASSEMBLY;

void traps_init(void);

#endif
