/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>

#include "cpus.h"
#include "descriptors.h"
#include "frames.h"
#include "lock.h"
#include "paging.h"
#include "panic.h"
#include "smp.h"
#include "string.h"
#include "switch.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

/* What a CPU is about. */
struct cpu {
    struct thread *idle;
    const struct aspace *aspace; /* as loaded */
};

static struct cpu cpus[CPUS_MAX];

/* Set of CPUs that run their idle threads alone, which stop them. */
static volatile uint32_t leaving;

/*
 * Guards the queue and all thread states. It is held across switch_context(): who is switched to
 * releases it, so no CPU picks a thread up before its registers are on its stack.
 */
static struct spinlock run_lock;
static struct thread *queue_first, *queue_last;

static uint8_t main_stack[STACK_SIZE] __attribute__((aligned(STACK_SIZE)));

static void enqueue(struct thread *thread)
{
    thread->state = THREAD_READY;
    thread->next = NULL;
    if (queue_first == NULL)
        queue_first = thread;
    else
        queue_last->next = thread;
    queue_last = thread;
}

/*
 * Takes the first thread that may run on a CPU out of the queue; its idle thread if there is none.
 */
static struct thread *dequeue(uint32_t cpu)
{
    struct thread *previous = NULL;

    if (leaving & 1u << cpu)
        return cpus[cpu].idle;
    for (struct thread *thread = queue_first; thread != NULL; thread = thread->next) {
        if (thread->cpus & 1u << cpu) {
            if (previous == NULL)
                queue_first = thread->next;
            else
                previous->next = thread->next;
            if (queue_last == thread)
                queue_last = previous;
            return thread;
        }
        previous = thread;
    }
    return cpus[cpu].idle;
}

static bool is_idle(const struct thread *thread)
{
    return thread == cpus[thread->cpu].idle;
}

/*
 * Gives the CPU to the next thread. run_lock is held and interrupts are masked, before and after. A
 * thread that goes on running is in the queue already. True if another thread ran before this one
 * came back.
 */
static bool schedule(void)
{
    struct thread *previous = thread_current();
    uint32_t cpu = previous->cpu;
    struct thread *next = dequeue(cpu);

    next->state = THREAD_RUNNING;
    if (next == previous)
        return false;
    if (previous->magic != THREAD_MAGIC || next->magic != THREAD_MAGIC)
        panic("a stack has grown into its thread (%s or %s)", previous->name, next->name);

    fpu_leave(&previous->fpu);
    if (previous->process != NULL)
        switch_keep_bases(&previous->bases);
    next->cpu = cpu;
    /* What changes at a switch may go to a hypervisor in one piece. */
    vmi_set_lazy_mode(VMI_LAZY_CPU);
    descriptors_kernel_stack(cpu, thread_stack_top(next));
    if (cpus[cpu].aspace != next->aspace) {
        cpus[cpu].aspace = next->aspace;
        aspace_load(next->aspace);
    }
    if (next->process != NULL)
        switch_segments(&next->bases);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    switch_context(&previous->sp, &next->sp);
    return true;
}

/* The first thing that a thread runs; schedule() on another stack has left run_lock held. */
static void thread_begin(thread_function *function, void *argument)
{
    lock_release_masked(&run_lock);
    vmi_enable_interrupts();
    function(argument);
    thread_exit();
}

static void thread_prepare(struct thread *thread, const char *name, uint32_t allowed_cpus)
{
    memset(thread, 0, sizeof(*thread));
    thread->name = name;
    thread->cpus = allowed_cpus;
    thread->aspace = &kernel_aspace;
    thread->magic = THREAD_MAGIC;
}

struct thread *thread_create_waiting(const char *name, thread_function *function, void *argument,
                                     uint32_t allowed_cpus)
{
    uint32_t pfn = frame_allocate_pair();
    if (pfn == FRAME_NONE)
        return NULL;

    struct thread *thread = frame_address(pfn);
    thread_prepare(thread, name, allowed_cpus);
    thread->state = THREAD_WAITING;

    thread->sp = thread_first_stack(thread_stack_top(thread), thread_begin, function, argument);
    return thread;
}

struct thread *thread_create(const char *name, thread_function *function, void *argument,
                             uint32_t allowed_cpus)
{
    struct thread *thread = thread_create_waiting(name, function, argument, allowed_cpus);
    if (thread != NULL)
        thread_wake(thread);
    return thread;
}

void thread_wake(struct thread *thread)
{
    uint32_t flags = lock_acquire(&run_lock);
    if (thread->state == THREAD_WAITING)
        enqueue(thread);
    uint32_t here = cpu_current();
    lock_release(&run_lock, flags);
    smp_reschedule(thread->cpus & ~(1u << here));
}

static void release(struct thread *thread)
{
    uint32_t pfn = frame_of(thread);

    frame_release(pfn);
    frame_release(pfn + 1);
}

void thread_join(struct thread *thread)
{
    uint32_t flags = lock_acquire(&run_lock);
    while (thread->state != THREAD_ENDED) {
        thread->joiner = thread_current();
        thread_current()->state = THREAD_WAITING;
        schedule();
    }
    /* It has left its stack: its last schedule() was done before the lock could be had. */
    lock_release(&run_lock, flags);
    release(thread);
}

void thread_exit(void)
{
    struct thread *thread = thread_current();

    lock_acquire(&run_lock);
    thread->state = THREAD_ENDED;
    if (thread->joiner != NULL && thread->joiner->state == THREAD_WAITING)
        enqueue(thread->joiner);
    schedule();
    panic("thread %s runs though it has ended", thread->name);
}

bool thread_yield(void)
{
    uint32_t flags = lock_acquire(&run_lock);
    enqueue(thread_current());
    bool others = schedule();
    lock_release(&run_lock, flags);
    return others;
}

/*
 * The end of an interrupt handler, interrupts masked: the turn of the interrupted thread is over.
 */
static void preempt(void)
{
    struct thread *thread = thread_current();

    lock_acquire(&run_lock);
    if (!is_idle(thread))
        enqueue(thread);
    if (schedule())
        thread->preempted++;
    lock_release_masked(&run_lock);
}

/*
 * No processor and no hypervisor hands over an interrupt while they are masked: it would come where
 * nothing is prepared for it. An emulated one has been seen to; tests know it by these words.
 */
static void not_masked(const struct trap_frame *frame)
{
    if (!(frame->flags & EFLAGS_IF))
        panic("vector 0x%x came while interrupts were masked, at 0x%llx", (unsigned)frame->vector,
              (unsigned long long)frame->ip);
}

static void end_turn(const struct trap_frame *frame)
{
    vmi_end_of_interrupt(frame->vector);
    smp_park_if_asked();
    preempt();
}

static void reschedule(struct trap_frame *frame)
{
    not_masked(frame);
    end_turn(frame);
}

static void alarm(struct trap_frame *frame)
{
    not_masked(frame);
    timer_gone_off();
    end_turn(frame);
}

static void no_fpu(struct trap_frame *frame)
{
    (void)frame;
    fpu_take(&thread_current()->fpu);
}

void threads_init(void)
{
    trap_handler_set(VECTOR_ALARM, alarm);
    trap_handler_set(VECTOR_RESCHEDULE, reschedule);
    trap_handler_set(TRAP_NO_FPU, no_fpu);
}

void thread_set_aspace(const struct aspace *aspace)
{
    uint32_t flags = interrupts_mask();
    thread_current()->aspace = aspace;
    cpus[cpu_current()].aspace = aspace;
    aspace_load(aspace);
    interrupts_restore(flags);
}

static void stop_if_leaving(uint32_t cpu)
{
    if (!(leaving & 1u << cpu))
        return;
    vmi_enable_interrupts();
    smp_is_offline(cpu);
    vmi_disable_interrupts();
    panic("CPU %u does not stop: %d", cpu, (int)vmi_stop_cpu());
}

/*
 * Runs when no thread is ready: waits for an interrupt, in whose handler or after which there may
 * be one.
 */
static void idle(void)
{
    for (;;) {
        vmi_disable_interrupts();
        lock_acquire(&run_lock);
        schedule();
        lock_release_masked(&run_lock);
        stop_if_leaving(cpu_current());
        vmi_halt();
    }
}

static void idle_function(void *argument)
{
    (void)argument;
    idle();
}

struct thread *thread_create_idle(uint32_t cpu)
{
    struct thread *thread = thread_create_waiting("idle", idle_function, NULL, 1u << cpu);
    if (thread == NULL)
        panic("no memory for the idle thread of CPU %u", cpu);
    thread->cpu = cpu;
    cpus[cpu].idle = thread;
    cpus[cpu].aspace = &kernel_aspace;
    __atomic_and_fetch(&leaving, ~(1u << cpu), __ATOMIC_RELEASE);
    return thread;
}

void thread_leave_cpu(uint32_t cpu)
{
    __atomic_or_fetch(&leaving, 1u << cpu, __ATOMIC_RELEASE);
    smp_reschedule(1u << cpu);
}

void thread_release_idle(uint32_t cpu)
{
    release(cpus[cpu].idle);
    cpus[cpu].idle = NULL;
}

void thread_run_idle(void)
{
    thread_current()->state = THREAD_RUNNING;
    idle();
    __builtin_unreachable();
}

void threads_start(void (*function)(void))
{
    struct thread *thread = (struct thread *)main_stack;

    thread_prepare(thread, "main", 1);
    thread->state = THREAD_RUNNING;
    run_on_stack(function, main_stack + STACK_SIZE);
}

void spin_milliseconds(uint32_t milliseconds)
{
    uint64_t end = vmi_clock_nanoseconds() + (uint64_t)milliseconds * 1000000;
    while (vmi_clock_nanoseconds() < end)
        __asm__ volatile("pause");
}

bool wait_for(const volatile uint32_t *flag, uint32_t milliseconds)
{
    return wait_for_count(flag, 1, milliseconds);
}

bool wait_for_count(const volatile uint32_t *count, uint32_t wanted, uint32_t milliseconds)
{
    struct patience patience;

    patience_begin(&patience, milliseconds);
    while (*count < wanted) {
        if (!patience_left(&patience))
            return *count >= wanted;
        /* With nobody else to run, the next turn of the alarm is soon enough to look again. */
        if (!thread_yield() && timer_is_periodic(cpu_current()))
            vmi_halt();
    }
    return true;
}
