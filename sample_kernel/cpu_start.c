/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "cpu_start.h"

#include "descriptors.h"
#include "first_state.h"
#include "fpu.h"
#include "smp.h"
#include "syscall.h"
#include "threads.h"
#include "timer.h"

/*
 * Where a further CPU begins: on the stack of its idle thread, with the kernel's tables, interrupts
 * masked.
 */
static void __attribute__((noreturn)) begin(void)
{
    uint32_t cpu = cpu_current();

    descriptors_start_cpu(cpu);
    syscall_init_cpu();
    fpu_init_cpu();
    timer_init_cpu();
    smp_is_online(cpu);
    thread_run_idle();
}

int32_t cpu_start(uint32_t cpu)
{
    struct thread *idle = thread_create_idle(cpu);
    /* The stack begins with the return address of a function that does not return. */
    uintptr_t *stack = (uintptr_t *)thread_stack_top(idle) - 1;
    *stack = 0;
    struct vmi_ap_state state = cpu_first_state(cpu, begin, stack);

    descriptors_add_cpu(cpu);
    return smp_launch(cpu, &state);
}

int32_t cpu_stop(uint32_t cpu)
{
    thread_leave_cpu(cpu);
    int32_t result = smp_await_stop(cpu);
    if (result == VMI_OK)
        thread_release_idle(cpu);
    return result;
}
