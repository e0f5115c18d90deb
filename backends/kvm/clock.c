/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Time by kvmclock, and what the host's scheduler has taken of it.
 */
#include "kvm.h"
#include <kvm/routines.h>
#include <native/routines.h>

#define NANOSECONDS 1000000000u /* per second */

/*
 * A step of the wall clock is more than what setting its rate can have done between two looks at
 * it.
 */
#define WALL_CLOCK_STEP 50000000u

/* Alarms further away than this many nanoseconds (nine years) are as good as never. */
#define FAR (1ull << 58)

/* Cycles are nanoseconds times this, shifted right by CYCLES_SHIFT: for a TSC of up to 8 GHz. */
#define CYCLES_SHIFT 29
static uint32_t cycles_multiplier;

/* Highest time that was returned while kvmclock was not the same on all CPUs. */
static volatile uint64_t highest_time;

static struct {
    struct vmi__lock lock;
    uint64_t base; /* at the last look, as wall_clock_base() returns it */
} wall_clock;

bool vmi__kvm_clock_used(void)
{
    return vmi__kvm_used & (1u << KVM__FEATURE_CLOCKSOURCE | 1u << KVM__FEATURE_CLOCKSOURCE2);
}

/*
 * Nanoseconds by one CPU's structure; *flags are those of the same moment. KVM writes while that
 * CPU is out of the guest and makes the version odd meanwhile, so another CPU, or this one if it
 * came out between two readings, tries again.
 */
static uint64_t read_time(const volatile struct kvm__time *time, uint8_t *flags)
{
    uint64_t now, then, nanoseconds;
    uint32_t version;

    do {
        version = time->version;
        now = vmi__rdtsc_ordered();
        then = time->tsc_timestamp;
        /* A TSC that lags behind the one that KVM read must not look like one far ahead. */
        now = now > then ? now - then : 0;
        now = time->shift < 0 ? now >> -time->shift : now << time->shift;
        nanoseconds = time->system_time + vmi__scale(now, time->multiplier, 32);
        *flags = time->flags;
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != time->version);
    return nanoseconds;
}

static uint64_t nanoseconds(void)
{
    uint64_t time;
    uint32_t interrupts;
    uint8_t flags;

    time = read_time(&vmi__kvm_this_cpu()->time, &flags);
    if ((flags & KVM__TIME_STABLE) && vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE_STABLE))
        return time;
    /*
     * Each CPU has a time of its own: stay on this one, and let none see less than another has
     * seen.
     */
    interrupts = vmi__irq_save();
    time = read_time(&vmi__kvm_this_cpu()->time, &flags);
    vmi__irq_restore(interrupts);
    return vmi__kvm_highest(&highest_time, time);
}

uint64_t vmi__kvm_tsc_cycles(uint64_t nanoseconds)
{
    if (nanoseconds > FAR)
        nanoseconds = FAR;
    return vmi__scale(nanoseconds, cycles_multiplier, CYCLES_SHIFT);
}

void vmi__kvm_clock_init(void)
{
    const struct kvm__time *time = &vmi__kvm_cpus[0].time;
    uint64_t hz;

    if (!vmi__kvm_clock_used())
        return;
    /* From nanoseconds = (cycles << shift) * multiplier >> 32. */
    hz = vmi__div64((uint64_t)NANOSECONDS << 32, time->multiplier);
    hz = time->shift < 0 ? hz << -time->shift : hz >> time->shift;
    vmi__native_tsc_hz = hz;
    cycles_multiplier = (uint32_t)vmi__div64(hz << CYCLES_SHIFT, NANOSECONDS);
}

VMI__ROUTINE uint64_t vmi__kvm_clock_nanoseconds(void)
{
    return vmi__kvm_clock_used() ? nanoseconds() : vmi__native_clock_nanoseconds();
}

VMI__ROUTINE uint64_t vmi__kvm_steal_time(void)
{
    const volatile struct kvm__steal_time *steal;
    uint32_t version, interrupts;
    uint64_t time;

    if (!vmi__kvm_uses(KVM__FEATURE_STEAL_TIME))
        return 0;
    interrupts = vmi__irq_save();
    steal = &vmi__kvm_this_cpu()->steal;
    do {
        version = steal->version;
        __asm__ volatile("" : : : "memory");
        time = steal->steal;
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != steal->version);
    vmi__irq_restore(interrupts);
    return time;
}

/*
 * Time less what was stolen. KVM adds up what was stolen later than time passes, so hold what was
 * seen.
 */
static uint64_t available(void)
{
    uint32_t interrupts = vmi__irq_save();
    uint64_t value = nanoseconds() - vmi__kvm_steal_time();

    value = vmi__kvm_highest(&vmi__kvm_this_cpu()->available, value);
    vmi__irq_restore(interrupts);
    return value;
}

VMI__ROUTINE uint64_t vmi__kvm_get_cycle_counter(uint32_t which)
{
    switch (which) {
    case VMI_CYCLES_REAL:
        return vmi__kvm_clock_used() ? nanoseconds() : vmi__rdtsc();
    case VMI_CYCLES_AVAILABLE:
        return vmi__kvm_clock_used() ? available() : vmi__rdtsc();
    case VMI_CYCLES_STOLEN:
        /* Without kvmclock cycles are those of the TSC, and KVM does not count those. */
        return vmi__kvm_clock_used() ? vmi__kvm_steal_time() : 0;
    default:
        return 0;
    }
}

VMI__ROUTINE uint64_t vmi__kvm_get_cycle_frequency(void)
{
    return vmi__kvm_clock_used() ? NANOSECONDS : vmi__native_get_cycle_frequency();
}

VMI__ROUTINE void vmi__kvm_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    uint64_t now, cycles;

    if (vmi__kvm_clock_used()) {
        /* Rounded up and counted from a later reading: an alarm may be late, but not early. */
        now = vmi__kvm_get_cycle_counter(flags & VMI_ALARM_COUNTER_MASK);
        expiry = vmi__rdtsc() + (expiry > now ? vmi__kvm_tsc_cycles(expiry - now) + 1 : 0);
        cycles = vmi__kvm_tsc_cycles(period);
        /* A period of less than a cycle is still one. */
        period = period && !cycles ? 1 : cycles;
    }
    vmi__native_set_alarm(flags, expiry, period);
}

/*
 * The wall clock at time 0 of kvmclock, in nanoseconds; 0 if KVM does not tell. KVM writes it when
 * it is asked to.
 */
static uint64_t wall_clock_base(void)
{
    uint32_t index =
        vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE2) ? KVM__MSR_WALL_CLOCK : KVM__MSR_WALL_CLOCK_OLD;
    uint32_t interrupts = vmi__irq_save();
    const volatile struct kvm__wall_clock *clock = &vmi__kvm_this_cpu()->wall_clock;
    uint32_t version, seconds, rest;

    vmi__wrmsr(index, vmi__physical((const void *)clock));
    do {
        version = clock->version;
        __asm__ volatile("" : : : "memory");
        seconds = clock->seconds;
        rest = clock->nanoseconds;
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != clock->version);
    vmi__irq_restore(interrupts);
    return version ? (uint64_t)seconds * NANOSECONDS + rest : 0;
}

VMI__ROUTINE uint64_t vmi__kvm_get_wallclock_time(void)
{
    uint64_t base = vmi__kvm_clock_used() ? wall_clock_base() : 0;

    return base ? base + nanoseconds() : vmi__native_get_wallclock_time();
}

/* Has the host stopped and resumed the guest since the last look? The wall clock went on meanwhile.
 */
static bool guest_stopped(void)
{
    bool stopped = false;
    uint32_t i;

    for (i = 0; i < vmi__boot.cpu_count; i++) {
        volatile uint8_t *flags = &vmi__kvm_cpus[i].time.flags;

        if (*flags & KVM__TIME_GUEST_STOPPED) {
            stopped = true;
            __asm__ volatile("lock andb %1, %0"
                             : "+m"(*flags)
                             : "iq"((uint8_t)~KVM__TIME_GUEST_STOPPED)
                             : "cc");
        }
    }
    return stopped;
}

VMI__ROUTINE int32_t vmi__kvm_wallclock_updated(void)
{
    uint64_t base, before, step;
    uint32_t flags;
    bool stopped;

    if (!vmi__kvm_clock_used())
        return 0;
    stopped = guest_stopped();
    base = wall_clock_base();
    flags = vmi__lock(&wall_clock.lock);
    before = wall_clock.base;
    wall_clock.base = base;
    vmi__unlock(&wall_clock.lock, flags);
    step = base > before ? base - before : before - base;
    /* The first look has nothing to compare with. */
    return stopped || (before && step > WALL_CLOCK_STEP);
}
