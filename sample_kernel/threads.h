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

#include "current.h"
#include "patience.h"
#include "switch.h"

/*
 * Turns the boot stack's flow into the first thread, which runs `function` on a stack of its own,
 * bound to the first CPU. Interrupts stay masked.
 */
void threads_start(void (*function)(void)) __attribute__((noreturn));

/* Has the alarm and other CPUs end turns, and gives a thread the floating-point registers on
 * demand. */
void threads_init(void);

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
 * For cpu_start.c: the idle thread of a CPU, and its life, on the CPU and stack in question with
 * interrupts masked.
 */
struct thread *thread_create_idle(uint32_t cpu);
void thread_run_idle(void) __attribute__((noreturn));

/*
 * Has a further CPU stop: it runs no thread any more, and those that may run nowhere else wait. Its
 * idle thread can be released once it has (smp_await_stop()).
 */
void thread_leave_cpu(uint32_t cpu);
void thread_release_idle(uint32_t cpu);

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
