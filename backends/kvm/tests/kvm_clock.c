/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The KVM library's clock as a Linux process: this file plays KVM, which writes the structures, and
 * the native library below.
 */
#include "kvm/kvm.h"

#include <kvm/routines.h>
#include <native/routines.h>

/* What a process may not do. */
static void write_msr(uint32_t index, uint64_t value);
#define vmi__wrmsr(index, value) write_msr(index, value)
#define vmi__irq_save()          0u
#define vmi__irq_restore(flags)  ((void)(flags))
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))

#include "kvm/clock.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

#define CLONE_VM 0x100
#define SIGKILL  9

/* ---- what is below and beside the clock ------------------------------------------------------ */

struct vmi_boot_info vmi__boot = {.cpu_count = 2};
struct vmi__kvm_cpu vmi__kvm_cpus[VMI__CPUS_FEW], *vmi__kvm_cpus_more;
uint32_t vmi__kvm_used;
uint64_t vmi__native_tsc_hz;

static uint32_t current;
static uint32_t msr_written;
static struct kvm__wall_clock host_wall_clock;
static uint64_t alarm_expiry, alarm_period;

struct vmi__kvm_cpu *vmi__kvm_this_cpu(void)
{
    return &vmi__kvm_cpus[current];
}

/* As KVM answers a write to one of its wall-clock MSRs; not at all if it has no time. */
static void write_msr(uint32_t index, uint64_t value)
{
    struct kvm__wall_clock *clock = &vmi__kvm_cpus[current].wall_clock;

    msr_written = index;
    if (value != vmi__physical(clock) || !host_wall_clock.seconds)
        return;
    clock->version += 2;
    clock->seconds = host_wall_clock.seconds;
    clock->nanoseconds = host_wall_clock.nanoseconds;
}

VMI__ROUTINE uint64_t vmi__native_clock_nanoseconds(void)
{
    return 11;
}

VMI__ROUTINE uint64_t vmi__native_get_wallclock_time(void)
{
    return 22;
}

VMI__ROUTINE uint64_t vmi__native_get_cycle_frequency(void)
{
    return 33;
}

VMI__ROUTINE void vmi__native_set_alarm(uint32_t flags, uint64_t expiry, uint64_t period)
{
    (void)flags;
    alarm_expiry = expiry;
    alarm_period = period;
}

/* ---- checks ---------------------------------------------------------------------------------- */

#define BIT(feature) (1u << KVM__FEATURE_##feature)

/* A structure that stands still at a time: its moment has not come yet by the TSC. */
static void stop_at(uint32_t cpu, uint64_t time, uint8_t flags)
{
    vmi__kvm_cpus[cpu].time = (struct kvm__time){.version = 2,
                                                 .tsc_timestamp = UINT64_MAX,
                                                 .system_time = time,
                                                 .multiplier = 0x80000000,
                                                 .flags = flags};
}

static void start(uint32_t used)
{
    memset(vmi__kvm_cpus, 0, sizeof(vmi__kvm_cpus));
    highest_time = 0;
    wall_clock.base = 0;
    current = 0;
    host_wall_clock = (struct kvm__wall_clock){0};
    vmi__native_tsc_hz = 0;
    vmi__kvm_used = used;
}

#define STABLE_CLOCK (BIT(CLOCKSOURCE2) | BIT(CLOCKSOURCE_STABLE))

static void stands_still_before_its_moment(void)
{
    start(STABLE_CLOCK);
    stop_at(0, 0x123456789abcdef0, KVM__TIME_STABLE);
    EXPECT(vmi__kvm_clock_nanoseconds() == 0x123456789abcdef0);
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_REAL) == 0x123456789abcdef0);
    EXPECT(vmi__kvm_get_cycle_frequency() == 1000000000);
}

/* Nanoseconds are cycles << up >> down, many cycles after the structure's moment. */
static void scales_by(int8_t shift, uint32_t up, uint32_t down)
{
    struct kvm__time *time = &vmi__kvm_cpus[0].time;
    uint64_t before, after, result;

    start(STABLE_CLOCK);
    stop_at(0, 1000, KVM__TIME_STABLE);
    time->shift = shift;
    time->tsc_timestamp = vmi__rdtsc() / 2;
    before = vmi__rdtsc();
    result = vmi__kvm_clock_nanoseconds();
    after = vmi__rdtsc();
    EXPECT(result >= 1000 + ((before - time->tsc_timestamp) << up >> down));
    EXPECT(result <= 1000 + ((after - time->tsc_timestamp) << up >> down));
}

/* The multiplier is one half. */
static void scales(void)
{
    scales_by(0, 0, 1);
    scales_by(1, 0, 0);
    scales_by(4, 3, 0);
    scales_by(-1, 0, 2);
    scales_by(-31, 0, 32);
}

static void unstable_clocks_do_not_go_back(void)
{
    start(STABLE_CLOCK);
    stop_at(0, 1000, 0);
    stop_at(1, 500, 0);
    EXPECT(vmi__kvm_clock_nanoseconds() == 1000);
    current = 1;
    EXPECT(vmi__kvm_clock_nanoseconds() == 1000);
    stop_at(1, 0x200000000, 0);
    EXPECT(vmi__kvm_clock_nanoseconds() == 0x200000000);
    current = 0;
    stop_at(0, 0x1ffffffff, 0);
    EXPECT(vmi__kvm_clock_nanoseconds() == 0x200000000);
}

/* The flag in memory means nothing unless CPUID has announced it. */
static void unannounced_stability_is_none(void)
{
    start(BIT(CLOCKSOURCE2));
    stop_at(0, 1000, KVM__TIME_STABLE);
    stop_at(1, 500, KVM__TIME_STABLE);
    EXPECT(vmi__kvm_clock_nanoseconds() == 1000);
    current = 1;
    EXPECT(vmi__kvm_clock_nanoseconds() == 1000);
}

/* ---- a structure that is being written ------------------------------------------------------- */

/* KVM as another thread: both halves of the time are equal whenever the version is even. */
static void __attribute__((used, noreturn)) keep_writing(void)
{
    volatile struct kvm__time *time = &vmi__kvm_cpus[0].time;
    volatile struct kvm__steal_time *steal = &vmi__kvm_cpus[0].steal;
    uint32_t number;

    for (number = 0;; number++) {
        time->version++;
        time->system_time = (uint64_t)number << 32 | ~number;
        time->system_time = (uint64_t)number << 32 | number;
        time->version++;
        steal->version++;
        steal->steal = (uint64_t)number << 32 | ~number;
        steal->steal = (uint64_t)number << 32 | number;
        steal->version++;
    }
}

static char stack[4096] __attribute__((aligned(16)));

static void half_written_is_read_again(void)
{
    const uint32_t rounds = 2000000;
    uint32_t round, torn = 0, changed = 0;
    uint64_t value, last = 0;
    int child;

    start(STABLE_CLOCK | BIT(STEAL_TIME));
    stop_at(0, 0, KVM__TIME_STABLE);
    __asm__ volatile("int $0x80\n\t"
                     "test %%eax, %%eax\n\t"
                     "jnz 1f\n\t"
                     "call keep_writing\n"
                     "1:"
                     : "=a"(child)
                     : "0"(SYS_CLONE), "b"(CLONE_VM), "c"(stack + sizeof(stack))
                     : "cc", CALL_DESTROYS);
    if (child < 0) {
        EXPECT(false);
        return;
    }
    /* The other thread may have to wait for a processor. */
    for (round = 0; round < rounds || changed < rounds / 1000; round++) {
        value = vmi__kvm_clock_nanoseconds();
        torn += (uint32_t)value != (uint32_t)(value >> 32);
        changed += value != last;
        last = value;
        value = vmi__kvm_steal_time();
        torn += (uint32_t)value != (uint32_t)(value >> 32);
    }
    call(SYS_KILL, (uint32_t)child, SIGKILL, 0);
    EXPECT(torn == 0);
}

/* ---- wall clock ------------------------------------------------------------------------------ */

static void wall_clock_is_the_hosts(void)
{
    start(STABLE_CLOCK);
    stop_at(0, 5, KVM__TIME_STABLE);
    host_wall_clock = (struct kvm__wall_clock){.seconds = 4000000000, .nanoseconds = 7};
    EXPECT(vmi__kvm_get_wallclock_time() == 4000000000000000012);
    EXPECT(msr_written == KVM__MSR_WALL_CLOCK);
    vmi__kvm_used = BIT(CLOCKSOURCE);
    EXPECT(vmi__kvm_get_wallclock_time() == 4000000000000000012);
    EXPECT(msr_written == KVM__MSR_WALL_CLOCK_OLD);
}

static void without_a_wall_clock_the_native_one_serves(void)
{
    start(STABLE_CLOCK);
    stop_at(0, 5, KVM__TIME_STABLE);
    EXPECT(vmi__kvm_get_wallclock_time() == 22);
}

static void steps_of_the_wall_clock_are_noticed(void)
{
    start(STABLE_CLOCK);
    host_wall_clock = (struct kvm__wall_clock){.seconds = 1000};
    EXPECT(vmi__kvm_wallclock_updated() == 0);
    EXPECT(vmi__kvm_wallclock_updated() == 0);
    host_wall_clock.nanoseconds = 10000000;
    EXPECT(vmi__kvm_wallclock_updated() == 0);
    host_wall_clock.nanoseconds = 110000000;
    EXPECT(vmi__kvm_wallclock_updated() == 1);
    EXPECT(vmi__kvm_wallclock_updated() == 0);
    host_wall_clock.seconds = 999;
    EXPECT(vmi__kvm_wallclock_updated() == 1);
    EXPECT(vmi__kvm_wallclock_updated() == 0);
}

static void a_stopped_guest_is_told(void)
{
    start(STABLE_CLOCK);
    host_wall_clock = (struct kvm__wall_clock){.seconds = 1000};
    stop_at(1, 0, KVM__TIME_STABLE | KVM__TIME_GUEST_STOPPED);
    EXPECT(vmi__kvm_wallclock_updated() == 1);
    EXPECT(vmi__kvm_cpus[1].time.flags == KVM__TIME_STABLE);
    EXPECT(vmi__kvm_wallclock_updated() == 0);
}

/* ---- cycles and alarms ----------------------------------------------------------------------- */

static void tells_the_frequency_of_the_tsc(void)
{
    start(STABLE_CLOCK);
    stop_at(0, 0, KVM__TIME_STABLE);
    vmi__kvm_clock_init();
    EXPECT(vmi__native_tsc_hz == 2000000000);
    vmi__kvm_cpus[0].time.shift = -1;
    vmi__kvm_clock_init();
    EXPECT(vmi__native_tsc_hz == 4000000000);
    vmi__kvm_cpus[0].time.shift = 2;
    vmi__kvm_clock_init();
    EXPECT(vmi__native_tsc_hz == 500000000);
    start(0);
    vmi__kvm_clock_init();
    EXPECT(vmi__native_tsc_hz == 0);
}

/* At 2 GHz a nanosecond is two cycles. */
static void alarms_are_not_early(void)
{
    uint64_t before, after;

    start(STABLE_CLOCK);
    stop_at(0, 1000, KVM__TIME_STABLE);
    vmi__kvm_clock_init();
    before = vmi__rdtsc();
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT, 1000 + 5000000, 10000000);
    after = vmi__rdtsc();
    EXPECT(alarm_expiry >= before + 10000000);
    EXPECT(alarm_expiry <= after + 10000002);
    EXPECT(alarm_period >= 19999999 && alarm_period <= 20000000);
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT, 999, 0);
    EXPECT(alarm_expiry >= after && alarm_expiry <= vmi__rdtsc());
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT, UINT64_MAX, 0);
    EXPECT(alarm_expiry > vmi__rdtsc() + (1ull << 58));
    EXPECT(alarm_period == 0);
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC, 0, UINT64_MAX);
    EXPECT(alarm_period > 1ull << 58);
    /* A period of less than a cycle is no alarm that goes off once. */
    cycles_multiplier = 1;
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT | VMI_ALARM_PERIODIC, 0, 1);
    EXPECT(alarm_period == 1);
}

static void what_is_stolen_is_not_available(void)
{
    start(STABLE_CLOCK | BIT(STEAL_TIME));
    stop_at(0, 1000, KVM__TIME_STABLE);
    vmi__kvm_cpus[0].steal.steal = 300;
    EXPECT(vmi__kvm_steal_time() == 300);
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_STOLEN) == 300);
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_AVAILABLE) == 700);
    vmi__kvm_cpus[0].steal.steal = 400;
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_AVAILABLE) == 700);
    stop_at(0, 1200, KVM__TIME_STABLE);
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_AVAILABLE) == 800);
    EXPECT(vmi__kvm_get_cycle_counter(99) == 0);
}

static void without_kvmclock_all_is_native(void)
{
    uint64_t before = vmi__rdtsc(), cycles;

    start(BIT(STEAL_TIME));
    vmi__kvm_cpus[0].steal.steal = 300;
    cycles = vmi__kvm_get_cycle_counter(VMI_CYCLES_REAL);
    EXPECT(cycles >= before && cycles <= vmi__rdtsc());
    EXPECT(vmi__kvm_get_cycle_counter(VMI_CYCLES_STOLEN) == 0);
    EXPECT(vmi__kvm_steal_time() == 300);
    EXPECT(vmi__kvm_clock_nanoseconds() == 11);
    EXPECT(vmi__kvm_get_wallclock_time() == 22);
    EXPECT(vmi__kvm_wallclock_updated() == 0);
    EXPECT(vmi__kvm_get_cycle_frequency() == 33);
    vmi__kvm_set_alarm(VMI_ALARM_WIRED_LVTT, 44, 55);
    EXPECT(alarm_expiry == 44 && alarm_period == 55);
}

/* ---- main ------------------------------------------------------------------------------------ */

static const struct played_check checks[] = {
    CHECK(stands_still_before_its_moment),
    CHECK(scales),
    CHECK(unstable_clocks_do_not_go_back),
    CHECK(unannounced_stability_is_none),
    CHECK(half_written_is_read_again),
    CHECK(wall_clock_is_the_hosts),
    CHECK(without_a_wall_clock_the_native_one_serves),
    CHECK(steps_of_the_wall_clock_are_noticed),
    CHECK(a_stopped_guest_is_told),
    CHECK(tells_the_frequency_of_the_tsc),
    CHECK(alarms_are_not_early),
    CHECK(what_is_stolen_is_not_available),
    CHECK(without_kvmclock_all_is_native),
};

PLAY(checks)
