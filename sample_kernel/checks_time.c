/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The alarm, and clocks measured against each other. */
#include <stddef.h>

#include "checks.h"
#include "divide.h"
#include "print.h"
#include "threads.h"
#include "timer.h"
#include "x86.h"

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
    {"time.cycle_frequency", cycle_frequency}, {"time.time_stamp_counter", time_stamp_counter},
    {"alarm.periodic", periodic_alarm},        {"alarm.one_shot", one_shot_alarm},
    {"alarm.cancelled", cancelled_alarm},      {"alarm.past", past_alarm},
    {"alarm.ends_halt", alarm_ends_halt},      {NULL, NULL},
};
