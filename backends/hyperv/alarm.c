/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetAlarm and CancelAlarm. Wired to LVTT an alarm is synthetic timer 0 in direct mode, which
 * raises the vector that the kernel has written to LVTT at a reference time, for one exit
 * (TLFS, Timers). Wired to IRQ0, or without that timer, it is the native one. Periods are made of
 * single shots: EndOfInterrupt sets the next one.
 */
#include "hyperv.h"
#include <hyperv/routines.h>
#include <native/routines.h>

#define VECTOR_MASK 0xffu
#define VECTOR_LOW  16 /* vectors below are the processor's */

/*
 * The latest time that a timer is set to, a century after the partition was made: some hypervisors
 * count on in nanoseconds.
 */
#define LATEST (1ull << 55)

/* The least that is left to the kernel between two of a periodic alarm, in units. */
#define LEAST (HYPERV__UNITS_PER_SECOND / VMI__ALARMS_PER_SECOND)

static bool by_timer(uint32_t flags)
{
    return (flags & VMI_ALARM_WIRED_LVTT) && vmi__hyperv_uses(HYPERV__DIRECT_TIMER);
}

/* A count of 0 stops the timer. */
static void stop(struct vmi__hyperv_cpu *cpu)
{
    if (cpu->timer_config)
        vmi__wrmsr(HYPERV__MSR_TIMER0_COUNT, 0);
}

/* Not before `earliest`. */
static void start(struct vmi__hyperv_cpu *cpu, uint64_t earliest)
{
    uint64_t when = cpu->alarm_expiry > earliest ? cpu->alarm_expiry : earliest;
    uint32_t vector = cpu->lvtt & VECTOR_MASK;
    uint32_t config =
        HYPERV__TIMER_AUTO_ENABLE | HYPERV__TIMER_DIRECT | vector << HYPERV__TIMER_VECTOR_SHIFT;

    cpu->alarm_unheard = (cpu->lvtt & VMI__APIC_LVT_MASKED) || vector < VECTOR_LOW;
    if (cpu->alarm_unheard) {
        stop(cpu);
        return;
    }
    if (cpu->timer_config != config) {
        stop(cpu);
        vmi__wrmsr(HYPERV__MSR_TIMER0_CONFIG, config);
        cpu->timer_config = config;
    }
    cpu->alarm_due = when;
    if (when > LATEST)
        when = LATEST;
    vmi__wrmsr(HYPERV__MSR_TIMER0_COUNT, when ? when : 1);
    vmi__native_requests_untaken();
}

VMI__ROUTINE void vmi__hyperv_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    struct vmi__hyperv_cpu *cpu;
    uint32_t interrupts;

    if (!by_timer(flags)) {
        if (vmi__hyperv_uses(HYPERV__REFERENCE_COUNTER)) {
            uint64_t now = vmi__hyperv_reference_time();

            /* Counted from a later reading. */
            expiry = expiry > now ? vmi__hyperv_tsc_cycles(expiry - now) : 0;
            expiry = vmi__add_saturating(vmi__rdtsc(), expiry);
            period = period ? vmi__hyperv_tsc_cycles(period) : 0;
        }
        vmi__native_set_alarm(flags, expiry, period);
        return;
    }
    interrupts = vmi__irq_save();
    cpu = vmi__hyperv_this_cpu();
    cpu->alarm_expiry = expiry;
    cpu->alarm_period = flags & VMI_ALARM_PERIODIC ? period : 0;
    cpu->alarm_set = true;
    start(cpu, 0);
    vmi__irq_restore(interrupts);
}

VMI__ROUTINE void vmi__hyperv_cancel_alarm(uint32_t flags)
{
    struct vmi__hyperv_cpu *cpu;
    uint32_t interrupts;

    if (!by_timer(flags)) {
        vmi__native_cancel_alarm(flags);
        return;
    }
    interrupts = vmi__irq_save();
    cpu = vmi__hyperv_this_cpu();
    cpu->alarm_set = false;
    stop(cpu);
    vmi__irq_restore(interrupts);
}

/* An alarm that is still to come is set again, for the vector or the mask may be another. */
void vmi__hyperv_alarm_lvtt(uint32_t lvtt)
{
    uint32_t interrupts = vmi__irq_save();
    struct vmi__hyperv_cpu *cpu = vmi__hyperv_this_cpu();

    cpu->lvtt = lvtt;
    if (cpu->alarm_set && (cpu->alarm_unheard || cpu->alarm_period ||
                           vmi__hyperv_reference_time() < cpu->alarm_expiry))
        start(cpu, 0);
    vmi__irq_restore(interrupts);
}

/* An interrupt has ended that may have been the alarm's; interrupts are masked. */
static void go_on(struct vmi__hyperv_cpu *cpu)
{
    uint64_t now = vmi__hyperv_reference_time();

    if (now >= cpu->alarm_expiry && !cpu->alarm_period) {
        cpu->alarm_set = false;
    } else if (now >= cpu->alarm_expiry) {
        cpu->alarm_expiry = vmi__alarm_next(cpu->alarm_expiry, cpu->alarm_period, now);
        start(cpu, now + LEAST);
    }
}

void vmi__hyperv_alarm_ended(uint32_t vector)
{
    uint32_t interrupts = vmi__irq_save();
    struct vmi__hyperv_cpu *cpu = vmi__hyperv_this_cpu();

    if (cpu->alarm_set && vector == (cpu->lvtt & VECTOR_MASK))
        go_on(cpu);
    vmi__irq_restore(interrupts);
}

void vmi__hyperv_alarm_after_eoi(void)
{
    uint32_t interrupts = vmi__irq_save();
    struct vmi__hyperv_cpu *cpu = vmi__hyperv_this_cpu();

    /* One that happens once may be still to come, and needs nothing if it has. */
    if (cpu->alarm_set && cpu->alarm_period && vmi__hyperv_reference_time() >= cpu->alarm_due)
        go_on(cpu);
    vmi__irq_restore(interrupts);
}
