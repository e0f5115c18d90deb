/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Clocks, cycle counters and the alarm. */
#include <stddef.h>

#include "checks.h"
#include "divide.h"
#include "print.h"
#include "threads.h"
#include "timer.h"
#include "x86.h"

#define SAMPLES 1000

/* 2020-01-01 and 2100-01-01 00:00 UTC, in seconds since 1970. */
#define YEAR_2020 1577836800u
#define YEAR_2100 4102444800u

static void wall_clock(void)
{
    uint32_t rest;

    NEEDS(GET_WALLCLOCK_TIME);
    uint64_t now = vmi_get_wallclock_time();
    uint64_t seconds = divide_u64(now, 1000000000, &rest);
    print("# wall clock %llu.%09u\n", seconds, rest);
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

/* The cycle counter and the clock agree on how long 20 ms are, within a factor of two. */
static void cycle_frequency(void)
{
    NEEDS(GET_CYCLE_FREQUENCY);
    NEEDS(CLOCK_NANOSECONDS);
    uint64_t cycles = vmi_get_cycle_counter(VMI_CYCLES_REAL);
    spin_milliseconds(20);
    cycles = vmi_get_cycle_counter(VMI_CYCLES_REAL) - cycles;
    EXPECT(cycles >= timer_cycles(10000));
    /* No upper bound: whoever shares the machine may run between the two readings. */
}

static void time_stamp_counter(void)
{
    NEEDS(RDTSC);
    uint64_t first = vmi_rdtsc();
    spin_milliseconds(1);
    EXPECT(vmi_rdtsc() > first);
}

static void steal_time(void)
{
    NEEDS(STEAL_TIME);
    uint64_t first = vmi_steal_time();
    EXPECT(vmi_steal_time() >= first);
}

static uint32_t alarms(void)
{
    return *timer_alarms(0);
}

static uint64_t milliseconds_since(uint64_t start)
{
    uint32_t rest;
    return divide_u64(vmi_clock_nanoseconds() - start, 1000000, &rest);
}

/*
 * The fifth alarm comes five periods after the first was asked for, never earlier (ticks that come
 * late may follow each other faster). Clock and alarm may have been measured on a busy machine: a
 * fifth is allowed for.
 */
static void periodic_alarm(void)
{
    timer_cancel();
    spin_milliseconds(1); /* one that was on its way */
    uint32_t before = alarms();
    uint64_t start = vmi_clock_nanoseconds();
    timer_init_cpu();
    EXPECT(wait_for_count(timer_alarms(0), before + 5, PATIENCE_MILLISECONDS));
    uint64_t passed = milliseconds_since(start);
    EXPECT(passed >= 4 * TICK_MILLISECONDS);
}

/* Checks of the alarm end by this, so that threads have their turns again whatever was found. */
static void one_shot_steps(void)
{
    uint32_t before = alarms();
    uint64_t start = vmi_clock_nanoseconds();
    timer_one_shot(5000);
    EXPECT(wait_for_count(timer_alarms(0), before + 1, PATIENCE_MILLISECONDS));
    EXPECT(vmi_clock_nanoseconds() - start >= 4000000);
    spin_milliseconds(15);
    EXPECT_EQUAL(alarms(), before + 1);
}

static void one_shot_alarm(void)
{
    timer_cancel();
    spin_milliseconds(1); /* one that was on its way */
    one_shot_steps();
    timer_init_cpu();
}

static void cancel_steps(void)
{
    timer_one_shot(20000);
    timer_cancel();
    spin_milliseconds(1); /* on a busy machine it may have gone off before it was cancelled */
    uint32_t before = alarms();
    spin_milliseconds(30);
    EXPECT_EQUAL(alarms(), before);
}

static void cancelled_alarm(void)
{
    NEEDS(CANCEL_ALARM);
    timer_cancel();
    spin_milliseconds(1);
    cancel_steps();
    timer_init_cpu();
}

/* An expiry in the past goes off at once. */
static void past_alarm(void)
{
    timer_cancel();
    spin_milliseconds(1);
    uint32_t before = alarms();
    timer_one_shot(0);
    bool gone_off = wait_for_count(timer_alarms(0), before + 1, PATIENCE_MILLISECONDS);
    timer_init_cpu();
    EXPECT(gone_off);
}

static void halt_steps(void)
{
    uint32_t before = alarms();
    uint64_t start = vmi_clock_nanoseconds();
    vmi_disable_interrupts();
    timer_one_shot(10000);
    while (alarms() == before && milliseconds_since(start) < PATIENCE_MILLISECONDS) {
        vmi_halt();
        vmi_disable_interrupts();
    }
    uint64_t passed = vmi_clock_nanoseconds() - start;
    vmi_enable_interrupts();
    EXPECT_EQUAL(alarms(), before + 1);
    EXPECT(passed >= 8000000);
}

static void alarm_ends_halt(void)
{
    timer_cancel();
    spin_milliseconds(1);
    halt_steps();
    timer_init_cpu();
}

const struct check checks_time[] = {
    {"time.wall_clock", wall_clock},
    {"time.wall_clock_updated", wall_clock_updated},
    {"time.monotonic_clock", monotonic_clock},
    {"time.cycle_counter", cycle_counter},
    {"time.cycle_frequency", cycle_frequency},
    {"time.time_stamp_counter", time_stamp_counter},
    {"time.steal_time", steal_time},
    {"alarm.periodic", periodic_alarm},
    {"alarm.one_shot", one_shot_alarm},
    {"alarm.cancelled", cancelled_alarm},
    {"alarm.past", past_alarm},
    {"alarm.ends_halt", alarm_ends_halt},
    {NULL, NULL},
};
