/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetAlarm and CancelAlarm. Wired to LVTT an alarm is the local APIC's timer: in TSC-deadline mode
 * where the processor has that, else in one-shot mode. Wired to IRQ0 it is channel 0 of the PIT.
 * Periods, and alarms that are further away than a timer reaches, are made of single shots:
 * EndOfInterrupt sets the next one.
 *
 * A client of the published API has no EndOfInterrupt. Its writes to the APIC's EOI register are
 * seen instead; the ends of its line interrupts are not, so that the PIT makes periods by itself.
 *
 * Under a hypervisor each access to the APIC may leave the guest. So the LVT timer entry is
 * remembered where every write to it comes by here, and is neither read nor written for what it has
 * already: an alarm by deadline is one access then, to set that.
 *
 * Source: Intel SDM vol. 3A, 11.5.4.
 */
#include "native.h"
#include <native/routines.h>

#define MSR_DEADLINE  0x6e0
#define LVTT_VECTOR   0xffu
#define LVTT_MODE     0x60000u
#define LVTT_DEADLINE 0x40000u

/*
 * Ticks are cycles * rate >> SHIFT; 24 bits of fraction leave room for a timer 255 times as fast as
 * the TSC.
 */
#define SHIFT 24

/*
 * A shot on the way to an alarm, of a timer that counts so far. With the margin below, a longer one
 * could end after the alarm is due.
 */
#define ON_THE_WAY(most) ((most) - (most) / 1024)

/*
 * Rates are this much (1/2048) too high, for clocks drift and an alarm must not be early. That is
 * no allowance for the measuring, whose own bounds are taken.
 */
#define MARGIN_SHIFT 11

#define MEASUREMENTS_PER_SECOND 133   /* how long one takes */
#define CHECKS_PER_SECOND       10000 /* how long it takes to see whether what is told can be */
#define CHECK_SHIFT             4     /* how far that may be off: emulators are slow to read */
#define TRIES                   3
#define PIT_TICKS_MAX           0xffffu
#define PIT_PERIOD_MIN          (VMI__PIT_HZ / VMI__ALARMS_PER_SECOND)
#define PIT_PERIOD_MAX          0x10000u

/*
 * As far ahead as a hypervisor is given a deadline, an hour or so. KVM multiplies the difference by
 * a million in 64 bits (Linux, arch/x86/kvm/lapic.c, start_sw_tscdeadline).
 */
#define DEADLINE_AHEAD (1ull << 43)

struct alarm {
    bool set;
    bool unheard;            /* the LVT timer entry was masked when it was started */
    bool last;               /* the shot that was started reaches the expiry */
    uint64_t due;            /* when the timer goes off; 0: earlier than that */
    uint64_t expiry, period; /* cycles; no period: once */
};

/* What there is of each CPU's timer. */
struct timer {
    struct alarm alarm;
    bool known;       /* what the register has is `there` */
    uint32_t there;   /* the LVT timer entry as it was seen last */
    uint32_t written; /* the mode in it that the kernel has chosen; the library may use another */
};

static struct timer timers[VMI__CPUS_FEW], *timers_more;
static struct alarm by_irq0;
static struct vmi__lock irq0_lock;
bool vmi__native_apic_write_called;
static bool deadline;
static uint64_t deadline_ahead = UINT64_MAX;
static uint64_t least; /* cycles that are left to the kernel between two of a periodic alarm */
static uint32_t apic_rate, pit_rate;

/* Divide configuration for a division by 1, 2, 4 … 128 (Intel SDM vol. 3A, figure 11-10). */
static const uint8_t divide[] = {0xb, 0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa};
#define DIVIDE_SHIFT_MAX 7

static struct timer *timer_of(uint32_t cpu)
{
    return VMI__CPU_ROW(timers, timers_more, cpu);
}

/*
 * This CPU's LVT timer entry as the register has it. It is read if it is not known, and is known
 * from then on where the kernel's writes come by here: in x2APIC mode APICWrite is a routine in
 * every library. Interrupts are masked, here and where the entry is written.
 */
static uint32_t entry_of(struct timer *timer)
{
    if (!timer->known) {
        timer->there = vmi__native_apic_read(VMI_APIC_LVTT) & VMI__APIC_LVTT_BITS;
        timer->known = vmi__native_x2apic || vmi__native_apic_write_called;
    }
    return timer->there;
}

static void write_entry(struct timer *timer, uint32_t entry)
{
    if (timer->known && timer->there == entry)
        return;
    vmi__native_apic_write(VMI_APIC_LVTT, entry);
    /* An APIC that is off by its SVR keeps the mask, whatever is written: it is read once more. */
    timer->known = false;
}

static VMI__ADDRESS_TAKEN void apic_counter(struct vmi__native_reading *reading)
{
    reading->before = vmi__rdtsc();
    reading->count = ~vmi__native_apic_read(VMI__APIC_TIMER_CURRENT);
    reading->after = vmi__rdtsc();
}

/* ticks / cycles as a rate with its margin; cycles is not 0. */
static uint32_t rate_of(uint32_t ticks, uint64_t cycles)
{
    uint64_t rate;

    while (cycles > UINT32_MAX) {
        cycles >>= 1;
        ticks = (ticks >> 1) + 1;
    }
    rate = vmi__div64((uint64_t)ticks << SHIFT, (uint32_t)cycles);
    rate += (rate >> MARGIN_SHIFT) + 1;
    return rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate;
}

/* The timer counts, since this reading; no reading: it does not. */
static struct vmi__native_reading counts_since;

static void start_counting(void)
{
    vmi__native_apic_write(VMI__APIC_TIMER_DIVIDE, divide[0]);
    vmi__native_apic_write(VMI__APIC_TIMER_INITIAL, UINT32_MAX);
    counts_since = vmi__native_take(apic_counter);
}

static void stop_counting(void)
{
    vmi__native_apic_write(VMI__APIC_TIMER_INITIAL, 0);
    counts_since.after = 0;
}

/* How far it counts until so many cycles after it was started; no ticks if it stands still. */
static struct vmi__native_interval count_for(uint64_t cycles)
{
    struct vmi__native_interval interval;
    uint32_t tries = 0;

    do {
        if (!counts_since.after)
            start_counting();
        interval = vmi__native_watch(apic_counter, UINT32_MAX, &counts_since, cycles);
        /* It counts down once: after seconds without the CPU it stands at 0. */
        if (!interval.ticks || vmi__native_apic_read(VMI__APIC_TIMER_CURRENT))
            break;
        stop_counting();
    } while (++tries < TRIES);
    return interval;
}

/* Does the timer keep to the frequency that it is told to have? */
static bool keeps_to(uint32_t hz)
{
    uint32_t tsc_khz = (uint32_t)vmi__div64(vmi__native_tsc_hz, 1000);
    struct vmi__native_interval interval =
        count_for(vmi__div64(vmi__native_tsc_hz, CHECKS_PER_SECOND));
    uint64_t least = vmi__div64(interval.cycles_at_least * (hz / 1000), tsc_khz);
    uint64_t most = vmi__div64(interval.cycles_at_most * (hz / 1000), tsc_khz);

    return interval.ticks && interval.ticks + 1 >= least - (least >> CHECK_SHIFT) &&
           interval.ticks <= most + (most >> CHECK_SHIFT) + 1;
}

/* False if the timer stands still. */
static bool find_apic_rate(void)
{
    struct vmi__native_interval interval;

    if (vmi__native_apic_timer_hz && keeps_to(vmi__native_apic_timer_hz)) {
        apic_rate = rate_of(vmi__native_apic_timer_hz, vmi__native_tsc_hz_least);
    } else {
        interval = count_for(vmi__div64(vmi__native_tsc_hz, MEASUREMENTS_PER_SECOND));
        if (interval.ticks)
            apic_rate = rate_of(interval.ticks + 1, interval.cycles_at_least);
    }
    stop_counting();
    return apic_rate != 0;
}

/* Can this CPU's timer be used? */
static bool lvtt_ready(void)
{
    if (vmi__native_published && !vmi__native_published->reach_apic())
        return false;
    return deadline || apic_rate || find_apic_rate();
}

void vmi__native_alarm_prepare(void)
{
    if (!(vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_DEADLINE))
        start_counting();
}

void vmi__native_alarm_init(void)
{
    uint32_t features = vmi__cpuid(1, 0).ecx;

    timers_more = vmi__cpu_rows(sizeof(*timers_more));
    pit_rate = rate_of(VMI__PIT_HZ, vmi__native_tsc_hz_least);
    least = vmi__div64(vmi__native_tsc_hz, VMI__ALARMS_PER_SECOND);
    deadline = features & VMI__CPUID_1_ECX_DEADLINE;
    if (features & VMI__CPUID_1_ECX_HYPERVISOR)
        deadline_ahead = DEADLINE_AHEAD;
    if (!vmi__native_published && !lvtt_ready())
        vmi__fatal("the timer of the local APIC stands still");
}

/* Ticks until an alarm, at least 1. */
static uint64_t ticks_until(uint64_t expiry, uint32_t rate)
{
    uint64_t now = vmi__rdtsc();

    if (expiry <= now)
        return 1;
    return vmi__add_saturating(vmi__scale_saturating(expiry - now, rate, SHIFT), 1);
}

/* Starts this CPU's timer, whose LVT entry is given; false if it will go off before the alarm is
 * due. */
static bool start_lvtt(struct timer *timer, uint32_t entry, uint64_t expiry)
{
    uint32_t shift = 0;
    uint64_t ticks, last;

    entry &= ~LVTT_MODE;
    if (deadline) {
        last = vmi__add_saturating(vmi__rdtsc(), deadline_ahead);
        write_entry(timer, entry | LVTT_DEADLINE);
        /*
         * The mode must be there before the deadline (Intel SDM vol. 3A, 11.5.4.1); a locked access
         * is a fence.
         */
        __sync_synchronize();
        vmi__wrmsr(MSR_DEADLINE, expiry > last ? last : expiry ? expiry : 1);
        return expiry <= last;
    }
    ticks = ticks_until(expiry, apic_rate);
    while (ticks >> shift >= UINT32_MAX && shift < DIVIDE_SHIFT_MAX)
        shift++;
    ticks = (ticks >> shift) + 1;
    write_entry(timer, entry);
    vmi__native_apic_write(VMI__APIC_TIMER_DIVIDE, divide[shift]);
    vmi__native_apic_write(VMI__APIC_TIMER_INITIAL,
                           ticks > UINT32_MAX ? ON_THE_WAY(UINT32_MAX) : (uint32_t)ticks);
    return ticks <= UINT32_MAX;
}

/* With a deadline the count is nothing (Intel SDM vol. 3A, 11.5.4.1). */
static void stop_lvtt(struct timer *timer)
{
    if (deadline && (entry_of(timer) & LVTT_MODE) == LVTT_DEADLINE)
        vmi__wrmsr(MSR_DEADLINE, 0);
    else
        vmi__native_apic_write(VMI__APIC_TIMER_INITIAL, 0);
}

/* As start_lvtt. */
static bool start_irq0(uint64_t expiry)
{
    uint64_t ticks = ticks_until(expiry, pit_rate);

    vmi__native_pit_oneshot(ticks > PIT_TICKS_MAX ? ON_THE_WAY(PIT_TICKS_MAX) : (uint32_t)ticks);
    return ticks <= PIT_TICKS_MAX;
}

/* The PIT by itself, each period from now on, or as often as it can. */
static void start_irq0_periodic(uint64_t period)
{
    uint64_t ticks = vmi__scale_saturating(period, pit_rate, SHIFT);

    /* What goes on for ever is not to lag behind by the margin. */
    ticks -= ticks >> MARGIN_SHIFT;
    if (ticks < PIT_PERIOD_MIN)
        ticks = PIT_PERIOD_MIN;
    vmi__native_pit_periodic(ticks > PIT_PERIOD_MAX ? PIT_PERIOD_MAX : (uint32_t)ticks);
}

/*
 * Starts a timer, this CPU's or, if there is none, the PIT, and has EndOfInterrupt look after it if
 * one shot is not all. It is not to go off before `earliest`.
 */
static void start(struct alarm *alarm, struct timer *timer, uint64_t earliest)
{
    uint64_t due = alarm->expiry > earliest ? alarm->expiry : earliest;
    uint32_t entry = timer ? entry_of(timer) : vmi__native_event_vector(0);
    uint32_t vector = entry & LVTT_VECTOR;
    bool whole = timer ? start_lvtt(timer, entry, due) : start_irq0(due);

    if (!whole || alarm->period)
        vmi__native_ended_vectors[vector] = true;
    alarm->set = !whole || alarm->period;
    alarm->last = whole;
    alarm->due = whole ? due : 0;
    vmi__native_requests_untaken();
    if (timer && vmi__native_published)
        alarm->unheard = entry_of(timer) & VMI__APIC_LVT_MASKED;
}

VMI__ROUTINE void vmi__native_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    bool lvtt = flags & VMI_ALARM_WIRED_LVTT;
    struct timer *timer;
    struct alarm *alarm;
    uint32_t saved;

    if (lvtt && !lvtt_ready())
        return;
    timer = lvtt ? timer_of(vmi__native_cpu()) : 0;
    alarm = lvtt ? &timer->alarm : &by_irq0;
    saved = lvtt ? vmi__irq_save() : vmi__lock(&irq0_lock);
    alarm->expiry = expiry;
    alarm->period = flags & VMI_ALARM_PERIODIC ? period : 0;
    if (!lvtt && !vmi__native_published)
        vmi__native_event_timer(true);
    if (lvtt || !vmi__native_published)
        start(alarm, timer, 0);
    else if (alarm->period)
        start_irq0_periodic(alarm->period);
    else
        start_irq0(alarm->expiry);
    if (lvtt)
        vmi__irq_restore(saved);
    else
        vmi__unlock(&irq0_lock, saved);
}

VMI__ROUTINE void vmi__native_cancel_alarm(uint32_t flags)
{
    struct timer *timer;
    uint32_t saved;

    if (flags & VMI_ALARM_WIRED_LVTT) {
        if (!lvtt_ready())
            return;
        saved = vmi__irq_save();
        timer = timer_of(vmi__native_cpu());
        timer->alarm.set = false;
        stop_lvtt(timer);
        timer->alarm.unheard = false;
        vmi__irq_restore(saved);
    } else {
        saved = vmi__lock(&irq0_lock);
        by_irq0.set = false;
        if (!vmi__native_published)
            vmi__native_event_timer(false);
        vmi__native_pit_oneshot(0);
        vmi__unlock(&irq0_lock, saved);
    }
}

/*
 * Goes on with an alarm whose interrupt has been handled, whether that was early or on time. One
 * that fell due while a shot on the way was handled has yet to interrupt.
 */
static void go_on(struct alarm *alarm, struct timer *timer)
{
    uint64_t now = vmi__rdtsc(), earliest = 0;

    if (!alarm->set)
        return;
    if (alarm->last && now >= alarm->expiry) {
        if (!alarm->period) {
            alarm->set = false;
            return;
        }
        alarm->expiry = vmi__alarm_next(alarm->expiry, alarm->period, now);
        earliest = now + least;
    }
    start(alarm, timer, earliest);
}

void vmi__native_alarm_write_lvtt(uint32_t value)
{
    uint32_t saved = vmi__irq_save(), before;
    struct timer *timer = timer_of(vmi__native_cpu());

    value &= VMI__APIC_LVTT_BITS;
    before = entry_of(timer);
    timer->written = value & LVTT_MODE;
    /* In another mode the timer would forget its deadline. */
    if (deadline && (before & LVTT_MODE) == LVTT_DEADLINE && !timer->written)
        value |= LVTT_DEADLINE;
    if (vmi__native_ended_vectors[before & LVTT_VECTOR])
        vmi__native_ended_vectors[value & LVTT_VECTOR] = true;
    write_entry(timer, value);
    if (timer->alarm.unheard)
        start(&timer->alarm, timer, 0);
    vmi__irq_restore(saved);
}

void vmi__native_alarm_leave_timer(void)
{
    uint32_t saved = vmi__irq_save();
    struct timer *timer = timer_of(vmi__native_cpu());

    if (deadline)
        write_entry(timer, (entry_of(timer) & ~LVTT_MODE) | timer->written);
    vmi__irq_restore(saved);
}

void vmi__native_alarm_look_at_lvtt(void)
{
    timer_of(vmi__native_cpu())->known = false;
}

void vmi__native_alarm_again(uint32_t vector)
{
    struct timer *timer;
    uint32_t saved;

    if (vector == vmi__native_event_vector(0)) {
        saved = vmi__lock(&irq0_lock);
        go_on(&by_irq0, 0);
        vmi__unlock(&irq0_lock, saved);
    }
    saved = vmi__irq_save();
    timer = timer_of(vmi__native_cpu());
    /* The entry is read only if it matters: that may leave a guest. */
    if (timer->alarm.set && vector == (entry_of(timer) & LVTT_VECTOR))
        go_on(&timer->alarm, timer);
    vmi__irq_restore(saved);
}

void vmi__native_alarm_after_eoi(void)
{
    uint32_t saved = vmi__irq_save();
    struct timer *timer = timer_of(vmi__native_cpu());

    /* A timer that has not gone off is let alone. */
    if (timer->alarm.set && vmi__rdtsc() >= timer->alarm.due)
        go_on(&timer->alarm, timer);
    vmi__irq_restore(saved);
}

void vmi__native_alarm_forget(uint32_t cpu)
{
    *timer_of(cpu) = (struct timer){.known = false};
}
