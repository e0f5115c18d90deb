/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Exceptions, interrupts and system calls: the handlers of vectors. */
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

/* Name of an exception, for people. */
const char *trap_name(uint32_t vector);

/*
 * Was an interrupt that was to return here taken between STI and the HLT right behind it? No
 * processor does that (Intel SDM vol. 2B, STI). QEMU's SVM does: its VMRUN does not load the
 * interrupt shadow that an exit has saved, so a guest that was left there for a moment has lost it.
 */
bool trap_before_halt(uintptr_t ip);

/* Between the entry points that gates lead to (entry.h), in bytes. */
#define TRAP_ENTRY_SIZE 16

#endif
