/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The flavour `traced` in a PV domain (runtime/traced/machine.h). The first CPU cannot be asked for
 * before it has been started; events are masked until then.
 */
#include "domain.h"
#include "traced/machine.h"

static bool started(void)
{
    return vmi__xen_cpus[0] && vmi__xen_cpus[0]->started;
}

uintptr_t vmi__trace_mask(void)
{
    return started() ? vmi__xen_mask() : 1;
}

void vmi__trace_unmask(uintptr_t mask)
{
    vmi__xen_unmask((uint32_t)mask);
}

uint32_t vmi__trace_cpu(void)
{
    return started() ? vmi__xen_this() : 0;
}

/* From Xen's factor (xen/xen.h, struct vcpu_time_info): nanoseconds are cycles, shifted, times
 * tsc_to_system_mul / 2^32. */
uint64_t vmi__trace_frequency(void)
{
    const struct vcpu_time_info *time = started() ? &vmi__xen_vcpu(0)->time : 0;
    uint64_t frequency;

    if (!time || !time->tsc_to_system_mul)
        return 0;
    frequency = vmi__div64((uint64_t)1000000000 << 32, time->tsc_to_system_mul);
    return time->tsc_shift < 0 ? frequency << -time->tsc_shift : frequency >> time->tsc_shift;
}
