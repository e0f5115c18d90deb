/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Control registers, debug registers, model-specific registers and the I/O privilege level, as far
 * as they are the guest's.
 */
#include "internal.h"

#include <xen/physdev.h>

#define CR0_TS 0x8u

/* Intel SDM vol. 4, table 2-2. */
#define MSR_SYSENTER_CS  0x174
#define MSR_SYSENTER_ESP 0x175
#define MSR_SYSENTER_EIP 0x176

#define IOPL_SHIFT 12

/* ESP and EIP have no effect: SYSENTER is not the guest's, Xen would enter by a callback of another
 * form. */
static uint32_t sysenter[VMI__XEN_CPUS_MAX][2];

static void task_switched(uint32_t call, uint32_t set)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_queue(cpu, call, __HYPERVISOR_fpu_taskswitch, set, 0, 0, 0);
    if (!(cpu->lazy & VMI_LAZY_CPU))
        vmi__xen_carry_out(cpu);
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_set_cr0(uint32_t value)
{
    task_switched(VMI_ORDINAL_SET_CR0, value & CR0_TS ? 1 : 0);
}

VMI__ROUTINE void vmi__xen_clts(void)
{
    task_switched(VMI_ORDINAL_CLTS, 0);
}

VMI__ROUTINE uint32_t vmi__xen_get_cr2(void)
{
    uint32_t mask = vmi__xen_mask(), value = vmi__xen_shared.vcpu_info[vmi__xen_this()].arch.cr2;

    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_set_cr2(uint32_t value)
{
    uint32_t mask = vmi__xen_mask();

    vmi__xen_shared.vcpu_info[vmi__xen_this()].arch.cr2 = value;
    vmi__xen_unmask(mask);
}

static int exists(uint32_t index)
{
    return index < 4 || index == 6 || index == 7;
}

VMI__ROUTINE void vmi__xen_set_dr(uint32_t index, uint32_t value)
{
    int32_t result = exists(index) ? vmi__xen_hypercall_set_debugreg(index, value) : VMI_EINVAL;

    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_DR, index, value, result);
}

VMI__ROUTINE uint32_t vmi__xen_get_dr(uint32_t index)
{
    return exists(index) ? (uint32_t)vmi__xen_hypercall_get_debugreg(index) : 0;
}

VMI__ROUTINE void vmi__xen_wrmsr(uint32_t index, uint64_t value)
{
    uint32_t mask, cpu;

    if (index < MSR_SYSENTER_CS || index > MSR_SYSENTER_EIP) {
        __asm__ volatile("wrmsr" : : "c"(index), "A"(value) : "memory");
        return;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_this();
    if (index == MSR_SYSENTER_CS)
        vmi__xen_sysenter_cs[cpu] = (uint32_t)value & 0xfffc;
    else
        sysenter[cpu][index - MSR_SYSENTER_ESP] = (uint32_t)value;
    vmi__xen_unmask(mask);
}

VMI__ROUTINE uint64_t vmi__xen_rdmsr(uint32_t index)
{
    uint32_t mask, cpu;
    uint64_t value;

    if (index < MSR_SYSENTER_CS || index > MSR_SYSENTER_EIP) {
        __asm__ volatile("rdmsr" : "=A"(value) : "c"(index) : "memory");
        return value;
    }
    mask = vmi__xen_mask();
    cpu = vmi__xen_this();
    value = index == MSR_SYSENTER_CS ? vmi__xen_sysenter_cs[cpu]
                                     : sysenter[cpu][index - MSR_SYSENTER_ESP];
    vmi__xen_unmask(mask);
    return value;
}

VMI__ROUTINE void vmi__xen_set_iopl_mask(uint32_t mask)
{
    struct physdev_set_iopl level = {.iopl = mask >> IOPL_SHIFT & 3};
    int32_t result = vmi__xen_hypercall_physdev_op(PHYSDEVOP_set_iopl, &level);

    if (result < 0)
        vmi__xen_report(VMI_ORDINAL_SET_IOPL_MASK, level.iopl, mask, result);
}
