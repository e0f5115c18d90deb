/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Changes of stack; arch/ARCH/switch.S and switch.c. */
#ifndef SWITCH_H
#define SWITCH_H

#include <stdint.h>

#include "current.h"
#include "frame.h"

typedef void thread_function(void *argument);

/*
 * Leaves the present stack, its pointer in *save, and returns on the stack *load to whoever left
 * that one.
 */
void switch_context(uintptr_t *save, const uintptr_t *load) FROM_ASSEMBLY;

/* Goes on in a function on another stack. */
void run_on_stack(void (*function)(void), void *top) FROM_ASSEMBLY __attribute__((noreturn));

/*
 * Fills a new stack as if begin(function, argument) had called switch_context() as its first thing;
 * returns its stack pointer.
 */
uintptr_t thread_first_stack(uintptr_t top, void (*begin)(thread_function *, void *),
                             thread_function *function, void *argument);

/*
 * At a switch to the thread of a process, interrupts masked: segment registers and their bases are
 * this process's, whatever the one before has put there.
 */
void switch_segments(const struct bases *bases);

/*
 * At a switch from the thread of a process, interrupts masked: keeps the bases that it has set by
 * itself, where it can. Else only switch_fs_base() changes one.
 */
void switch_keep_bases(struct bases *bases);

/*
 * Sets the base of FS that the running process asks for: 0, or an error of vmi/constants.h. The
 * base is kept for switch_segments(), in *bases. With interrupts masked.
 */
int32_t switch_fs_base(struct bases *bases, uintptr_t base);

/* Leaves the kernel by way of the frame that the stack pointer is set to. */
void trap_return(struct trap_frame *frame) FROM_ASSEMBLY __attribute__((noreturn));

#endif
