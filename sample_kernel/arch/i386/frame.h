/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a trap leaves on the stack on i386, and how assembly and C call each other. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "x86.h"

/* Functions that assembly calls, and the other way round: arguments in eax, edx, ecx. */
#define FROM_ASSEMBLY __attribute__((regparm(3)))

/*
 * What lies on the stack while a handler runs: entry.S pushed it, from the last member to the
 * first.
 */
struct trap_frame {
    uint32_t edi, esi, ebp, ignored_esp, ebx, edx, ecx, eax; /* pushal */
    uint32_t vector;
    uint32_t error; /* 0 for vectors without an error code */
    /* From here on by the processor or the hypervisor. */
    uint32_t ip;
    uint32_t cs; /* the upper half is undefined */
    uint32_t flags;
    uint32_t sp, ss; /* only if trap_from_user() */
};

/* Size of a frame that was pushed without a change of stack. */
#define TRAP_FRAME_KERNEL_SIZE __builtin_offsetof(struct trap_frame, sp)

static inline bool trap_from_user(const struct trap_frame *frame)
{
    return (frame->cs & RPL_MASK) == RPL_USER;
}

/* The stack pointer before the trap. */
static inline uintptr_t trap_sp(const struct trap_frame *frame)
{
    return trap_from_user(frame) ? frame->sp : (uintptr_t)frame + TRAP_FRAME_KERNEL_SIZE;
}

/* Arguments of a system call and its result (syscall.h). */
static inline uintptr_t frame_number(const struct trap_frame *frame)
{
    return frame->eax;
}

static inline uintptr_t frame_first(const struct trap_frame *frame)
{
    return frame->ebx;
}

static inline uintptr_t frame_second(const struct trap_frame *frame)
{
    return frame->ecx;
}

/* What a process begins with in the register of a first argument. */
static inline void frame_argument(struct trap_frame *frame, uintptr_t value)
{
    frame->ebx = value;
}

/* Whether ring 3 can be entered by a frame: a wrong address faults there, not here. */
static inline bool frame_returns(const struct trap_frame *frame)
{
    (void)frame;
    return true;
}

static inline void frame_return(struct trap_frame *frame, int32_t result)
{
    frame->eax = (uint32_t)result;
}

/* Prints the registers, two lines or more that begin with `prefix`. */
void frame_print(const struct trap_frame *frame, const char *prefix);

#endif
