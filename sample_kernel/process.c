/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>
#include <vmi/vmi.h>

#include "descriptors.h"
#include "frames.h"
#include "lock.h"
#include "process.h"
#include "string.h"
#include "switch.h"
#include "threads.h"
#include "usermem.h"
#include "x86.h"

/* All processes that have not been reaped. */
static struct spinlock list_lock;
static struct process *processes;
static uint32_t last_id;

/* A process takes a frame: this kernel has no smaller allocation. */
_Static_assert(sizeof(struct process) <= PAGE_SIZE, "struct process does not fit its frame");

static void free_process(struct process *process)
{
    frame_release(frame_of(process));
}

/* The life of a process's thread: goes to ring 3 with the registers of a frame. */
static void enter_user(void *argument)
{
    const struct trap_frame *initial = argument;
    struct trap_frame frame = *initial; /* on this stack: the way out pops it */

    process_leave_kernel(&frame);
    vmi_disable_interrupts();
    trap_return(&frame);
}

/*
 * A process with an empty address space and a waiting thread, which will enter ring 3 with the
 * registers of *initial. These are kept in the process's frame.
 */
static struct process *create(const struct program *program, const struct trap_frame *initial)
{
    struct {
        struct process process;
        struct trap_frame initial;
    } * both;
    uint32_t pfn = frame_allocate_zeroed();
    if (pfn == FRAME_NONE)
        return NULL;

    both = frame_address(pfn);
    struct process *process = &both->process;
    both->initial = *initial;
    process->program = program;
    if (aspace_create(&process->aspace)) {
        process->thread =
            thread_create_waiting(program->name, enter_user, &both->initial, CPUS_ALL);
        if (process->thread != NULL) {
            process->thread->process = process;
            process->thread->aspace = &process->aspace;
            return process;
        }
        aspace_destroy(&process->aspace);
    }
    free_process(process);
    return NULL;
}

/* Gives it a number, makes it known and lets it run. */
static uint32_t publish(struct process *process)
{
    uint32_t flags = lock_acquire(&list_lock);
    uint32_t id = process->id = ++last_id;
    process->next = processes;
    processes = process;
    lock_release(&list_lock, flags);
    thread_wake(process->thread);
    return id;
}

struct process *process_create(const struct program *program, uintptr_t argument)
{
    struct trap_frame initial = {
        .ip = USER_TEXT,
        .cs = user_cs(),
        .flags = EFLAGS_FIXED | EFLAGS_IF,
        .sp = USER_STACK_TOP,
        .ss = user_ss(),
    };
    frame_argument(&initial, argument);
    return create(program, &initial);
}

void process_run(struct process *process)
{
    publish(process);
}

struct process *process_start(const struct program *program)
{
    struct process *process = process_create(program, 0);
    if (process != NULL)
        process_run(process);
    return process;
}

int32_t process_fork(const struct trap_frame *frame)
{
    struct process *parent = thread_current()->process;
    struct trap_frame initial = *frame;

    frame_return(&initial, 0); /* what fork() returns in the child */
    struct process *child = create(parent->program, &initial);
    if (child == NULL)
        return VMI_ENOMEM;
    child->parent = parent;
    uint32_t flags = interrupts_mask();
    switch_keep_bases(&parent->thread->bases);
    interrupts_restore(flags);
    child->thread->bases = parent->thread->bases;
    if (!usermem_fork(&parent->aspace, &child->aspace)) {
        child->kill = 1; /* it ends before its first instruction, and is reaped with its parent */
        publish(child);
        return VMI_ENOMEM;
    }
    return (int32_t)publish(child);
}

void process_reap(struct process *process, struct process *ended)
{
    thread_join(process->thread);

    uint32_t flags = lock_acquire(&list_lock);
    struct process **link = &processes;
    while (*link != process)
        link = &(*link)->next;
    *link = process->next;
    lock_release(&list_lock, flags);
    if (ended != NULL)
        *ended = *process;
    free_process(process);
}

/* A child of a process: the one with a number, or any for number 0. */
static struct process *find_child(const struct process *parent, uint32_t id)
{
    uint32_t flags = lock_acquire(&list_lock);
    struct process *process = processes;
    while (process != NULL && (process->parent != parent || (id != 0 && process->id != id)))
        process = process->next;
    lock_release(&list_lock, flags);
    return process;
}

int32_t process_wait(uint32_t id)
{
    struct process *child = find_child(thread_current()->process, id);
    struct process ended;

    if (child == NULL)
        return VMI_ENOENT;
    process_reap(child, &ended);
    return ended.end == PROCESS_EXITED ? ended.status : VMI_EIO;
}

/*
 * The running process has ended: gives back all that only itself used. Its thread and number stay
 * until it is reaped.
 */
static void __attribute__((noreturn)) finish(enum process_end end)
{
    struct process *process = thread_current()->process;

    vmi_enable_interrupts();
    for (struct process *child; (child = find_child(process, 0)) != NULL;)
        process_reap(child, NULL);

    process->end = end;
    thread_set_aspace(&kernel_aspace);
    aspace_destroy(&process->aspace);
    thread_exit();
}

void process_exit(int32_t status)
{
    thread_current()->process->status = status;
    finish(PROCESS_EXITED);
}

void process_fault(const struct trap_frame *frame, uintptr_t address)
{
    struct process *process = thread_current()->process;

    process->fault_vector = (uint32_t)frame->vector;
    process->fault_address = address;
    process->fault_error = (uint32_t)frame->error;
    finish(PROCESS_FAULTED);
}

void process_kill(struct process *process)
{
    process->kill = 1;
}

void process_leave_kernel(struct trap_frame *frame)
{
    if (thread_current()->process->kill)
        finish(PROCESS_KILLED);
    if (!frame_returns(frame)) {
        frame->vector = TRAP_PROTECTION;
        frame->error = 0;
        process_fault(frame, frame->ip);
    }
}
