/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Processes: a thread in ring 3 with an address space of its own. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "paging.h"
#include "programs.h"

struct thread;

enum process_end {
    PROCESS_RUNNING,
    PROCESS_EXITED,  /* by its own system call */
    PROCESS_FAULTED, /* by an exception that nobody resolved */
    PROCESS_KILLED,
};

struct process {
    uint32_t id;
    const struct program *program;
    struct aspace aspace;
    struct thread *thread;
    struct process *parent; /* null if the kernel started it */
    struct process *next;   /* in the list of all processes */

    enum process_end end;
    int32_t status; /* after PROCESS_EXITED */
    uint32_t fault_vector, fault_error;
    uintptr_t fault_address;

    volatile uint32_t kill;
    uint32_t system_calls; /* how many it has made */
};

/* Starts a program. Null if memory is short. The caller reaps it. */
struct process *process_start(const struct program *program);
/*
 * The same in two steps: between them the process has its address space and its thread, and waits.
 * It begins with `argument` in the register of a system call's first argument.
 */
struct process *process_create(const struct program *program, uintptr_t argument);
void process_run(struct process *process);
/* fork() of the running process, whose registers are in *frame. The child's id, or a VMI error. */
int32_t process_fork(const struct trap_frame *frame);

/*
 * Waits for the end of a process that the caller started, copies how it ended (if `ended` is not
 * null) and gives the rest of it back.
 */
void process_reap(struct process *process, struct process *ended);
/* wait() of the running process: status of one of its children, or a VMI error. */
int32_t process_wait(uint32_t id);

/* Ends the running process. */
void process_exit(int32_t status) __attribute__((noreturn));
void process_fault(const struct trap_frame *frame, uintptr_t address) __attribute__((noreturn));
/* Asks a process to end; it does when it next leaves the kernel. */
void process_kill(struct process *process);
/* On each way out of the kernel to ring 3, which a frame leads to. */
void process_leave_kernel(struct trap_frame *frame);

#endif
