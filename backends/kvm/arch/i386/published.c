/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The KVM library as a ROM of the published API. Clients take the frequency of the cycle counters
 * for that of the TSC, and time their delays by it. So the counters are kvmclock's still, but in
 * cycles of the TSC.
 */
#include "image/published.h"
#include "../../kvm.h"
#include <kvm/routines.h>
#include <native/routines.h>

#define REGISTER 0xfffu /* of the address that APICWrite is given */

static VMI__ROUTINE void apic_write(uint32_t reg, uint32_t value)
{
    if ((reg & REGISTER) == VMI_APIC_EOI && vmi__kvm_ended_in_memory())
        vmi__native_published_ended();
    else
        vmi__native_published_apic_write(reg, value);
}

static VMI__ROUTINE uint64_t get_cycle_counter(uint32_t which)
{
    uint64_t count = vmi__kvm_get_cycle_counter(which);

    return vmi__kvm_clock_used() ? vmi__kvm_tsc_cycles(count) : count;
}

static VMI__ROUTINE void set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    uint64_t now = get_cycle_counter(flags & VMI_ALARM_COUNTER_MASK);

    /* Counted from a later reading: an alarm may be late, but not early. */
    if (vmi__kvm_clock_used())
        expiry = vmi__rdtsc() + (expiry > now ? expiry - now + 1 : 0);
    vmi__native_set_alarm(flags, expiry, period);
}

bool vmi__backend_serve(void)
{
    if (vmi__kvm_detect())
        return false;
    vmi__kvm_cpu_init();
    vmi__kvm_clock_init();
    vmi__native_apic_write_called = true;
    return vmi__native_serve();
}

const struct vmi__published_call vmi__published_calls[] = {
    {VMI_ORDINAL_APIC_WRITE, apic_write},
    {VMI_ORDINAL_GET_CYCLE_FREQUENCY, vmi__native_get_cycle_frequency},
    {VMI_ORDINAL_GET_CYCLE_COUNTER, get_cycle_counter},
    {VMI_ORDINAL_SET_ALARM, set_alarm},
    VMI__NATIVE_PUBLISHED_CALLS,
    {0, 0},
};
