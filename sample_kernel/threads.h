/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Kernel threads, preempted by the alarm, on all CPUs. A thread without a process stays in the
 * kernel; a process is a thread with an address space of its own.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

#include "fpu.h"
#include "layout.h"
#include "patience.h"

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
    uintptr_t fs_base; /* x86-64: the process's */
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

typedef void thread_function(void *argument);

/*
 * Turns the boot stack's flow into the first thread, which runs `function` on a stack of its own,
 * bound to the first CPU. Interrupts stay masked.
 */
void threads_start(void (*function)(void)) __attribute__((noreturn));

/*
 * A new thread that may run on the CPUs of a set. Null if memory is short. Ends when `function`
 * returns.
 */
struct thread *thread_create(const char *name, thread_function *function, void *argument,
                             uint32_t cpus);
/* For process.c: a new thread that does not run before thread_wake(). */
struct thread *thread_create_waiting(const char *name, thread_function *function, void *argument,
                                     uint32_t cpus);
/* Waits for the end of a thread and gives its memory back. */
void thread_join(struct thread *thread);
void thread_exit(void) __attribute__((noreturn));
/* Lets others run, if any is ready: tells whether one was. */
bool thread_yield(void);
void thread_wake(struct thread *thread);

/* Changes the address space of the running thread. */
void thread_set_aspace(const struct aspace *aspace);

/*
 * The end of an interrupt handler: the turn of the interrupted thread is over. Interrupts are
 * masked.
 */
void thread_preempt(void);

/*
 * For smp.c: the idle thread of a CPU, and its life, on the CPU and stack in question with
 * interrupts masked.
 */
struct thread *thread_create_idle(uint32_t cpu);
void thread_run_idle(void) __attribute__((noreturn));

/* Lets time pass without giving the CPU away; the interrupt mask stays as it is. */
void spin_milliseconds(uint32_t milliseconds);

/*
 * Lets others run, or the CPU rest, until *flag is not 0. False if milliseconds pass before that,
 * in which this CPU ran (patience.h). Interrupts are let in.
 */
bool wait_for(const volatile uint32_t *flag, uint32_t milliseconds);
/* The same for a number that has to be reached. */
bool wait_for_count(const volatile uint32_t *count, uint32_t wanted, uint32_t milliseconds);

#endif
