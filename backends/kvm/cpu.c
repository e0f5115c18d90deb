/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What KVM is told of each CPU.
 */
#include "kvm.h"

struct vmi__kvm_cpu vmi__kvm_cpus[VMI__CPUS_FEW], *vmi__kvm_cpus_more;

/* Gives KVM the addresses of this CPU's structures. */
static void enable(struct vmi__kvm_cpu *cpu)
{
    if (vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE2))
        vmi__wrmsr(KVM__MSR_SYSTEM_TIME, vmi__physical(&cpu->time) | KVM__MSR_ENABLED);
    else if (vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE))
        vmi__wrmsr(KVM__MSR_SYSTEM_TIME_OLD, vmi__physical(&cpu->time) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_STEAL_TIME))
        vmi__wrmsr(KVM__MSR_STEAL_TIME, vmi__physical(&cpu->steal) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_PV_EOI))
        vmi__wrmsr(KVM__MSR_PV_EOI, vmi__physical((const void *)&cpu->eoi) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_POLL_CONTROL))
        vmi__wrmsr(KVM__MSR_POLL_CONTROL, 0);
    cpu->ready = true;
}

/* A CPU that is identified for the first time gets its structures. */
void vmi__native_cpu_identified(uint32_t number)
{
    struct vmi__kvm_cpu *cpu = vmi__kvm_cpu(number);

    if (!cpu->ready)
        enable(cpu);
}

/* A reset takes the addresses away, and the interrupt that need not be ended. */
void vmi__native_cpu_forgotten(uint32_t number)
{
    vmi__kvm_cpu(number)->ready = false;
    vmi__kvm_cpu(number)->eoi = 0;
}

struct vmi__kvm_cpu *vmi__kvm_this_cpu(void)
{
    return vmi__kvm_cpu(vmi__native_cpu());
}

void vmi__kvm_cpus_init(void)
{
    vmi__kvm_cpus_more = vmi__cpu_rows(sizeof(*vmi__kvm_cpus_more));
}

void vmi__kvm_cpu_init(void)
{
    enable(&vmi__kvm_cpus[0]);
}
