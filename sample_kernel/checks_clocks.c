/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Clocks and cycle counters, each by itself. */
#include <stddef.h>

#include "checks.h"
#include "cmos.h"
#include "divide.h"
#include "print.h"

#define SAMPLES 1000

/* 2020-01-01 and 2100-01-01 00:00 UTC, in seconds since 1970. */
#define YEAR_2020 1577836800u
#define YEAR_2100 4102444800u

static void wall_clock(void)
{
    uint32_t rest;

    NEEDS(GET_WALLCLOCK_TIME);
    uint64_t now = vmi_get_wallclock_time();
    if (!now && cmos_absent()) {
        ktap_skip("this machine has no clock");
        return;
    }
    uint64_t seconds = divide_u64(now, 1000000000, &rest);
    print("# wall clock %llu.%09u\n", WIDE(seconds), rest);
    EXPECT(seconds >= YEAR_2020 && seconds < YEAR_2100);
    EXPECT(vmi_get_wallclock_time() >= now);
}

static void wall_clock_updated(void)
{
    NEEDS(WALLCLOCK_UPDATED);
    vmi_wallclock_updated(); /* what happened so far */
    EXPECT_EQUAL(vmi_wallclock_updated(), 0);
}

static void monotonic_clock(void)
{
    NEEDS(CLOCK_NANOSECONDS);
    uint64_t first = vmi_clock_nanoseconds(), previous = first;
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t now = vmi_clock_nanoseconds();
        EXPECT(now >= previous);
        previous = now;
    }
    EXPECT(previous > first);
}

static void cycle_counter(void)
{
    NEEDS(GET_CYCLE_COUNTER);
    for (uint32_t which = VMI_CYCLES_REAL; which <= VMI_CYCLES_STOLEN; which++) {
        uint64_t first = vmi_get_cycle_counter(which), previous = first;
        for (int i = 0; i < SAMPLES; i++) {
            uint64_t now = vmi_get_cycle_counter(which);
            EXPECT(now >= previous);
            previous = now;
        }
        EXPECT(which != VMI_CYCLES_REAL || previous > first);
    }
}

static void steal_time(void)
{
    NEEDS(STEAL_TIME);
    uint64_t first = vmi_steal_time();
    EXPECT(vmi_steal_time() >= first);
}

const struct check checks_clocks[] = {
    {"time.wall_clock", wall_clock},           {"time.wall_clock_updated", wall_clock_updated},
    {"time.monotonic_clock", monotonic_clock}, {"time.cycle_counter", cycle_counter},
    {"time.steal_time", steal_time},           {NULL, NULL},
};
