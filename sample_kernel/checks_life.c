/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * A kernel that works on while whoever runs it halts it, moves it to another machine, or puts it
 * away and brings it back. On each CPU a thread reads the clock. The first CPU sets alarms,
 * interrupts the others, and asks the first disk and the first network, all over again.
 *
 * Option life=EVENT,EVENT… says what is to happen; the words are those of whoever runs the kernel.
 * A line `# request EVENT` asks for one, and a byte typed on the console says that it is over. What
 * the kernel saw from asking until a whole round after that is in its line `# life`
 * (docs/architecture.md, "Guest output").
 */
#include <stddef.h>

#include "checks.h"
#include "cpu_start.h"
#include "cpus.h"
#include "divide.h"
#include "layout.h"
#include "lock.h"
#include "options.h"
#include "patience.h"
#include "print.h"
#include "smp.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"

#define ALARM_MICROSECONDS 2000
#define OPTION_BYTES       1024
#define NANOSECONDS        1000000000u

/*
 * A library looks again at the clock that it has the wall clock from, after a tenth of a second at
 * the latest; or a moment later, if that clock is just changing.
 */
#define WALL_CLOCK_MILLISECONDS 120
#define CHANGING_MILLISECONDS   10

/* Whoever carries an event out needs another program for it, on a machine that may be slow. */
#define OUTSIDE_MILLISECONDS 120000

static struct {
    uint32_t rounds, alarms, interrupts; /* of one event */
    uint32_t lost, early, twice; /* of all events together: what did not come once and in time */
} seen;

/* All CPUs read the clock in turns, so that no reading may be below the one before. */
static struct {
    struct spinlock lock;
    uint64_t last, still; /* ns: the last reading; the longest step between two of them */
    uint32_t readings, back;
} clock;

static volatile uint32_t interrupted[CPUS_MAX], turns[CPUS_MAX], finish;

static void read_clock(void)
{
    uint32_t flags = lock_acquire(&clock.lock);
    uint64_t now = vmi_clock_nanoseconds();

    if (now < clock.last)
        clock.back++;
    else if (now - clock.last > clock.still)
        clock.still = now - clock.last;
    clock.last = now;
    clock.readings++;
    lock_release(&clock.lock, flags);
}

/* On a CPU of its own: the clock, the CPU's cycle counter, and what was stolen from it. */
static void reader(void *argument)
{
    bool steals = call_unsupported(VMI_ORDINAL_STEAL_TIME) == NULL;
    uint64_t cycles = 0, stolen = 0;

    (void)argument;
    while (!finish) {
        uint64_t now = vmi_get_cycle_counter(VMI_CYCLES_REAL), gone = steals ? vmi_steal_time() : 0;
        if (now < cycles || gone < stolen)
            __atomic_add_fetch(&clock.back, 1, __ATOMIC_RELAXED);
        cycles = now;
        stolen = gone;
        read_clock();
        turns[cpu_current()]++;
        thread_yield();
        relax();
    }
}

static void note_interrupt(struct trap_frame *frame)
{
    interrupted[cpu_current()]++;
    vmi_end_of_interrupt(frame->vector);
}

/* An alarm of this CPU: it goes off once, and not before its time. */
static void one_alarm(void)
{
    const volatile uint32_t *gone_off = timer_alarms(0);
    uint32_t before = *gone_off, rest;
    uint64_t start = vmi_clock_nanoseconds();

    timer_one_shot(ALARM_MICROSECONDS);
    seen.alarms++;
    if (!wait_for_count(gone_off, before + 1, PATIENCE_MILLISECONDS)) {
        seen.lost++;
        return;
    }
    uint64_t passed = divide_u64(vmi_clock_nanoseconds() - start, 1000, &rest);
    /* Clock and alarm may have been measured on a busy machine: a fifth is allowed for. */
    seen.early += passed < ALARM_MICROSECONDS * 4 / 5;
    seen.twice += *gone_off != before + 1;
}

/* An interrupt to each other CPU, which has taken an alarm of its own and read the clock since. */
static void other_cpus(void)
{
    uint32_t others = smp_online() & ~1u, before[CPUS_MAX], ticks[CPUS_MAX], took[CPUS_MAX];

    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++) {
        before[cpu] = interrupted[cpu];
        ticks[cpu] = *timer_alarms(cpu);
        took[cpu] = turns[cpu];
    }
    if (others == 0)
        return;
    if (cpus_interrupt(others, VECTOR_CHECK) != VMI_OK)
        seen.lost++;
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++) {
        if (!(others & 1u << cpu))
            continue;
        seen.interrupts++;
        seen.alarms++;
        seen.lost += !wait_for_count(&interrupted[cpu], before[cpu] + 1, PATIENCE_MILLISECONDS);
        seen.lost += !wait_for_count(timer_alarms(cpu), ticks[cpu] + 1, PATIENCE_MILLISECONDS);
        seen.lost += !wait_for_count(&turns[cpu], took[cpu] + 1, PATIENCE_MILLISECONDS);
        seen.twice += interrupted[cpu] > before[cpu] + 1;
    }
}

/* Why a device does not work, or null. */
static const char *one_round(void)
{
    read_clock();
    vmi_get_wallclock_time();
    one_alarm();
    other_cpus();
    const char *reason = disk_goes_on(seen.rounds);
    if (reason == NULL)
        reason = network_goes_on(seen.rounds);
    seen.rounds++;
    return reason;
}

static bool typed(void)
{
    char byte;

    return vmi_console_read(&byte, 1) == 1;
}

static uint64_t wall_clock_seconds(void)
{
    uint32_t rest;

    spin_milliseconds(WALL_CLOCK_MILLISECONDS);
    vmi_get_wallclock_time();
    spin_milliseconds(CHANGING_MILLISECONDS);
    return divide_u64(vmi_get_wallclock_time(), NANOSECONDS, &rest);
}

/* What has been seen while an event happened, and just after it. */
static void tell(const char *event)
{
    uint64_t wall = wall_clock_seconds();

    print("# life %s rounds=%u alarms=%u interrupts=%u lost=%u early=%u twice=%u readings=%u "
          "back=%u still_ns=%llu wall=%llu\n",
          event, seen.rounds, seen.alarms, seen.interrupts, seen.lost, seen.early, seen.twice,
          clock.readings, clock.back, WIDE(clock.still), WIDE(wall));
}

/* Works until an event is over, and a round longer. Why it could not, or null. */
static const char *through(const char *event)
{
    struct patience patience;
    const char *reason;
    uint32_t flags = lock_acquire(&clock.lock);

    clock.still = clock.readings = 0;
    clock.last = vmi_clock_nanoseconds();
    lock_release(&clock.lock, flags);
    seen.rounds = seen.alarms = seen.interrupts = 0;
    reason = one_round();
    print("# request %s\n", event);
    patience_begin(&patience, OUTSIDE_MILLISECONDS);
    while (reason == NULL && !typed()) {
        reason = one_round();
        if (reason == NULL && !patience_left(&patience))
            reason = "nobody says that it is over";
    }
    if (reason == NULL)
        reason = one_round();
    tell(event);
    return reason;
}

/* Each of the events that stand in a text with commas between them, which it takes apart. */
static void work(char *events)
{
    const char *reason = NULL;

    while (*events != '\0' && reason == NULL) {
        char *end = events;
        while (*end != '\0' && *end != ',')
            end++;
        bool last = *end == '\0';
        *end = '\0';
        reason = through(events);
        events = last ? end : end + 1;
    }
    if (reason != NULL)
        ktap_fail("%s", reason);
}

static void life(void)
{
    struct thread *readers[CPUS_MAX];
    char events[OPTION_BYTES];

    option_value(checks_boot_info->command_line, "life", events, sizeof(events));
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++)
        if (!(smp_online() & 1u << cpu))
            EXPECT_EQUAL(cpu_start(cpu), VMI_OK);
    trap_handler_set(VECTOR_CHECK, note_interrupt);
    timer_cancel();
    spin_milliseconds(1); /* a tick that was on its way */
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        readers[cpu] = thread_create("reader", reader, NULL, 1u << cpu);
    work(events);
    finish = 1;
    timer_init_cpu();
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        if (readers[cpu] != NULL)
            thread_join(readers[cpu]);
    EXPECT_EQUAL(seen.lost, 0);
    EXPECT_EQUAL(seen.early, 0);
    EXPECT_EQUAL(seen.twice, 0);
    EXPECT_EQUAL(clock.back, 0);
}

const struct check checks_life[] = {{"test.life", life}, {NULL, NULL}};
