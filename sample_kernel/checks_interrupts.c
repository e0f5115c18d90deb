/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The interrupt mask: nothing comes while it is set, nothing is lost by it. */
#include <stddef.h>

#include "checks.h"
#include "cpus.h"
#include "divide.h"
#include "layout.h"
#include "print.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define ROUNDS 3

static volatile uint32_t taken;
static volatile uint64_t taken_at;      /* nanoseconds */
static volatile uintptr_t taken_before; /* the instruction that was next */

static void count(struct trap_frame *frame)
{
    taken++;
    taken_at = vmi_clock_nanoseconds();
    taken_before = frame->ip;
    vmi_end_of_interrupt(frame->vector);
}

static bool masked(void)
{
    return !(vmi_get_interrupt_mask() & EFLAGS_IF);
}

static void mask_round_trip(void)
{
    uint32_t open = vmi_get_interrupt_mask();
    EXPECT(open & EFLAGS_IF);

    vmi_disable_interrupts();
    uint32_t closed = vmi_get_interrupt_mask();
    vmi_set_interrupt_mask(open);
    bool opened = !masked();
    vmi_set_interrupt_mask(closed);
    bool closed_again = masked();
    vmi_enable_interrupts();

    EXPECT(!(closed & EFLAGS_IF));
    EXPECT(opened);
    EXPECT(closed_again);
    EXPECT(!masked());
}

/*
 * An interrupt from this CPU to itself, raised while masked: not taken before, taken once after
 * `open` unmasks.
 */
static void kept_until(void (*open)(void))
{
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    vmi_disable_interrupts();
    int32_t result = cpus_interrupt(1, VECTOR_CHECK);
    spin_milliseconds(2);
    uint32_t early = taken;
    open();
    bool arrived = wait_for(&taken, PATIENCE_MILLISECONDS);
    spin_milliseconds(2);

    EXPECT_EQUAL(result, VMI_OK);
    EXPECT_EQUAL(early, 0);
    EXPECT(arrived);
    EXPECT_EQUAL(taken, 1);
    EXPECT(!masked());
}

static void enable(void)
{
    vmi_enable_interrupts();
}

static void pending_enable(void)
{
    NEEDS(SEND_IPI);
    kept_until(enable);
}

static void restore(void)
{
    vmi_set_interrupt_mask(EFLAGS_IF);
}

static void pending_restore(void)
{
    NEEDS(SEND_IPI);
    kept_until(restore);
}

static bool rescued;

static uint32_t milliseconds(uint64_t nanoseconds)
{
    uint32_t rest;
    return (uint32_t)divide_u64(nanoseconds, 1000000, &rest);
}

/*
 * Halting with an interrupt pending is no halt. If it is, the alarm ends it, late: with the
 * interrupt taken late too, it was not seen to be pending (or nothing ran here for so long); taken
 * at once, it came between letting in and waiting.
 */
static void halt(void)
{
    uint32_t alarms = *timer_alarms(0);
    uint64_t begun = vmi_clock_nanoseconds();
    timer_one_shot(PATIENCE_MILLISECONDS * 1000);
    vmi_halt();
    rescued = *timer_alarms(0) != alarms;
    uint64_t ended = vmi_clock_nanoseconds();
    timer_init_cpu();
    vmi_enable_interrupts();
    if (rescued)
        print("# halted for %u ms, interrupted after %u ms\n", milliseconds(ended - begun),
              milliseconds(taken_at - begun));
}

static void pending_halt(void)
{
    NEEDS(SEND_IPI);
    uint32_t rounds = 0;
    do {
        timer_cancel();
        spin_milliseconds(1); /* a tick that was on its way */
        kept_until(halt);
    } while (rescued && trap_before_halt(taken_before) && ++rounds < ROUNDS);
    EXPECT(!rescued);
}

/*
 * Many rounds of raising and opening at once: the window between the check for pending ones and the
 * opening.
 */
static void none_lost(void)
{
    const uint32_t rounds = 200;

    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    for (uint32_t round = 1; round <= rounds; round++) {
        vmi_disable_interrupts();
        cpus_interrupt(1, VECTOR_CHECK);
        vmi_enable_interrupts();
        EXPECT(wait_for_count(&taken, round, PATIENCE_MILLISECONDS));
    }
    EXPECT_EQUAL(taken, rounds);
}

const struct check checks_interrupts[] = {
    {"interrupts.mask_round_trip", mask_round_trip},
    {"interrupts.pending_until_enabled", pending_enable},
    {"interrupts.pending_until_restored", pending_restore},
    {"interrupts.pending_ends_halt", pending_halt},
    {"interrupts.none_lost", none_lost},
    {NULL, NULL},
};
