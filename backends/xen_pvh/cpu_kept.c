/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library keeps of a CPU: its vcpu_info, in which Xen says that an event is pending. The
 * shared page has XEN_LEGACY_MAX_VCPUS of them (xen/arch-x86/xen.h). Further CPUs are given theirs
 * in the library's memory (xen/vcpu.h, VCPUOP_register_vcpu_info) before any of them is started:
 * VCPUOP_initialise of a CPU that has none is EINVAL up to Xen 4.18.
 */
#include "pvh.h"

#include <xen/vcpu.h>

_Static_assert(VMI__CPUS_FEW == XEN_LEGACY_MAX_VCPUS, "the rows behind those of the shared page");
_Static_assert(4096 % sizeof(struct vcpu_info) == 0, "none lies in two pages, as Xen has it");

static struct vcpu_info *further;

/* Xen takes one place for good, of a CPU that is down or the calling one. */
VMI__RUN_ONCE static bool give(uint32_t cpu)
{
    struct vcpu_info *info = vmi__xen_pvh_vcpu(cpu);
    struct vcpu_register_vcpu_info place = {
        .mfn = vmi__physical(info) >> 12,
        .offset = (uintptr_t)info & 4095,
    };

    if (vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_register_vcpu_info, cpu,
                                       vmi__xen_pvh_argument(&place)) < 0)
        return false;
    /* Xen has marked all as pending, after which it would raise nothing. */
    vmi__xen_pvh_vcpu_clear(info);
    return true;
}

VMI__RUN_ONCE void vmi__xen_pvh_cpus_start(void)
{
    uint32_t cpu;

    further = vmi__cpu_rows(sizeof(*further));
    for (cpu = XEN_LEGACY_MAX_VCPUS; cpu < vmi__boot.cpu_count; cpu++) {
        if (!give(cpu))
            vmi__boot.cpu_count = cpu;
    }
}

VMI__RUN_ONCE bool vmi__xen_pvh_cpu_register(uint32_t cpu)
{
    return cpu < XEN_LEGACY_MAX_VCPUS || give(cpu);
}

struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu)
{
    return VMI__CPU_ROW(vmi__xen_pvh_shared.vcpu_info, further, cpu);
}

void vmi__native_cpu_identified(uint32_t cpu)
{
    (void)cpu;
}

void vmi__native_cpu_forgotten(uint32_t cpu)
{
    (void)cpu;
}
