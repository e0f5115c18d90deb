/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Exceptions, interrupts and system calls: from the gate to the handler of the vector. */
#ifndef TRAPS_H
#define TRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "layout.h"
#include "x86.h"

/*
 * What lies on the stack while a handler runs: entry.S pushed it, from the last member to the
 * first.
 */
struct trap_frame {
    uint32_t edi, esi, ebp, ignored_esp, ebx, edx, ecx, eax; /* pushal */
    uint32_t vector;
    uint32_t error; /* 0 for vectors without an error code */
    /* From here on by the processor or the hypervisor. */
    uint32_t eip;
    uint32_t cs; /* the upper half is undefined */
    uint32_t eflags;
    uint32_t user_esp, user_ss; /* only if trap_from_user() */
};

/* Size of a frame that was pushed without a change of stack. */
#define TRAP_FRAME_KERNEL_SIZE __builtin_offsetof(struct trap_frame, user_esp)

static inline bool trap_from_user(const struct trap_frame *frame)
{
    return (frame->cs & RPL_MASK) == RPL_USER;
}

/* The stack pointer before the trap. */
static inline uint32_t trap_esp(const struct trap_frame *frame)
{
    return trap_from_user(frame) ? frame->user_esp
                                 : (uint32_t)(uintptr_t)frame + TRAP_FRAME_KERNEL_SIZE;
}

/* Runs with interrupts masked. A handler of an interrupt ends it with vmi_end_of_interrupt(). */
typedef void trap_handler(struct trap_frame *frame);

/* Sets the handler of a vector (null for none); returns the one before. */
trap_handler *trap_handler_set(uint32_t vector, trap_handler *handler);

/*
 * For a handler that finds an exception is not its business: ends the attempt, the process or the
 * kernel that raised it (in this order of preference). Returns only by way of the first two.
 */
void trap_unhandled(struct trap_frame *frame, uint32_t address);

/* Name of an exception, for people. */
const char *trap_name(uint32_t vector);

/* entry.S: 256 entry points of 16 bytes each, in the order of vectors. */
extern const char trap_entries[];
#define TRAP_ENTRY_SIZE 16

/* entry.S: leaves the kernel by way of the frame that the stack pointer is set to. */
void trap_return(struct trap_frame *frame) __attribute__((regparm(3), noreturn));

/* Called by entry.S. */
void trap_dispatch(struct trap_frame *frame) __attribute__((regparm(3)));

void traps_init(void);

#endif
