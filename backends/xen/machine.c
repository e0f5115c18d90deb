/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Further CPUs, and the end.
 */
#include "builder.h"
#include "stop.h"

#include <xen/errno.h>

static struct vmi__xen_lock lock;
static struct vcpu_guest_context context; /* under the lock: larger than a stack should carry */

intptr_t vmi__xen_vcpu_register(uint32_t number)
{
    struct vcpu_info *info = vmi__xen_vcpu(number);
    struct vcpu_register_vcpu_info where = {
        .mfn = vmi__xen_machine(info) >> VMI__PAGE_SHIFT,
        .offset = (uintptr_t)info & (VMI__PAGE_SIZE - 1),
    };
    intptr_t result = 0;

    if (!vmi__xen_cpus[number]->registered) {
        result = vmi__xen_hypercall_vcpu_op(VCPUOP_register_vcpu_info, number, &where);
        vmi__xen_cpus[number]->registered = result >= 0;
    }
    return result;
}

void vmi__xen_vcpu_forget(uint32_t number)
{
    vmi__xen_cpus[number]->registered = 0;
}

void vmi__xen_areas_register(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct vcpu_register_runstate_memory_area area;

    area.addr.v = &cpu->runstate;
    vmi__xen_hypercall_vcpu_op(VCPUOP_register_runstate_memory_area, number, &area);
    vmi__xen_hypercall_vcpu_op(VCPUOP_stop_periodic_timer, number, 0);
}

/* Under the lock: fills the context of a CPU and has Xen start it. Returns 0 or an error. */
static int32_t start(struct vmi__xen_cpu *cpu, uint32_t number, const struct vmi_ap_state *state)
{
    intptr_t answer;
    int32_t result;
    bool again;

    if (!vmi__xen_stopped(number))
        return VMI_EIO;
    memset(&context, 0, sizeof(context));
    result = vmi__xen_descriptors_of(cpu, state, &context);
    if (result >= 0 &&
        (vmi__xen_pin(state->cr3 >> VMI__PAGE_SHIFT) < 0 || vmi__xen_vcpu_register(number) < 0 ||
         vmi__xen_ports_prepare(cpu, number) < 0))
        result = VMI_EIO;
    if (result >= 0)
        result = vmi__xen_context_of(cpu, number, state, &context);
    if (result < 0)
        return result;
    cpu->cr3 = state->cr3;
    vmi__xen_vectors_begin(cpu);
    answer = vmi__xen_hypercall_vcpu_op(VCPUOP_initialise, number, &context);
    again = answer == -XEN_EEXIST; /* it has been initialised */
    if (again)
        vmi__xen_leave_state(state);
    if (answer >= 0) {
        vmi__xen_areas_register(cpu, number);
        /* What it had told before it stopped, in a domain that was saved since. */
        cpu->stolen_before = cpu->stolen_told;
    }
    if (again || answer >= 0) {
        __atomic_store_n(&cpu->started, 1, __ATOMIC_RELEASE);
        answer = vmi__xen_hypercall_vcpu_op(VCPUOP_up, number, 0);
    }
    if (answer >= 0)
        return !again || vmi__xen_state_taken() ? VMI_OK : VMI_EIO;
    cpu->started = 0;
    vmi__xen_report(VMI_ORDINAL_SET_INITIAL_AP_STATE, number, context.user_regs.eip, answer);
    return answer == VMI_EINVAL ? VMI_EINVAL : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__xen_set_initial_ap_state(const struct vmi_ap_state *state,
                                                   uint32_t apic_id)
{
    uintptr_t root = state->cr3 >> VMI__PAGE_SHIFT;
    uint32_t mask;
    int32_t result = VMI_EBUSY;

    if (apic_id >= vmi__xen_cpu_count || !vmi__xen_state_acceptable(state) ||
        root >= vmi__xen_memory.linear_pages || !(vmi__xen_memory.state[root] & VMI__XEN_ROOT) ||
        (state->cs & 3) != vmi__boot.kernel_rpl || (state->ss & 3) != vmi__boot.kernel_rpl)
        return VMI_EINVAL;
    vmi__xen_carry_out_here();
    mask = vmi__xen_take(&lock);
    if (!vmi__xen_cpus[apic_id]->started)
        result = start(vmi__xen_cpus[apic_id], apic_id, state);
    vmi__xen_give(&lock, mask);
    return result;
}

/* ---- the end
 * -------------------------------------------------------------------------------------------------
 * ----
 */

static void __attribute__((noreturn)) shut_down(uint32_t reason)
{
    struct sched_shutdown how = {.reason = reason};

    vmi__xen_console_drain();
    for (;;)
        vmi__xen_hypercall_sched_op(SCHEDOP_shutdown, &how);
}

VMI__ROUTINE void vmi__xen_reboot(uint32_t how)
{
    (void)how; /* Xen knows one way */
    shut_down(SHUTDOWN_reboot);
}

VMI__ROUTINE void vmi__xen_shutdown(void)
{
    shut_down(SHUTDOWN_poweroff);
}

VMI__ROUTINE void vmi__xen_shutdown_reason(uint32_t reason, uint32_t status)
{
    char text[3] = {"0123456789abcdef"[status >> 4 & 0xf], "0123456789abcdef"[status & 0xf], 0};

    /*
     * The status goes where the toolstack can read it: into the directory that it may have made for
     * this, else into the one that every domain may write. Without xenstore, the end state tells
     * success from all else.
     */
    if (vmi__xen_common_store_write("vmi/status", text) < 0)
        vmi__xen_common_store_write("data/vmi-status", text);
    if (reason == VMI_SHUTDOWN_REBOOT)
        shut_down(SHUTDOWN_reboot);
    shut_down(reason == VMI_SHUTDOWN_POWEROFF && status == VMI_STATUS_PASS ? SHUTDOWN_poweroff
                                                                           : SHUTDOWN_crash);
}
