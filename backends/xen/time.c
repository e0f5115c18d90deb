/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Time. Xen keeps a system time in nanoseconds and gives each VCPU what it takes to compute it from
 * the TSC (xen/xen.h, struct vcpu_time_info); alarms are its per-VCPU timer. The cycle counters
 * count nanoseconds of that time.
 */
#include "services.h"
#include "xen_common/wall_clock.h"

#define NSEC_PER_SEC 1000000000u

#define ALARM_IRQ0  0
#define ALARM_LVTT  1
#define LVTT_MASKED 0x10000u

static uint64_t last_time; /* the latest that any CPU was told */
static uint64_t offset;    /* of the clock, from Xen's system time */
static uint32_t last_wallclock_version;

VMI__ROUTINE uint64_t vmi__xen_clock_nanoseconds(void)
{
    uint64_t now = vmi__xen_system_time() + offset, value;
    uint64_t seen = *(const volatile uint64_t *)&last_time;
    bool done;

    /* Of a first look the halves may not belong together: then the exchange says so. */
    do {
        value = now > seen ? now : seen;
        done = vmi__exchange_if(&last_time, &seen, value);
    } while (!done);
    return value;
}

void vmi__xen_clock_continue(void)
{
    offset = last_time - vmi__xen_system_time();
}

void vmi__xen_time_leave(struct vmi__xen_cpu *cpu)
{
    vmi__xen_clock_nanoseconds();
    cpu->stolen_told = vmi__xen_steal_time();
}

void vmi__xen_time_return(struct vmi__xen_cpu *cpu)
{
    cpu->stolen_before += cpu->stolen_told - vmi__xen_steal_time();
    cpu->timer = 0;
    vmi__xen_alarms(cpu);
}

/* ---- counters
 * -------------------------------------------------------------------------------------------------
 * ---
 */

/* What Xen says of this VCPU's states (vcpu.h, struct vcpu_runstate_info), consistent; events are
 * masked. */
static void runstate(struct vmi__xen_cpu *cpu, struct vcpu_runstate_info *now)
{
    const volatile struct vcpu_runstate_info *from = &cpu->runstate;

    do {
        now->state_entry_time = from->state_entry_time;
        vmi__barrier();
        for (uint32_t i = 0; i < 4; i++)
            now->time[i] = from->time[i];
        now->state = from->state;
        vmi__barrier();
    } while (now->state_entry_time != from->state_entry_time ||
             now->state_entry_time & XEN_RUNSTATE_UPDATE);
}

static uint64_t stolen(void)
{
    uint32_t mask = vmi__xen_mask();
    struct vcpu_runstate_info now;

    runstate(vmi__xen_self(), &now);
    now.time[RUNSTATE_runnable] += vmi__xen_self()->stolen_before;
    vmi__xen_unmask(mask);
    return now.time[RUNSTATE_runnable] + now.time[RUNSTATE_offline];
}

/* Time that was not stolen; two readings of different clocks, so that it is kept from going back.
 */
static uint64_t available(void)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();
    uint64_t time = vmi__xen_clock_nanoseconds(), lost = stolen();

    if (time > lost && time - lost > cpu->available)
        cpu->available = time - lost;
    time = cpu->available;
    vmi__xen_unmask(mask);
    return time;
}

VMI__ROUTINE uint64_t vmi__xen_steal_time(void)
{
    return stolen();
}

VMI__ROUTINE uint64_t vmi__xen_get_cycle_frequency(void)
{
    return NSEC_PER_SEC;
}

VMI__ROUTINE uint64_t vmi__xen_get_cycle_counter(uint32_t which)
{
    switch (which) {
    case VMI_CYCLES_REAL:
        return vmi__xen_clock_nanoseconds();
    case VMI_CYCLES_AVAILABLE:
        return available();
    case VMI_CYCLES_STOLEN:
        return stolen();
    default:
        return 0;
    }
}

/* ---- alarms
 * -------------------------------------------------------------------------------------------------
 * -----
 */

/* The least that is left to the kernel between two of a periodic alarm, in nanoseconds. */
#define ALARM_LEAST (NSEC_PER_SEC / VMI__ALARMS_PER_SECOND)

/*
 * As far ahead as the timer is set, some days. Xen takes what is further for a mistake, and sends
 * the event each 100 ms (xen/common/sched/core.c, do_set_timer_op, "huge timeout").
 */
#define ALARM_AHEAD (1ull << 49)

void vmi__xen_alarms(struct vmi__xen_cpu *cpu)
{
    uint32_t mask = vmi__xen_take(&cpu->alarm_lock);
    uint64_t next = 0, now, left, least;

    for (uint32_t i = 0; i < 2; i++) {
        struct vmi__xen_alarm *alarm = &cpu->alarm[i];

        if (!alarm->active)
            continue;
        least = 0;
        now = vmi__xen_get_cycle_counter(alarm->flags & VMI_ALARM_COUNTER_MASK);
        if (now >= alarm->expiry) {
            if (alarm->flags & VMI_ALARM_PERIODIC && alarm->period) {
                alarm->expiry = vmi__alarm_next(alarm->expiry, alarm->period, now);
                least = ALARM_LEAST;
            } else {
                alarm->active = 0;
            }
            if (i == ALARM_IRQ0)
                vmi__xen_raise_irq0(cpu);
            else if (!(cpu->lvtt & LVTT_MASKED))
                vmi__xen_raise(cpu, cpu->lvtt & 0xff);
        }
        if (alarm->active) {
            left = alarm->expiry - now;
            if (left < least)
                left = least;
            if (left > ALARM_AHEAD)
                left = ALARM_AHEAD;
            now = vmi__xen_clock_nanoseconds();
            if (!next || now + left < next)
                next = now + left;
        }
    }
    vmi__xen_give(&cpu->alarm_lock, mask);
    if (next != cpu->timer) {
        cpu->timer = next;
        vmi__xen_hypercall_set_timer_op(next ? next - offset : 0);
    }
}

/* The alarm of a wiring: IRQ0's belongs to the first CPU, whoever sets it. */
static void change_alarm(uint32_t flags, const struct vmi__xen_alarm *alarm)
{
    uint32_t wiring = flags & VMI_ALARM_WIRED_LVTT ? ALARM_LVTT : ALARM_IRQ0;
    uint32_t mask = vmi__xen_mask(), self = vmi__xen_this(),
             owner = wiring == ALARM_IRQ0 ? 0 : self;
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[owner];

    vmi__xen_take(&cpu->alarm_lock);
    cpu->alarm[wiring] = *alarm;
    vmi__xen_give(&cpu->alarm_lock, 1);
    if (owner == self) {
        vmi__xen_alarms(cpu);
    } else {
        __atomic_store_n(&cpu->alarm_changed, 1, __ATOMIC_SEQ_CST);
        vmi__xen_prod(owner);
    }
    vmi__xen_unmask(mask);
}

VMI__ROUTINE void vmi__xen_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    struct vmi__xen_alarm alarm = {.active = 1, .flags = flags, .expiry = expiry, .period = period};

    change_alarm(flags, &alarm);
}

VMI__ROUTINE void vmi__xen_cancel_alarm(uint32_t flags)
{
    struct vmi__xen_alarm alarm = {.active = 0};

    change_alarm(flags, &alarm);
}

/* ---- wall clock
 * -------------------------------------------------------------------------------------------------
 * -
 */

VMI__ROUTINE uint64_t vmi__xen_get_wallclock_time(void)
{
    uint64_t zero = vmi__wall_clock_at_zero(&vmi__xen_shared);

    return zero ? zero + vmi__xen_clock_nanoseconds() - offset : 0;
}

VMI__ROUTINE int32_t vmi__xen_wallclock_updated(void)
{
    uint32_t version = __atomic_load_n(&vmi__xen_shared.wc_version, __ATOMIC_SEQ_CST);

    return __atomic_exchange_n(&last_wallclock_version, version, __ATOMIC_SEQ_CST) != version;
}
