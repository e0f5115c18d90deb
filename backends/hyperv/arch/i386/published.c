/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The Hyper-V library as a ROM of the published API. Clients take the frequency of the cycle
 * counters for that of the TSC, and time their delays by it. So the counters are the reference
 * counter's still, which goes on evenly when the partition moves to another machine, but in cycles
 * of the TSC as it was at boot.
 */
#include "image/published.h"
#include "../../hyperv.h"
#include <hyperv/routines.h>
#include <native/routines.h>

#define REGISTER 0xfffu /* of the address that APICWrite is given */

static bool by_reference(void)
{
    return vmi__hyperv_uses(HYPERV__REFERENCE_COUNTER);
}

static VMI__ROUTINE void apic_write(uint32_t reg, uint32_t value)
{
    bool eoi = (reg & REGISTER) == VMI_APIC_EOI;

    if (eoi && vmi__hyperv_uses(HYPERV__APIC_MSRS)) {
        vmi__wrmsr(HYPERV__MSR_EOI, 0);
        vmi__native_published_ended();
    } else {
        vmi__native_published_apic_write(reg, value);
    }
    if (!vmi__hyperv_uses(HYPERV__DIRECT_TIMER))
        return;
    if (eoi)
        vmi__hyperv_alarm_after_eoi();
    else if ((reg & REGISTER) == VMI_APIC_LVTT)
        vmi__hyperv_alarm_lvtt(value);
}

static VMI__ROUTINE uint64_t get_cycle_counter(uint32_t which)
{
    uint64_t count = vmi__hyperv_get_cycle_counter(which);

    return by_reference() ? vmi__hyperv_tsc_cycles(count) : count;
}

static VMI__ROUTINE void set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    uint64_t now;

    if (by_reference()) {
        /* Rounded up and counted from a later reading: an alarm may be late, but not early. */
        now = get_cycle_counter(flags & VMI_ALARM_COUNTER_MASK);
        expiry = expiry > now ? vmi__hyperv_units(expiry - now) : 0;
        expiry = vmi__add_saturating(vmi__hyperv_reference_time(), expiry);
        period = period ? vmi__hyperv_units(period) : 0;
    }
    vmi__hyperv_set_alarm(flags, expiry, period);
}

bool vmi__backend_serve(void)
{
    vmi__hyperv_detect();
    if (!vmi__hyperv_here())
        return false;
    /* A page for each CPU would take more of the client's low memory than all the rest. */
    vmi__hyperv_used &= ~(1u << HYPERV__VP_ASSIST);
    vmi__hyperv_frequencies();
    if (!vmi__native_serve())
        return false;
    vmi__hyperv_partition_init();
    vmi__hyperv_clock_init();
    return true;
}

const struct vmi__published_call vmi__published_calls[] = {
    {VMI_ORDINAL_APIC_WRITE, apic_write},
    {VMI_ORDINAL_GET_CYCLE_FREQUENCY, vmi__native_get_cycle_frequency},
    {VMI_ORDINAL_GET_CYCLE_COUNTER, get_cycle_counter},
    {VMI_ORDINAL_SET_ALARM, set_alarm},
    VMI__NATIVE_PUBLISHED_CALLS,
    {0, 0},
};
