/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Time by the reference counter: units of 100 ns, the same on all CPUs, also after the partition
 * has moved to another machine (TLFS, Timers). They are this library's cycles.
 */
#include "hyperv.h"
#include <hyperv/routines.h>
#include <native/routines.h>

#define NANOSECONDS_PER_UNIT 100

/* Cycles of the TSC are units times this, shifted right by TSC_SHIFT: for up to 10 GHz. */
#define TSC_SHIFT 22
static uint32_t tsc_multiplier;

/* Units are cycles of the TSC times this, shifted right by UNITS_SHIFT: for 10 MHz and more. */
#define UNITS_SHIFT 32
static uint32_t units_multiplier;

/* It has a page of its own. */
struct hyperv__reference_tsc vmi__hyperv_reference_tsc __attribute__((aligned(4096)));

/* Bits 64 to 127 of a product. */
static uint64_t multiply_high(uint64_t left, uint64_t right)
{
    uint32_t left_low = (uint32_t)left, left_high = (uint32_t)(left >> 32);
    uint32_t right_low = (uint32_t)right, right_high = (uint32_t)(right >> 32);
    uint64_t middle = (uint64_t)left_high * right_low + ((uint64_t)left_low * right_low >> 32);
    uint64_t other = (uint64_t)left_low * right_high + (uint32_t)middle;

    return (uint64_t)left_high * right_high + (middle >> 32) + (other >> 32);
}

uint64_t vmi__hyperv_reference_time(void)
{
    const struct hyperv__reference_tsc *page = &vmi__hyperv_reference_tsc;
    uint32_t sequence;
    uint64_t time;

    do {
        sequence = page->sequence;
        if (!sequence) /* the page is not in use, or does not hold for now */
            return vmi__rdmsr(HYPERV__MSR_REFERENCE_COUNTER);
        time = multiply_high(vmi__rdtsc_ordered(), page->scale) + (uint64_t)page->offset;
    } while (page->sequence != sequence);
    return time;
}

void vmi__hyperv_frequencies(void)
{
    uint64_t apic_hz;

    if (!vmi__hyperv_uses(HYPERV__FREQUENCIES))
        return;
    vmi__native_tsc_hz = vmi__rdmsr(HYPERV__MSR_TSC_FREQUENCY);
    apic_hz = vmi__rdmsr(HYPERV__MSR_APIC_FREQUENCY);
    vmi__native_apic_timer_hz = apic_hz <= UINT32_MAX ? (uint32_t)apic_hz : 0;
}

void vmi__hyperv_clock_init(void)
{
    tsc_multiplier =
        (uint32_t)vmi__div64(vmi__native_tsc_hz << TSC_SHIFT, HYPERV__UNITS_PER_SECOND) + 1;
    units_multiplier =
        (uint32_t)vmi__div64((uint64_t)(HYPERV__UNITS_PER_SECOND / 1000) << UNITS_SHIFT,
                             (uint32_t)vmi__div64(vmi__native_tsc_hz, 1000)) +
        1;
}

uint64_t vmi__hyperv_tsc_cycles(uint64_t units)
{
    /* Rounded up: an alarm may be late, but not early. */
    return vmi__add_saturating(vmi__scale_saturating(units, tsc_multiplier, TSC_SHIFT), 1);
}

uint64_t vmi__hyperv_units(uint64_t tsc_cycles)
{
    return vmi__add_saturating(vmi__scale_saturating(tsc_cycles, units_multiplier, UNITS_SHIFT), 1);
}

VMI__ROUTINE uint64_t vmi__hyperv_clock_nanoseconds(void)
{
    return vmi__hyperv_uses(HYPERV__REFERENCE_COUNTER)
               ? vmi__hyperv_reference_time() * NANOSECONDS_PER_UNIT
               : vmi__native_clock_nanoseconds();
}

VMI__ROUTINE uint64_t vmi__hyperv_get_cycle_frequency(void)
{
    return vmi__hyperv_uses(HYPERV__REFERENCE_COUNTER) ? HYPERV__UNITS_PER_SECOND
                                                       : vmi__native_get_cycle_frequency();
}

VMI__ROUTINE uint64_t vmi__hyperv_get_cycle_counter(uint32_t which)
{
    /* What is stolen is not told, so all that is real counts as available. */
    if (which != VMI_CYCLES_REAL && which != VMI_CYCLES_AVAILABLE)
        return 0;
    return vmi__hyperv_uses(HYPERV__REFERENCE_COUNTER) ? vmi__hyperv_reference_time()
                                                       : vmi__rdtsc();
}
