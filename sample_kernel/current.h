/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The running thread, found from the stack pointer, and what each layer keeps for a thread. How
 * threads take turns is said in threads.h.
 */
#ifndef CURRENT_H
#define CURRENT_H

#include <stdint.h>

#include "fpu.h"
#include "layout.h"

/* x86-64: of a process, while it does not run. */
struct bases {
    uintptr_t fs, gs;
};

struct aspace;
struct attempt;
struct process;

enum thread_state {
    THREAD_READY,   /* in the queue of runnable threads */
    THREAD_RUNNING, /* on a CPU */
    THREAD_WAITING, /* until somebody wakes it */
    THREAD_ENDED,
};

#define THREAD_MAGIC 0x4d494854 /* changed by a stack that grew too far */
#define CPUS_ALL     UINT32_MAX

/* Lies at the low end of the thread's stack. */
struct thread {
    uintptr_t sp; /* while it does not run: as switch_context() left it */
    const char *name;
    enum thread_state state;
    uint32_t cpu;        /* it runs there, or ran there last */
    uint32_t cpus;       /* set of CPUs that it may run on */
    uint32_t preempted;  /* how often the alarm took the CPU from it */
    struct thread *next; /* in the queue */
    struct thread *joiner;
    const struct aspace *aspace;
    struct process *process; /* null for a kernel thread */
    struct attempt *attempt;
    struct fpu_state fpu;
    struct bases bases;
    uint32_t magic;
};

/* The thread whose stack is in use. No segment register is spent on this, nor is memory per CPU. */
static inline struct thread *thread_current(void)
{
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);

    return (struct thread *)(sp & ~(uintptr_t)(STACK_SIZE - 1));
}

/*
 * The CPU that runs the caller: stays true only while interrupts are masked or the thread is bound
 * to it.
 */
static inline uint32_t cpu_current(void)
{
    return thread_current()->cpu;
}

/* Top of a thread's stack: where it begins in ring 0, and at each entry from ring 3. */
static inline uintptr_t thread_stack_top(const struct thread *thread)
{
    return (uintptr_t)thread + STACK_SIZE;
}

#endif
