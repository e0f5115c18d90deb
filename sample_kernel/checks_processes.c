/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Ring 3: system calls, address spaces, faults. */
#include <stddef.h>

#include "checks.h"
#include "frames.h"
#include "paging.h"
#include "process.h"
#include "programs.h"
#include "threads.h"
#include "usermem.h"
#include "x86.h"

/* Runs a program to its end. False if memory is short. */
static bool run(const struct program *program, struct process *ended)
{
    struct process *process = process_start(program);
    if (process == NULL)
        return false;
    process_reap(process, ended);
    return true;
}

static void system_calls(void)
{
    struct process ended;

    EXPECT(run(&user_hello, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, (int32_t)ended.id);
    EXPECT_EQUAL(ended.system_calls, 4);
}

static void misuse(void)
{
    struct process ended;

    EXPECT(run(&user_misuse, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
}

void run_two(const struct program *program)
{
    struct process first_ended, second_ended;
    struct process *first = process_create(program, 0), *second = process_create(program, 0);

    if (first != NULL) {
        first->thread->cpus = 1;
        process_run(first);
    }
    if (second != NULL) {
        second->thread->cpus = 1;
        process_run(second);
    }
    if (first != NULL)
        process_reap(first, &first_ended);
    if (second != NULL)
        process_reap(second, &second_ended);
    EXPECT(first != NULL && second != NULL);
    EXPECT_EQUAL(first_ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(first_ended.status, 0);
    EXPECT_EQUAL(second_ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(second_ended.status, 0);
}

static void address_spaces(void)
{
    run_two(&user_memory);
}

static void floating_point(void)
{
    run_two(&user_float);
}

/* Of all that fork() shares, one page is written to while it is shared. */
static void copy_on_write(void)
{
    struct process ended;
    uint32_t before = usermem_copied_pages();

    EXPECT(run(&user_fork, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 42);
    EXPECT_EQUAL(usermem_copied_pages() - before, 1);
}

static void fault_survived(void)
{
    struct process ended;

    EXPECT(run(&user_fault, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(ended.fault_address, 0x10);
    EXPECT_EQUAL(ended.fault_error & (FAULT_WRITE | FAULT_USER), FAULT_WRITE | FAULT_USER);
}

/* The image, a stack by the map of all memory, and the kernel's windows. */
static void kernel_protected(void)
{
    const uintptr_t addresses[] = {KERNEL_IMAGE, (uintptr_t)thread_current(), DEMAND_WINDOW,
                                   MAP_WINDOW};

    *(volatile uint32_t *)DEMAND_WINDOW = 1; /* it is there */
    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct process ended, *process = process_create(&user_intruder, addresses[i]);
        EXPECT(process != NULL);
        process_run(process);
        process_reap(process, &ended);
        EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
        EXPECT_EQUAL(ended.fault_vector, TRAP_PAGE_FAULT);
        EXPECT_EQUAL(ended.fault_address, addresses[i]);
        EXPECT_EQUAL(ended.fault_error & FAULT_USER, FAULT_USER);
    }
    paging_kernel_discard(DEMAND_WINDOW);
}

static void registers_kept(void)
{
    struct process ended;

    EXPECT(run(&user_registers, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
}

static void privileged_instruction(void)
{
    struct process ended;

    EXPECT(run(&user_privileged, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_PROTECTION);
}

static void preempted_and_killed(void)
{
    struct process *process = process_start(&user_spin), ended;

    EXPECT(process != NULL);
    process->thread->cpus = 1; /* beside the thread that waits for it */
    bool preempted = wait_for_count(&process->thread->preempted, 2, PATIENCE_MILLISECONDS);
    process_kill(process);
    process_reap(process, &ended);
    EXPECT(preempted);
    EXPECT_EQUAL(ended.end, PROCESS_KILLED);
}

/* All that processes used comes back, however they ended. */
static void release(void)
{
    const struct program *const programs[] = {&user_hello, &user_memory, &user_fork, &user_fault};
    uint32_t before = frames_free();

    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        EXPECT(run(programs[i], NULL));
        EXPECT_EQUAL(frames_free(), before);
    }
}

const struct check checks_processes[] = {
    {"processes.system_calls", system_calls},
    {"processes.misuse", misuse},
    {"processes.registers_kept", registers_kept},
    {"processes.address_spaces", address_spaces},
    {"processes.floating_point", floating_point},
    {"processes.copy_on_write", copy_on_write},
    {"processes.fault_survived", fault_survived},
    {"processes.kernel_protected", kernel_protected},
    {"processes.privileged_instruction", privileged_instruction},
    {"processes.preempted_and_killed", preempted_and_killed},
    {"processes.release", release},
    {NULL, NULL},
};
