/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The ways to ring 3 that only i386 has. */
#include <stddef.h>
#include <vmi/vmi.h>

#include "behaviour.h"
#include "checks.h"
#include "contract.h"
#include "process.h"
#include "programs.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define MSR_SYSENTER_CS 0x174 /* Intel SDM vol. 4, table 2-2 */

void sysexit_to(const struct trap_frame *frame) FROM_ASSEMBLY __attribute__((noreturn));

static trap_handler *system_call;
static uint32_t exits;

static void leave_by_sysexit(struct trap_frame *frame)
{
    system_call(frame);
    exits++;
    sysexit_to(frame);
}

static void sysexit(void)
{
    struct process ended = {0};
    uint32_t highest, ignored, features;

    NEEDS(SYSEXIT);
    vmi_cpuid(0, 0, &highest, &ignored, &ignored, &ignored);
    vmi_cpuid(1, 0, &ignored, &ignored, &ignored, &features);
    if (contract_declared(VMI_ORDINAL_SYSEXIT) == VMI_KIND_INSTRUCTION &&
        !(features & 1u << 11)) { /* SEP */
        ktap_skip("this processor has no SYSEXIT");
        return;
    }
    vmi_wrmsr(MSR_SYSENTER_CS, SELECTOR(GDT_KERNEL_CODE, 0));
    timer_cancel();
    spin_milliseconds(1);
    exits = 0;
    system_call = trap_handler_set(VECTOR_SYSCALL, leave_by_sysexit);
    uint32_t before = contract_hypercalls();
    struct process *process = process_start(&user_hello);
    if (process != NULL)
        process_reap(process, &ended);
    contract_made(VMI_ORDINAL_SYSEXIT, contract_declared(VMI_ORDINAL_SYSEXIT) == VMI_KIND_HYPERCALL
                                           ? contract_hypercalls() - before
                                           : 0);
    trap_handler_set(VECTOR_SYSCALL, system_call);
    timer_init_cpu();
    EXPECT(process != NULL);
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, (int32_t)ended.id);
    EXPECT_EQUAL(exits, 3);
}

const struct check checks_ring3[] = {
    {"processes.sysexit", sysexit},
    {NULL, NULL},
};
