/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Control and debug registers, as far as they are the guest's.
 */
#include "traps.h"

#define CR0_TS 0x8u

static void task_switched(uint32_t call, uint32_t set)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue(cpu, call, __HYPERVISOR_fpu_taskswitch, set, 0, 0, 0);
    vmi__xen_carry_out_unless_lazy(cpu);
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_set_cr0(uintptr_t value)
{
    task_switched(VMI_ORDINAL_SET_CR0, value & CR0_TS ? 1 : 0);
}

VMI__ROUTINE void vmi__xen_clts(void)
{
    task_switched(VMI_ORDINAL_CLTS, 0);
}

VMI__ROUTINE uintptr_t vmi__xen_get_cr2(void)
{
    uint32_t mask = vmi__xen_mask();
    uintptr_t value = vmi__xen_vcpu(vmi__xen_this())->arch.cr2;

    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_set_cr2(uintptr_t value)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_vcpu(vmi__xen_this())->arch.cr2 = value;
    vmi__xen_unmask(mask);
}

static int exists(uint32_t index)
{
    return index < 4 || index == 6 || index == 7;
}

VMI__ROUTINE void vmi__xen_set_dr(uint32_t index, uintptr_t value)
{
    intptr_t result = exists(index) ? vmi__xen_hypercall_set_debugreg(index, value) : VMI_EINVAL;

    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_DR, index, value, result);
}

VMI__ROUTINE uintptr_t vmi__xen_get_dr(uint32_t index)
{
    return exists(index) ? (uintptr_t)vmi__xen_hypercall_get_debugreg(index) : 0;
}
