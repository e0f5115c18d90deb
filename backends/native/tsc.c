/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The time-stamp counter: its frequency, and nanoseconds made of it.
 */
#include "native.h"
#include <native/routines.h>

/* ACPI 6.5, 4.8.2.1. */
#define PM_TIMER_HZ 3579545u

/* How long one measurement takes (1/100 s) and how many there are. */
#define INTERVALS_PER_SECOND 100
#define MEASUREMENTS         3

uint64_t vmi__native_tsc_hz, vmi__native_tsc_hz_least;

static uint64_t start;             /* TSC at nanosecond 0 */
static uint32_t multiplier, shift; /* nanoseconds are cycles * multiplier >> shift */
static uint64_t latest __attribute__((aligned(8)));

static VMI__ADDRESS_TAKEN uint32_t pm_counter(void)
{
    return vmi__inl((uint16_t)vmi__native_acpi.pm_timer);
}

/*
 * TSC frequency by a counter of known frequency; 0 if that stands still. `least` becomes a
 * frequency that is not above the true one, however long this CPU was stopped between readings.
 *
 * Each measurement has the true frequency between two bounds; the nearest of all count. But where
 * the CPU was stopped so long that the counter has gone round, both bounds are far too high, by
 * 65536 ticks or more where there are some 12000. The lowest upper bound tells such lower bounds:
 * they are above it. One measurement of the three must be without that.
 */
static uint64_t frequency_by(vmi__native_counter *read, uint32_t mask, uint32_t hz, uint64_t *least)
{
    uint64_t lower[MEASUREMENTS], most = UINT64_MAX, upper;
    uint32_t i;

    for (i = 0; i < MEASUREMENTS; i++) {
        struct vmi__native_interval interval =
            vmi__native_measure(read, mask, hz / INTERVALS_PER_SECOND, 0);

        if (!interval.ticks)
            return 0;
        lower[i] = vmi__div64(interval.cycles_at_least * hz, interval.ticks + 1);
        upper = vmi__div64(interval.cycles_at_most * hz, interval.ticks - 1) + 1;
        if (upper < most)
            most = upper;
    }
    *least = 0;
    for (i = 0; i < MEASUREMENTS; i++)
        if (lower[i] <= most && lower[i] > *least)
            *least = lower[i];
    return *least + (most - *least) / 2;
}

bool vmi__native_tsc_find(void)
{
    uint64_t hz = vmi__native_tsc_hz, least = hz, scaled;
    uint32_t khz;

    if (!hz)
        hz = frequency_by(vmi__native_pit_counter, 0xffff, VMI__PIT_HZ, &least);
    if (!hz && vmi__native_acpi.pm_timer)
        hz = frequency_by(pm_counter, vmi__native_acpi.pm_timer_32 ? 0xffffffff : 0xffffff,
                          PM_TIMER_HZ, &least);
    if (hz < 1000000)
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
