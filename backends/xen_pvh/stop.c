/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * StopCPU and CPUState. A VCPU that VCPUOP_down (xen/vcpu.h) has stopped is reset when it is
 * started again: nothing of what it used is looked at any more.
 */
#include "pvh.h"

#include <xen/vcpu.h>

#include "xen_common/requests.h"

bool vmi__xen_pvh_is_up(uint32_t cpu)
{
    return vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_is_up, cpu, 0) > 0;
}

/* Its stack is in use until Xen has stopped it: then CPUState says that it does not run. */
VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_stop_cpu(void)
{
    uint32_t cpu = vmi__native_cpu();

    if (!cpu)
        return VMI_EBUSY;
    vmi__irq_save();
    vmi_cancel_alarm(VMI_ALARM_WIRED_LVTT);
    vmi__native_cpu_forgotten(cpu);
    __sync_fetch_and_sub(&vmi__native_cpus_started, 1);
    vmi__native_cpu_set_runs(cpu, false);
    for (;;)
        vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_down, cpu, 0);
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_cpu_state(uint32_t cpu)
{
    if (cpu >= vmi__boot.cpu_count)
        return VMI_ENOENT;
    return (vmi__native_cpu_runs(cpu) || vmi__xen_pvh_is_up(cpu) ? VMI_CPU_RUNS : 0) |
           (vmi__xen_common_cpu_wanted(cpu) ? VMI_CPU_WANTED : 0);
}
