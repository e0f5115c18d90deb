/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Single operations, each as often as is asked for, with no alarm on any CPU: for whoever counts
 * from outside what each round costs the hypervisor. Two runs with different numbers of rounds
 * differ by nothing else.
 */
#undef VMI_COUNT_CALLS /* the counting would be part of the cost */
#include <stddef.h>
#include <vmi/vmi.h>

#include "bench_devices.h"
#include "bench_one.h"
#include "checks.h"
#include "cpu_start.h"
#include "cpus.h"
#include "current.h"
#include "frames.h"
#include "layout.h"
#include "no_execute.h"
#include "options.h"
#include "paging.h"
#include "panic.h"
#include "print.h"
#include "report.h"
#include "smp.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"

static uint32_t rounds;
static uint64_t least = UINT64_MAX; /* ticks of the call in the cheapest round */

static void note(uint64_t start)
{
    uint64_t ticks = vmi_rdtsc() - start;

    if (ticks < least)
        least = ticks;
}

static void spin_until(const volatile uint32_t *word, uint32_t wanted)
{
    while (*word != wanted)
        __asm__ volatile("pause");
}

/* ---- operations ------------------------------------------------------------------------------ */

static void nothing(void)
{
    for (uint32_t round = 0; round < rounds; round++)
        note(vmi_rdtsc());
}

static void read_clock(void)
{
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t start = vmi_rdtsc();
        vmi_clock_nanoseconds();
        note(start);
    }
}

static void read_wall_clock(void)
{
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t start = vmi_rdtsc();
        vmi_get_wallclock_time();
        note(start);
    }
}

/* The tables that are loaded, again. */
static void set_cr3(void)
{
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t start = vmi_rdtsc();
        aspace_load(&kernel_aspace);
        note(start);
    }
}

/* The textbook's update of a page table: three pages get frames, and are read. */
static const uint32_t updated_pages[] = {7, 4, 3};
#define UPDATED_PAGES (sizeof(updated_pages) / sizeof(updated_pages[0]))
static uint32_t updated_frames[UPDATED_PAGES]; /* 0: none yet */

static uintptr_t updated_address(uint32_t i)
{
    return MAP_WINDOW + ((uintptr_t)updated_pages[i] << PAGE_SHIFT);
}

static void prepare_pages(void)
{
    print("# update");
    for (uint32_t i = 0; i < UPDATED_PAGES; i++) {
        if (updated_frames[i] == 0 && (updated_frames[i] = frame_allocate_zeroed()) == FRAME_NONE)
            panic("no memory");
        window_map(updated_address(i), 0, 0);
        vmi_inval_page(updated_address(i));
        print(" page %u: frame %u%s", updated_pages[i], updated_frames[i],
              i + 1 < UPDATED_PAGES ? "," : "\n");
    }
}

static void update(void)
{
    for (uint32_t i = 0; i < UPDATED_PAGES; i++) {
        uintptr_t address = updated_address(i);
        uint64_t start = vmi_rdtsc();
        window_map(address, updated_frames[i], KERNEL_PAGE | pte_no_execute);
        vmi_inval_page(address);
        note(start);
        if (*(const volatile uint32_t *)address != 0)
            panic("page %u is not its frame", updated_pages[i]);
    }
}

static void set_entry(void)
{
    for (uint32_t round = 0; round < rounds; round++)
        update();
}

/* Interrupts masked, and on again. */
static void mask(void)
{
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t start = vmi_rdtsc();
        vmi_disable_interrupts();
        vmi_enable_interrupts();
        note(start);
    }
}

/* Longer than an emulated hypervisor takes for an exit, so that it is not due before SetAlarm ends.
 */
#define ALARM_MICROSECONDS 5000

/* An alarm that goes off while interrupts are on; its setting is what is timed. */
static void tick(void)
{
    const volatile uint32_t *alarms = timer_alarms(cpu_current());

    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t before = *alarms;
        uint64_t start = vmi_rdtsc();
        timer_one_shot(ALARM_MICROSECONDS);
        note(start);
        spin_until(alarms, before + 1);
    }
}

static volatile uint32_t answers;

static void answer(struct trap_frame *frame)
{
    vmi_end_of_interrupt(frame->vector);
    __atomic_add_fetch(&answers, 1, __ATOMIC_RELEASE);
}

static void answer_timed(struct trap_frame *frame)
{
    uint64_t start = vmi_rdtsc();
    vmi_end_of_interrupt(frame->vector);
    note(start);
    answers = 1;
}

/* An interrupt to this CPU and its end; the end is what is timed. */
static void end_of_interrupt(void)
{
    trap_handler_set(VECTOR_CHECK, answer_timed);
    for (uint32_t round = 0; round < rounds; round++) {
        answers = 0;
        cpus_interrupt(1, VECTOR_CHECK);
        spin_until(&answers, 1);
    }
}

/* An interrupt to all other CPUs, which halt; the sending is what is timed. */
static void interrupt_others(void)
{
    uint32_t others = smp_online() & ~1u;

    trap_handler_set(VECTOR_CHECK, answer);
    for (uint32_t round = 0; round < rounds; round++) {
        answers = 0;
        uint64_t start = vmi_rdtsc();
        cpus_interrupt(others, VECTOR_CHECK);
        note(start);
        spin_until(&answers, smp_set_size(others));
    }
}

/* Lines that fill a page, written at once. */
static void console(void)
{
    static const char head[] = "# data ";
    static char piece[4096];

    memset(piece, '.', sizeof(piece));
    for (uint32_t line = 0; line < sizeof(piece); line += 128) {
        memcpy(piece + line, head, sizeof(head) - 1);
        piece[line + 126] = '\r';
        piece[line + 127] = '\n';
    }
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t start = vmi_rdtsc();
        int32_t written = vmi_console_write(piece, sizeof(piece));
        note(start);
        if (written != sizeof(piece))
            panic("the console took %d bytes", written);
    }
}

static volatile uint32_t asleep, woken;

static void sleep(void *argument)
{
    (void)argument;
    for (uint32_t round = 0; round < rounds; round++) {
        vmi_disable_interrupts();
        asleep = round + 1;
        vmi_halt();
        woken = round + 1;
    }
}

/* Wakes the second CPU from its halt. */
static void kick(void)
{
    struct thread *thread = thread_create("sleep", sleep, NULL, 2);

    if (thread == NULL)
        panic("no memory");
    for (uint32_t round = 0; round < rounds; round++) {
        spin_until(&asleep, round + 1);
        spin_milliseconds(1); /* until it has halted: a kick before that may be none */
        uint64_t start = vmi_rdtsc();
        smp_kick(1);
        note(start);
        spin_until(&woken, round + 1);
    }
    timer_init_cpu(); /* who joins a thread of another CPU finds out by the alarm */
    thread_join(thread);
}

static volatile uint32_t spinning, stop;

static void spin(void *argument)
{
    (void)argument;
    __atomic_add_fetch(&spinning, 1, __ATOMIC_RELEASE);
    spin_until(&stop, 1);
}

/*
 * Has the second CPU drop a translation, while it and all others are busy: where they are more than
 * the hypervisor's own, it is likely to be waiting for its turn.
 */
static void flush_remote(void)
{
    struct thread *threads[CPUS_MAX];

    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++)
        if ((threads[cpu] = thread_create("spin", spin, NULL, 1u << cpu)) == NULL)
            panic("no memory");
    spin_until(&spinning, smp_cpu_count() - 1);
    for (uint32_t round = 0; round < rounds; round++) {
        spin_milliseconds(1);
        uint64_t start = vmi_rdtsc();
        smp_flush_tlb(2, MAP_WINDOW, 1);
        note(start);
    }
    stop = 1;
    timer_init_cpu(); /* who joins a thread of another CPU finds out by the alarm */
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++)
        thread_join(threads[cpu]);
}

/* ---- which ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
    bool others; /* it needs a second CPU */
    void (*prepare)(void);
} operations[] = {
    {"nothing", nothing, false, NULL},
    {"clock", read_clock, false, NULL},
    {"wall_clock", read_wall_clock, false, NULL},
    {"set_cr3", set_cr3, false, NULL},
    {"set_entry", set_entry, false, prepare_pages},
    {"update", update, false, prepare_pages}, /* once, whatever the rounds */
    {"mask", mask, false, NULL},
    {"tick", tick, false, NULL},
    {"end_of_interrupt", end_of_interrupt, false, NULL},
    {"console", console, false, NULL},
    {"interrupt_others", interrupt_others, true, NULL},
    {"kick", kick, true, NULL},
    {"flush_remote", flush_remote, true, NULL},
};

/* Those of devices take the rounds, and what they need first is not measured. */
static const struct {
    const char *name;
    void (*run)(uint32_t rounds);
    void (*prepare)(void);
} of_devices[] = {
    {"disk_1", bench_disk_1, bench_disk_prepare}, {"disk_32", bench_disk_32, bench_disk_prepare},
    {"send_1", bench_send_1, bench_send_prepare}, {"send_64", bench_send_64, bench_send_prepare},
    {"echo_1", bench_echo_1, bench_echo_prepare}, {"echo_64", bench_echo_64, bench_echo_prepare},
};

static uint32_t number(const char *text)
{
    uint32_t value = 0;

    for (; *text >= '0' && *text <= '9' && value < 1000000; text++)
        value = value * 10 + (uint32_t)(*text - '0');
    if (*text != 0)
        panic("option rounds= wants a number of up to a million");
    return value;
}

static void cancel_alarm(void *argument)
{
    (void)argument;
    timer_cancel();
}

void bench_start_cpus(void)
{
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++) {
        if (cpu_start(cpu) != VMI_OK)
            panic("CPU %u does not start", cpu);
        struct thread *thread = thread_create("quiet", cancel_alarm, NULL, 1u << cpu);
        if (thread == NULL)
            panic("no memory");
        thread_join(thread);
    }
    timer_cancel();
}

static bool is(const char *name, const char *wanted)
{
    return string_equal(name, wanted, strlen(wanted) + 1);
}

static uint64_t hypercalls, ticks; /* of all rounds, with those in which the CPU rests */

static void begin(void)
{
    least = UINT64_MAX;
    bench_rested = 0;
    vmi_io_delay(); /* a mark for whoever sees accesses to ports */
    mark(WORKLOAD_MARK);
    hypercalls = hypercalls_made();
    ticks = vmi_rdtsc();
}

static void end(const char *name)
{
    ticks = vmi_rdtsc() - ticks;
    hypercalls = hypercalls_made() - hypercalls;
    mark(WORKLOAD_MARK);
    vmi_io_delay();
    print("# bench %s rounds=%u cpus=%u least=%llu all=%llu rested=%llu hypercalls=%llu\n", name,
          rounds, smp_cpu_count(), WIDE(least != UINT64_MAX ? least : 0), WIDE(ticks),
          WIDE(bench_rested), WIDE(hypercalls));
}

static void run(const char *name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (!is(name, operations[i].name))
            continue;
        if (operations[i].others && smp_cpu_count() == 1)
            panic("op=%s needs a second CPU", name);
        if (operations[i].prepare)
            operations[i].prepare();
        begin();
        operations[i].run();
        end(name);
        return;
    }
    for (size_t i = 0; i < sizeof(of_devices) / sizeof(of_devices[0]); i++) {
        if (!is(name, of_devices[i].name))
            continue;
        of_devices[i].prepare();
        begin();
        of_devices[i].run(rounds);
        end(name);
        return;
    }
    panic("unknown option op=%s", name);
}

void bench_one(void)
{
    char names[128], text[16], *name = names, *end;
    bool more;

    option_value(checks_boot_info->command_line, "op", names, sizeof(names));
    option_value(checks_boot_info->command_line, "rounds", text, sizeof(text));
    rounds = number(text);
    bench_start_cpus();
    do {
        for (end = name; *end != 0 && *end != ','; end++)
            ;
        more = *end == ',';
        *end = 0;
        run(name);
        name = end + 1;
    } while (more);
    mark(SNAPSHOT_MARK); /* the last one of a witness's, as after the checks */
}
