/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * StopCPU and CPUState, and how a VCPU that has stopped begins again. Xen initialises a VCPU once
 * (xen/vcpu.h, VCPUOP_initialise): one that VCPUOP_down has stopped goes on behind that hypercall,
 * and takes on its new state by itself.
 */
#include "builder.h"
#include "stop.h"

_Static_assert(VMI__XEN_VCPU_DOWN == VCPUOP_down, "stop.S");

struct vmi_ap_state vmi__xen_left_state;
uint32_t vmi__xen_left_taken;

VMI__ROUTINE int32_t vmi__xen_stop_cpu(void)
{
    uint32_t number = vmi__xen_this();
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];

    if (!number)
        return VMI_EBUSY;
    vmi__xen_disable_interrupts();
    vmi__xen_cancel_alarm(VMI_ALARM_WIRED_LVTT);
    vmi__xen_context_leave();
    cpu->lazy = 0;
    /* Tables that Xen has a VCPU use it lets nobody use otherwise. */
    vmi__xen_load_roots(vmi__xen_memory.boot_cr3, 0);
    vmi__xen_time_leave(cpu);
    vmi__xen_stop(number, &cpu->started);
}

VMI__ROUTINE void vmi__xen_started_again(uint32_t number)
{
    static const uint8_t debug_registers[] = {7, 0, 1, 2, 3};
    const struct vmi_ap_state *state = &vmi__xen_left_state;
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];

    /* Before this nothing here may ask which CPU it is. */
    vmi__xen_context_again(cpu, state);
    vmi__xen_gates_again(cpu);
    for (uint32_t i = 0; i < sizeof(debug_registers); i++)
        vmi__xen_set_dr(debug_registers[i], 0);
    vmi__xen_set_cr0(state->cr0);
    vmi__xen_time_return(cpu);
}

static bool has_stopped(uint32_t number)
{
    return vmi__xen_hypercall_vcpu_op(VCPUOP_is_up, number, 0) <= 0;
}

static bool has_taken(uint32_t number)
{
    (void)number; /* one at a time */
    return __atomic_load_n(&vmi__xen_left_taken, __ATOMIC_ACQUIRE);
}

/* Waits until it is so of a CPU, by Xen's time: the CPU may be without a processor for long. */
static bool comes(bool (*is_so)(uint32_t number), uint32_t number)
{
    uint64_t end = vmi__xen_system_time() + STOP_NANOSECONDS;
    uint32_t turns = 0;

    while (!is_so(number)) {
        if (vmi__xen_system_time() >= end)
            return false;
        vmi__xen_relax(&turns);
    }
    return true;
}

bool vmi__xen_stopped(uint32_t number)
{
    /* It has noted its end, and is about to have Xen stop it. */
    return comes(has_stopped, number);
}

void vmi__xen_leave_state(const struct vmi_ap_state *state)
{
    vmi__xen_left_state = *state;
    vmi__xen_left_taken = 0;
}

bool vmi__xen_state_taken(void)
{
    return comes(has_taken, 0);
}

VMI__ROUTINE int32_t vmi__xen_cpu_state(uint32_t cpu)
{
    if (cpu >= vmi__xen_cpu_count)
        return VMI_ENOENT;
    return (vmi__xen_cpus[cpu]->started || vmi__xen_hypercall_vcpu_op(VCPUOP_is_up, cpu, 0) > 0
                ? VMI_CPU_RUNS
                : 0) |
           (vmi__xen_common_cpu_wanted(cpu) ? VMI_CPU_WANTED : 0);
}
