/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Alarms by expiries and periods from all of 64 bits: none early, none lost, none after a cancel
 * that was not pending by then, never a storm. The values come of a generator with a fixed seed.
 * What must not happen is watched for during a number of readings of the counter, what must happen
 * is waited for.
 */
#include <stddef.h>
#include <vmi/vmi.h>

#include "alarms.h"
#include "checks.h"
#include "divide.h"
#include "layout.h"
#include "lock.h"
#include "print.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"

#define VALUES   32  /* of each kind */
#define READINGS 400 /* of the counter, while nothing must happen */
#define ALARMS   6   /* of a periodic one that are waited for */

#define SOON_MICROSECONDS 2000 /* what is due by then is waited for */

/* An alarm at most so often, whatever its period is (vmi.yaml, SetAlarm). */
#define RATE_MAX 5000

/* Clocks of a library and its timer may have been measured against each other. */
#define TOLERANCE(cycles) ((cycles) / 64)

#define LVTT (VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL)
#define IRQ0 (VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL)

/* Of line 0. Where vectors of lines come in rows, line 0 has that of LVTT, which is off then. */
#define VECTOR_LINE_0 0x48

/* The PIT's reach, after which an alarm of line 0 that is further away may interrupt as well. */
#define LINE_0_REACH_MICROSECONDS 54900

static uint64_t state;

/* x <- 6364136223846793005 x + 1442695040888963407 (Knuth, MMIX), the better half twice. */
static uint64_t any(void)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < 2; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        value = value << 32 | state >> 32;
    }
    return value;
}

/* Below a limit, by a power of two. */
static uint64_t any_below(uint64_t limit)
{
    uint64_t mask = 0;

    while (2 * mask + 1 < limit)
        mask = 2 * mask + 1;
    return any() & mask;
}

/* Of any magnitude. */
static uint64_t any_size(void)
{
    uint64_t value = any();

    return value >> (any() & 63);
}

static uint64_t now(void)
{
    return vmi_get_cycle_counter(VMI_CYCLES_REAL);
}

/* ---- what came ---- */

static volatile uint32_t taken;
static volatile uint64_t stamps[ALARMS]; /* of the first ones */

static void note(struct trap_frame *frame)
{
    if (taken < ALARMS)
        stamps[taken] = now();
    taken++;
    vmi_end_of_interrupt(frame->vector);
}

struct findings {
    uint32_t early, lost, after_cancel, storms;
};

static void watch(uint32_t readings)
{
    for (uint32_t i = 0; i < readings; i++)
        now();
}

static void watch_until(uint64_t end)
{
    while (now() < end)
        continue;
}

static uint64_t sum(uint64_t left, uint64_t right)
{
    return left + right < left ? UINT64_MAX : left + right;
}

static uint64_t later(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

/* Cycles between two alarms at least. */
static uint64_t least(void)
{
    return timer_cycles(1000000 / RATE_MAX);
}

/* An alarm as it was set. */
struct alarm {
    uint32_t flags;
    uint64_t expiry, period, start;
};

/*
 * Has a line-0 alarm's timer run out by then, though the alarm is not due? README.md of the
 * libraries that have a PIT: it interrupts each time.
 */
static bool ran_out(const struct alarm *alarm, uint64_t time)
{
    return !(alarm->flags & VMI_ALARM_WIRED_LVTT) &&
           time >= alarm->start + timer_cycles(LINE_0_REACH_MICROSECONDS);
}

/*
 * Is that the i-th interrupt, from 0, before it may come? Moments are a period apart from each
 * other, the first one is at once if it was past.
 */
static bool is_early(const struct alarm *alarm, uint32_t i, uint64_t stamp)
{
    uint64_t start = later(alarm->start, alarm->expiry), due = alarm->expiry;

    if (ran_out(alarm, stamp))
        return false;
    for (uint32_t n = 0; n < i; n++) {
        start = sum(start, least() - TOLERANCE(least()));
        /* Between the first and the next of an alarm that was past is less than a period. */
        if (n > 0 || alarm->expiry >= alarm->start)
            due = sum(due, alarm->period);
        else
            due = alarm->start;
    }
    due = later(due - TOLERANCE(due - alarm->expiry), i > 0 ? start : 0);
    return stamp < due;
}

/* Judges what has come up to now; interrupts are masked. */
static void judge(struct findings *found, const struct alarm *alarm)
{
    uint32_t count = taken < ALARMS ? taken : ALARMS, rest;
    uint64_t passed = now() - alarm->start, most = 1;

    for (uint32_t i = 0; i < count; i++)
        found->early += is_early(alarm, alarm->period ? i : 0, stamps[i]);
    if (alarm->period)
        most += divide_u64(passed, (uint32_t)(least() - TOLERANCE(least())), &rest);
    else if (!(alarm->flags & VMI_ALARM_WIRED_LVTT))
        most += divide_u64(passed, (uint32_t)timer_cycles(LINE_0_REACH_MICROSECONDS), &rest);
    found->storms += taken > most;
}

/* One alarm, from being set until nothing of it is left. */
static void try(struct findings *found, uint32_t flags, uint64_t expiry, uint64_t period)
{
    uint64_t soon = timer_cycles(SOON_MICROSECONDS);
    struct alarm alarm = {.flags = flags,
                          .expiry = expiry,
                          .period = flags & VMI_ALARM_PERIODIC ? period : 0,
                          .start = now()};
    uint32_t awaited = 0;

    /* Where one is lost others will be, and each is waited for. */
    if (found->lost)
        return;
    if (expiry <= alarm.start + soon)
        awaited = alarm.period && alarm.period <= soon ? ALARMS : 1;
    taken = 0;
    vmi_set_alarm(flags, expiry, period);
    bool lost = awaited && !wait_for_count(&taken, awaited, PATIENCE_MILLISECONDS);
    watch(READINGS);

    uint32_t interrupts = interrupts_mask();
    uint32_t before = found->early + found->storms;
    judge(found, &alarm);
    if (lost || found->early + found->storms != before)
        print("# alarm flags=0x%x start=0x%llx expiry=0x%llx period=0x%llx now=0x%llx taken=%u%s\n",
              flags, (unsigned long long)alarm.start, (unsigned long long)expiry,
              (unsigned long long)alarm.period, (unsigned long long)now(), taken,
              lost ? " lost" : "");
    found->lost += lost;
    taken = 0;
    vmi_cancel_alarm(flags);
    uint64_t cancelled = now();
    interrupts_restore(interrupts);
    watch(READINGS / 4);
    /* One that was pending may still come. */
    found->after_cancel += taken > (cancelled >= expiry || ran_out(&alarm, cancelled));
}

static void report_findings(const struct findings *found)
{
    EXPECT_EQUAL(found->early, 0);
    EXPECT_EQUAL(found->lost, 0);
    EXPECT_EQUAL(found->after_cancel, 0);
    EXPECT_EQUAL(found->storms, 0);
}

/* ---- wired to LVTT ---- */

/* Runs steps while the interrupts of a vector are noted, and the kernel's own alarm is off. */
static void noting(uint32_t vector, struct findings *found, void (*steps)(struct findings *))
{
    timer_cancel();
    spin_milliseconds(1); /* one that was on its way */
    trap_handler *before = trap_handler_set(vector, note);
    taken = 0;
    steps(found);
    trap_handler_set(vector, before);
    timer_init_cpu();
}

static const uint64_t never[] = {UINT64_MAX,       UINT64_MAX - 1, 1ull << 63,
                                 (1ull << 63) - 1, 1ull << 62,     UINT64_MAX - 1000000};
#define NEVERS (sizeof(never) / sizeof(never[0]))

static void expiries(struct findings *found)
{
    state = 1;
    for (uint32_t i = 0; i < NEVERS; i++)
        try(found, LVTT, never[i], 0);
    for (uint32_t i = 0; i < VALUES; i++) {
        uint64_t expiry = i & 1 ? any_size() : now() + any_size();
        try(found, LVTT, expiry, any_size());
    }
}

static void periods(struct findings *found)
{
    state = 2;
    for (uint32_t i = 0; i < NEVERS; i++)
        try(found, LVTT | VMI_ALARM_PERIODIC, now(), never[i]);
    for (uint32_t i = 0; i < VALUES; i++) {
        uint64_t expiry = i & 1 ? now() : any_size();
        try(found, LVTT | VMI_ALARM_PERIODIC, expiry, i & 3 ? any_size() : any() & 0xff);
    }
}

/* Cancelled before it is due, or while it is. */
static void cancels(struct findings *found)
{
    state = 3;
    for (uint32_t i = 0; i < VALUES; i++) {
        uint64_t expiry = now() + any_below(timer_cycles(1000));
        uint32_t flags = LVTT | (i & 1 ? VMI_ALARM_PERIODIC : 0);

        taken = 0;
        vmi_set_alarm(flags, expiry, i & 2 ? UINT64_MAX : 1);
        watch((uint32_t)any() % READINGS);
        uint32_t interrupts = interrupts_mask();
        vmi_cancel_alarm(LVTT);
        uint32_t before = taken;
        uint64_t cancelled = now();
        interrupts_restore(interrupts);
        watch_until(expiry + timer_cycles(500));
        found->after_cancel += taken - before > (cancelled >= expiry);
    }
}

static void any_expiry(void)
{
    struct findings found = {0};

    NEEDS(SET_ALARM);
    noting(VECTOR_ALARM, &found, expiries);
    report_findings(&found);
}

static void any_period(void)
{
    struct findings found = {0};

    NEEDS(SET_ALARM);
    noting(VECTOR_ALARM, &found, periods);
    report_findings(&found);
}

static void any_cancel(void)
{
    struct findings found = {0};

    NEEDS(SET_ALARM);
    NEEDS(CANCEL_ALARM);
    noting(VECTOR_ALARM, &found, cancels);
    report_findings(&found);
}

/* ---- wired to line 0 ---- */

static int32_t line_0; /* event, or error */
static uint32_t line_0_vector;

/* Binds the line, once; it is opened while its interrupts are noted. */
static bool line_0_bound(void)
{
    static const uint8_t vectors[] = {VECTOR_LINE_0, VECTOR_ALARM};

    for (uint32_t i = 0; line_0_vector == 0 && i < sizeof(vectors); i++) {
        line_0 = vmi_event_bind(VMI_EVENT_IRQ, 0, vectors[i]);
        if (line_0 >= 0)
            line_0_vector = vectors[i];
    }
    return line_0_vector != 0;
}

#define NEEDS_LINE_0()                                                                             \
    do {                                                                                           \
        NEEDS(SET_ALARM);                                                                          \
        NEEDS(CANCEL_ALARM);                                                                       \
        NEEDS(EVENT_BIND);                                                                         \
        if (!line_0_bound()) {                                                                     \
            ktap_skip("there is no line 0");                                                       \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* With no alarm set, nothing comes of what the firmware has left. */
static void line_0_without_alarm(struct findings *found)
{
    vmi_event_unmask((uint32_t)line_0);
    watch_until(now() + timer_cycles(2 * LINE_0_REACH_MICROSECONDS));
    found->after_cancel += taken;
}

static void line_0_expiries(struct findings *found)
{
    state = 4;
    for (uint32_t i = 0; i < VALUES / 4; i++)
        try(found, IRQ0, i & 1 ? any_below(now()) : now() + any_below(timer_cycles(2000)), 0);
    for (uint32_t i = 0; i < NEVERS; i++)
        try(found, IRQ0, never[i], any_size());
    for (uint32_t i = 0; i < VALUES / 4; i++)
        try(found, IRQ0 | VMI_ALARM_PERIODIC, now(), i & 1 ? never[i % NEVERS] : any_size());
}

/*
 * One that is cancelled before it is due does not come, at whatever time its timer would have run
 * out; nor does one of the timer's own that is not an alarm.
 */
static void line_0_cancels(struct findings *found)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t start = now(), expiry = start + timer_cycles(20000);
        bool in_time;

        taken = 0;
        vmi_set_alarm(IRQ0 | (i & 1 ? VMI_ALARM_PERIODIC : 0), expiry, timer_cycles(10000));
        watch(READINGS);
        vmi_cancel_alarm(IRQ0);
        in_time = now() < expiry;
        watch_until(expiry + timer_cycles(2 * LINE_0_REACH_MICROSECONDS));
        found->after_cancel += in_time && taken;
    }
}

static void line_0_is_silent(void)
{
    struct findings found = {0};

    NEEDS_LINE_0();
    noting(line_0_vector, &found, line_0_without_alarm);
    report_findings(&found);
}

static void line_0_any_expiry(void)
{
    struct findings found = {0};

    NEEDS_LINE_0();
    noting(line_0_vector, &found, line_0_expiries);
    report_findings(&found);
}

static void line_0_cancelled(void)
{
    struct findings found = {0};

    NEEDS_LINE_0();
    noting(line_0_vector, &found, line_0_cancels);
    report_findings(&found);
}

const struct check checks_alarms[] = {
    {"alarms.any_expiry", any_expiry},
    {"alarms.any_period", any_period},
    {"alarms.any_cancel", any_cancel},
    {"alarms.line_0_is_silent", line_0_is_silent},
    {"alarms.line_0_any_expiry", line_0_any_expiry},
    {"alarms.line_0_cancelled", line_0_cancelled},
    {NULL, NULL},
};
