/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The ways to ring 3 and back that only x86-64 has. */
#include <stddef.h>
#include <vmi/vmi.h>

#include "behaviour.h"
#include "checks.h"
#include "contract.h"
#include "descriptors.h"
#include "entry.h"
#include "layout.h"
#include "lock.h"
#include "process.h"
#include "programs.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

/* jumps.S */
void sysret_to(const struct trap_frame *frame) __attribute__((noreturn));

/* Runs a program on this CPU. */
static bool run_here(const struct program *program, struct process *ended)
{
    struct process *process = process_create(program, 0);

    if (process == NULL)
        return false;
    process->thread->cpus = 1;
    process_run(process);
    process_reap(process, ended);
    return true;
}

/* The two bases change places, and back; where a hypervisor exchanges them, they stay. */
static void swap_gs(void)
{
    bool stay = (kernel_cs() & RPL_MASK) != 0;
    uint32_t flags = interrupts_mask();
    uintptr_t area = descriptors_area(0), other = (uintptr_t)&flags;

    vmi_set_user_gs_base(other);
    vmi_swap_gs();
    uintptr_t kernel = vmi_get_gs_base(), user = vmi_get_user_gs_base();
    vmi_swap_gs();
    uintptr_t kernel_after = vmi_get_gs_base(), user_after = vmi_get_user_gs_base();
    vmi_set_user_gs_base(0);
    interrupts_restore(flags);
    EXPECT_EQUAL(kernel, stay ? area : other);
    EXPECT_EQUAL(user, stay ? other : area);
    EXPECT_EQUAL(kernel_after, area);
    EXPECT_EQUAL(user_after, other);
}

static trap_handler *system_call;
static uint32_t exits;
static uintptr_t target; /* 0: where the frame leads */

static void leave_by_sysret(struct trap_frame *frame)
{
    system_call(frame);
    exits++;
    if (target != 0)
        frame->ip = target;
    sysret_to(frame);
}

static bool run_by_sysret(const struct program *program, struct process *ended)
{
    timer_cancel();
    spin_milliseconds(1);
    exits = 0;
    system_call = trap_handler_set(VECTOR_SYSCALL, leave_by_sysret);
    uint32_t before = contract_hypercalls();
    bool done = run_here(program, ended);
    contract_made(VMI_ORDINAL_SYSRET, contract_declared(VMI_ORDINAL_SYSRET) == VMI_KIND_HYPERCALL
                                          ? contract_hypercalls() - before
                                          : 0);
    trap_handler_set(VECTOR_SYSCALL, system_call);
    timer_init_cpu();
    return done;
}

static void sysret(void)
{
    struct process ended = {0};

    NEEDS(SYSRET);
    target = 0;
    EXPECT(run_by_sysret(&user_hello, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, (int32_t)ended.id);
    EXPECT_EQUAL(exits, 3);
}

/* All registers are the process's, but for two after SYSCALL, and none after an interrupt. */
static void sysret_registers(void)
{
    struct process ended = {0};

    EXPECT(run_here(&user_registers, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
}

/* An address in the kernel's half is a fault of the process's: it is left in ring 3 first. */
static void sysret_upper_half(void)
{
    struct process ended = {0};

    NEEDS(SYSRET);
    target = KERNEL_IMAGE;
    EXPECT(run_by_sysret(&user_hello, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(ended.fault_address, KERNEL_IMAGE);
    EXPECT_EQUAL(ended.fault_error & FAULT_USER, FAULT_USER);
}

/* Without an entry SYSCALL is no instruction; with one it is again. */
static void syscall_entry_taken_away(void)
{
    struct process without = {0}, with = {0};

    NEEDS(SET_SYSCALL_ENTRY);
    vmi_set_syscall_entry(0);
    bool done = run_here(&user_nothing, &without);
    vmi_set_syscall_entry((uintptr_t)syscall_entry);
    EXPECT(done);
    EXPECT(run_here(&user_nothing, &with));
    EXPECT_EQUAL(without.end, PROCESS_FAULTED);
    EXPECT_EQUAL(without.fault_vector, TRAP_INVALID_OPCODE);
    EXPECT_EQUAL(with.end, PROCESS_EXITED);
}

const struct check checks_ring3[] = {
    {"processes.swap_gs", swap_gs},
    {"processes.sysret", sysret},
    {"processes.sysret_registers", sysret_registers},
    {"processes.sysret_upper_half", sysret_upper_half},
    {"processes.syscall_entry", syscall_entry_taken_away},
    {NULL, NULL},
};
