/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the library keeps of a CPU: its vcpu_info, in which Xen says that an event is pending. The
 * shared page has XEN_LEGACY_MAX_VCPUS of them (xen/arch-x86/xen.h); each further CPU registers one
 * of the library's (xen/vcpu.h, VCPUOP_register_vcpu_info) before the kernel runs there.
 */
#include "pvh.h"

#include <xen/hvm/hvm_info_table.h>
#include <xen/vcpu.h>

#define FURTHER (HVM_MAX_VCPUS - XEN_LEGACY_MAX_VCPUS)

_Static_assert(sizeof(struct vcpu_info) == 64, "none lies in two pages, as Xen has it");
static struct vcpu_info infos[FURTHER] __attribute__((aligned(64)));
/* By CPU: Xen takes one place for good. Each writes its own. */
static uint8_t registered[FURTHER];

void vmi__native_cpu_identified(uint32_t cpu)
{
    uint32_t further = cpu - XEN_LEGACY_MAX_VCPUS;
    struct vcpu_register_vcpu_info where;

    if (further >= FURTHER || registered[further])
        return;
    where = (struct vcpu_register_vcpu_info){
        .mfn = vmi__physical(&infos[further]) >> 12,
        .offset = (uintptr_t)&infos[further] & 4095,
    };
    if (vmi__xen_pvh_hypercall_vcpu_op(VCPUOP_register_vcpu_info, cpu,
                                       vmi__xen_pvh_argument(&where)) < 0)
        return;
    /* Xen marks it as if all were pending, after which it would signal nothing. */
    vmi__xen_pvh_vcpu_clear(&infos[further]);
    __atomic_store_n(&registered[further], 1, __ATOMIC_SEQ_CST);
}

void vmi__native_cpu_forgotten(uint32_t cpu)
{
    (void)cpu; /* Xen has the place still */
}

struct vcpu_info *vmi__xen_pvh_vcpu(uint32_t cpu)
{
    uint32_t further = cpu - XEN_LEGACY_MAX_VCPUS;

    if (cpu < XEN_LEGACY_MAX_VCPUS)
        return &vmi__xen_pvh_shared.vcpu_info[cpu];
    return further < FURTHER && __atomic_load_n(&registered[further], __ATOMIC_SEQ_CST)
               ? &infos[further]
               : NULL;
}
