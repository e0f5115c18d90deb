/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The Xen library's alarms as a Linux process: this file plays Xen's clock and per-VCPU timer, for
 * expiries and periods from all of 64 bits.
 */
#include "xen/services.h"

/* What a process may not do: it has no descriptor that holds the number of the CPU. */
#define vmi__xen_this() 0u
#define vmi__xen_self() vmi__xen_cpus[0]

#include "alarm.c" /* runtime/ */
#include "string.c"
#include "xen/time.c"

#include "backends/played.h"
#include "backends/played_random.h"

/* ---- the hypervisor, and the rest of the library ---- */

#define VECTOR 0x40
#define HUGE   (1ull << 50) /* nanoseconds ahead that Xen takes for a mistake */

static struct vmi__xen_cpu cpu;
struct vmi__xen_cpu *vmi__xen_cpus[VMI__XEN_CPUS_MAX] = {&cpu};
struct shared_info vmi__xen_shared;

static uint64_t timer; /* 0: not set */
static uint32_t raised, raised_irq0;

static uint64_t xen_time;

__attribute__((cdecl, regparm(0))) int32_t vmi__xen_hypercall_set_timer_op(uint64_t timeout)
{
    timer = timeout;
    if (timeout >> 63 || (timeout > xen_time && timeout - xen_time >= HUGE))
        timer = xen_time + 100000000;
    return 0;
}

uint64_t vmi__xen_system_time(void)
{
    return xen_time;
}

VMI__ROUTINE uint32_t vmi__xen_mask(void)
{
    return 0;
}

VMI__ROUTINE void vmi__xen_enable_interrupts(void)
{
}

uint32_t vmi__xen_take(struct vmi__xen_lock *lock)
{
    (void)lock;
    return 0;
}

void vmi__xen_give(struct vmi__xen_lock *lock, uint32_t mask)
{
    (void)lock;
    (void)mask;
}

void vmi__xen_raise(struct vmi__xen_cpu *on, uint32_t vector)
{
    (void)on;
    EXPECT(vector == VECTOR);
    raised++;
}

void vmi__xen_raise_irq0(struct vmi__xen_cpu *on)
{
    (void)on;
    raised_irq0++;
}

intptr_t vmi__xen_prod(uint32_t number)
{
    (void)number;
    return 0;
}

/* ---- time ---- */

/* Goes on to the timer's event, which comes a little late, and has it looked at. */
static bool event(void)
{
    if (!timer)
        return false;
    if (timer > xen_time)
        xen_time = timer;
    xen_time += any() & 0xfff;
    timer = 0;
    vmi__xen_alarms(&cpu);
    return true;
}

/* ---- checks ---- */

static void begin(uint64_t seed)
{
    state = seed;
    cpu = (struct vmi__xen_cpu){.lvtt = VECTOR};
    last_time = 0;
    xen_time = any() >> 12;
    timer = 0;
    raised = raised_irq0 = 0;
}

/* An alarm of either wiring: none early, none lost, never a storm, and no event in vain. */
static void all_of_64_bits(uint32_t wiring, const uint32_t *count)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + 3000; seed++) {
        bool periodic = seed & 1;
        uint64_t expiry, period, due, from;
        uint32_t events, before;

        begin(seed);
        expiry = seed % 3 == 0 ? any_size() : seed % 3 == 1 ? ~any_size() : xen_time + any_size();
        period = seed & 2 ? any_size() : ~any_size();
        due = expiry;
        from = xen_time;
        vmi__xen_set_alarm(wiring | VMI_CYCLES_REAL | (periodic ? VMI_ALARM_PERIODIC : 0), expiry,
                           period);
        /* One that is past goes off while it is set. */
        EXPECT(*count == (xen_time >= expiry));
        if (*count)
            due = periodic && period ? vmi__alarm_next(due, period, xen_time) : ~0ull;
        for (events = 0; events < 8; events++) {
            before = *count;
            EXPECT(!timer || !*count || timer - xen_time >= NSEC_PER_SEC / VMI__ALARMS_PER_SECOND);
            from = xen_time;
            if (!event())
                break;
            if (*count == before) {
                /* In vain only if it is further away than Xen is told. */
                EXPECT(xen_time < due && xen_time - from >= HUGE / 4);
                continue;
            }
            EXPECT(*count == before + 1 && xen_time >= due);
            EXPECT(due < from || xen_time - due <= NSEC_PER_SEC / VMI__ALARMS_PER_SECOND + 0xfff);
            due = periodic && period ? vmi__alarm_next(due, period, xen_time) : ~0ull;
        }
        EXPECT(events == 8 || !(periodic && period));
        EXPECT(raised + raised_irq0 == *count && (*count <= 1 || periodic));
        before = *count;
        vmi__xen_cancel_alarm(wiring);
        EXPECT(!event() && *count == before);
    }
}

static void lvtt(void)
{
    all_of_64_bits(VMI_ALARM_WIRED_LVTT, &raised);
}

static void irq0(void)
{
    all_of_64_bits(VMI_ALARM_WIRED_IRQ0, &raised_irq0);
}

/* One of each wiring: the timer is for the one that is due first. */
static void both_wirings(void)
{
    begin(1);
    vmi__xen_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_CYCLES_REAL, UINT64_MAX, 0);
    vmi__xen_set_alarm(VMI_ALARM_WIRED_IRQ0 | VMI_CYCLES_REAL, xen_time + 5000, 0);
    EXPECT(timer == xen_time + 5000);
    EXPECT(event() && raised == 0 && raised_irq0 == 1);
    EXPECT(timer > xen_time + HUGE / 4);
}

/* In a second of Xen's there are as many cycles as the frequency says. */
static void cycles_of_a_second(void)
{
    uint64_t before;

    begin(1);
    before = vmi__xen_get_cycle_counter(VMI_CYCLES_REAL);
    xen_time += 1000000000;
    EXPECT(vmi__xen_get_cycle_counter(VMI_CYCLES_REAL) - before == vmi__xen_get_cycle_frequency());
}

static void wall_clock(void)
{
    begin(1);
    vmi__xen_shared.wc_version = 2;
    vmi__xen_shared.wc_sec = 5;
    vmi__xen_shared.wc_nsec = 7;
    EXPECT(vmi__xen_wallclock_updated() && !vmi__xen_wallclock_updated());
    EXPECT(vmi__xen_get_wallclock_time() == 5000000007 + xen_time);
    vmi__xen_shared.wc_version = 4;
    EXPECT(vmi__xen_wallclock_updated());
}

static const struct played_check checks[] = {
    CHECK(cycles_of_a_second), CHECK(wall_clock), CHECK(lvtt), CHECK(irq0), CHECK(both_wirings),
};

PLAY(checks)
