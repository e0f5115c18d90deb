/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a trap leaves on the stack on x86-64, and how assembly and C call each other. */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "x86.h"

#define LOWER_HALF_END 0x0000800000000000 /* of linear addresses with 48 bits */

/* Functions that assembly calls, and the other way round: the compiler's own convention. */
#define FROM_ASSEMBLY

/*
 * What lies on the stack while a handler runs: entry.S pushed it, from the last member to the
 * first.
 */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error; /* 0 for vectors without an error code */
    /* From here on by the processor or the hypervisor. */
    uint64_t ip;
    uint64_t cs; /* all but the low half is undefined */
    uint64_t flags;
    uint64_t sp, ss;
};

static inline bool trap_from_user(const struct trap_frame *frame)
{
    return (frame->cs & RPL_MASK) == RPL_USER;
}

/* The stack pointer before the trap. */
static inline uintptr_t trap_sp(const struct trap_frame *frame)
{
    return frame->sp;
}

/* Arguments of a system call and its result (syscall.h). */
static inline uintptr_t frame_number(const struct trap_frame *frame)
{
    return frame->rax;
}

static inline uintptr_t frame_first(const struct trap_frame *frame)
{
    return frame->rbx;
}

static inline uintptr_t frame_second(const struct trap_frame *frame)
{
    return frame->rdx;
}

/* What a process begins with in the register of a first argument. */
static inline void frame_argument(struct trap_frame *frame, uintptr_t value)
{
    frame->rbx = value;
}

/*
 * Whether ring 3 can be entered by a frame: IRET and, on some processors, SYSRET fault in ring 0
 * for an address that is not canonical, and the other half is the kernel's.
 */
static inline bool frame_returns(const struct trap_frame *frame)
{
    return frame->ip < LOWER_HALF_END;
}

static inline void frame_return(struct trap_frame *frame, int32_t result)
{
    frame->rax = (uint64_t)(int64_t)result;
}

/* Prints the registers, two lines or more that begin with `prefix`. */
void frame_print(const struct trap_frame *frame, const char *prefix);

#endif
