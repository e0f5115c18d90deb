/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The time-stamp counter: its frequency, and nanoseconds made of it.
 */
#include "native.h"
#include <native/routines.h>

uint64_t vmi__native_tsc_hz, vmi__native_tsc_hz_least;
enum vmi__native_tsc_source vmi__native_tsc_source;
uint32_t vmi__native_apic_timer_hz;

static uint64_t start;             /* TSC at nanosecond 0 */
static uint32_t multiplier, shift; /* nanoseconds are cycles * multiplier >> shift */
static uint64_t latest __attribute__((aligned(8)));

VMI__ADDRESS_TAKEN void vmi__native_pm_counter(struct vmi__native_reading *reading)
{
    reading->before = vmi__rdtsc();
    reading->count = vmi__inl((uint16_t)vmi__native_acpi.pm_timer);
    reading->after = vmi__rdtsc();
}

static bool plausible(uint64_t hz)
{
    return hz >= VMI__TSC_HZ_MIN && hz <= VMI__TSC_HZ_MAX;
}

/* By the first counter that does not stand still. */
static struct vmi__native_bounds measured(void)
{
    struct vmi__native_bounds bounds =
        vmi__native_measure(vmi__native_pit_counter, 0xffff, VMI__PIT_HZ);

    if (bounds.most) {
        vmi__native_tsc_source = VMI__TSC_BY_PIT;
        return bounds;
    }
    if (vmi__native_acpi.pm_timer)
        bounds =
            vmi__native_measure(vmi__native_pm_counter, vmi__native_pm_mask(), VMI__PM_TIMER_HZ);
    if (bounds.most)
        vmi__native_tsc_source = VMI__TSC_BY_ACPI_TIMER;
    return bounds;
}

/*
 * Finds the frequency, and one that is none above it: as an inheriting library or CPUID tells it,
 * else measured. What a processor says counts under a hypervisor only if nothing can be measured.
 */
static uint64_t find(uint64_t *least)
{
    struct vmi__native_told told = vmi__native_told();
    struct vmi__native_bounds bounds;

    if (!vmi__native_apic_timer_hz)
        vmi__native_apic_timer_hz = told.apic_timer_hz;
    *least = vmi__native_tsc_hz;
    if (plausible(*least))
        return *least;
    *least = told.tsc_hz;
    vmi__native_tsc_source = VMI__TSC_BY_CPUID;
    if (plausible(*least) && told.trusted)
        return *least;
    bounds = measured();
    if (!bounds.most)
        return *least;
    *least = bounds.least;
    return bounds.least + (bounds.most - bounds.least) / 2;
}

bool vmi__native_tsc_find(void)
{
    uint64_t least, hz = find(&least), scaled;
    uint32_t khz;

    if (!plausible(hz))
        return false;
    vmi__native_tsc_hz = hz;
    vmi__native_tsc_hz_least = least;

    khz = (uint32_t)vmi__div64(hz, 1000);
    shift = 32;
    while ((scaled = vmi__div64(1000000ull << shift, khz)) > UINT32_MAX)
        shift--;
    multiplier = (uint32_t)scaled;
    start = vmi__rdtsc();
    return true;
}

void vmi__native_tsc_init(void)
{
    if (!vmi__native_tsc_find())
        vmi__fatal("there is neither a PIT nor an ACPI timer that the time-stamp counter could be "
                   "measured against");
}

void vmi__native_delay(uint32_t microseconds)
{
    uint64_t cycles = vmi__div64(vmi__native_tsc_hz, 1000000) * microseconds, from = vmi__rdtsc();

    while (vmi__rdtsc() - from < cycles)
        vmi__pause();
}

VMI__ROUTINE uint64_t vmi__native_get_cycle_frequency(void)
{
    return vmi__native_tsc_hz;
}

/*
 * The TSCs of several CPUs may be apart, so that with more than one CPU the latest time that any
 * has returned is kept, and none returns less. CMPXCHG8B reads it whole, too.
 */
static uint64_t not_before_latest(uint64_t now)
{
    uint64_t seen = 0;
    bool done;

    do {
        done = vmi__exchange_if(&latest, &seen, now);
    } while (!done && seen < now);
    return done ? now : seen;
}

VMI__ROUTINE uint64_t vmi__native_clock_nanoseconds(void)
{
    uint64_t now = vmi__scale(vmi__rdtsc() - start, multiplier, shift);

    return vmi__native_cpus_started > 1 ? not_before_latest(now) : now;
}
