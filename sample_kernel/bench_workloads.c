/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a kernel does all day, measured whole: the interface's calls and everything around them. No
 * alarm is on, and nothing is waited for while time is taken, so under QEMU's `-icount shift=0` the
 * ticks, which are instructions there, are the same in each run. Hypercalls are counted as well: by
 * bench=workloads, and in each run of the checks over few rounds.
 */
#undef VMI_COUNT_CALLS /* the counting would be part of the cost */
#include <stddef.h>
#include <vmi/vmi.h>

#include "bench_one.h"
#include "bench_workloads.h"
#include "cpus.h"
#include "divide.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "panic.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "report.h"
#include "smp.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define SWITCHES   2000 /* there and back is two */
#define MAP_ROUNDS 4
#define PROCESSES  20
#define TICKS      50
#define INTERRUPTS 100

/* Rounds where hypercalls alone are counted. */
#define FEW_SWITCHES  20
#define FEW_PROCESSES 4
#define FEW_TICKS     4

#define CONSOLE_BYTES  65536
#define CONSOLE_PIECE  256
#define CONSOLE_PIECES (CONSOLE_BYTES / CONSOLE_PIECE)
#define ROUND_FRAMES   4096

/* An alarm, and when it has certainly gone off. */
#define ALARM_MICROSECONDS 50
#define SURE_MICROSECONDS  200

/* What a workload came to, all rounds together. */
struct cost {
    uint32_t rounds;
    uint64_t ticks;
    uint64_t hypercalls;
};

static void show(const char *name, struct cost cost)
{
    uint32_t hundredths, rest;
    uint64_t per_round = divide_u64(cost.ticks * 100 + cost.rounds / 2, cost.rounds, &rest);

    per_round = divide_u64(per_round, 100, &hundredths);
    print("# bench %s rounds=%u ticks=%llu ticks_per_round=%llu.%02u hypercalls=%llu\n", name,
          cost.rounds, WIDE(cost.ticks), WIDE(per_round), hundredths, WIDE(cost.hypercalls));
}

/* Runs a program to its end; its status. */
static uint32_t run(const struct program *program)
{
    struct process ended, *process = process_start(program);

    if (process == NULL)
        panic("no memory");
    process_reap(process, &ended);
    if (ended.end != PROCESS_EXITED)
        panic("program %s did not end by itself", program->name);
    return (uint32_t)ended.status;
}

/* A process that does next to nothing, as often as asked for. */
static struct cost process(const struct program *program, uint32_t rounds)
{
    struct cost cost = {.rounds = rounds};

    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < rounds; round++)
        run(program);
    cost.ticks = vmi_rdtsc() - start;
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    return cost;
}

/* What a program measures in ring 3: its status is the ticks. Its hypercalls are those beyond what
 * it takes to start and end one, and to read the time in it. */
static struct cost measured_by(const struct program *program, uint32_t rounds)
{
    struct cost cost = {.rounds = rounds};
    uint64_t least = process(&user_readings, 1).hypercalls;

    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    cost.ticks = run(program);
    cost.hypercalls = hypercalls_made() - cost.hypercalls - least;
    mark(WORKLOAD_MARK);
    return cost;
}

/* From ring 3 and back. The two readings of the time are one more. */
static struct cost system_call(void)
{
    return measured_by(&user_syscalls, PROGRAM_SYSTEM_CALLS + 1);
}

/* From the access of a process to a page of zeroes for it. */
static struct cost page_fault(void)
{
    return measured_by(&user_touch, USER_DATA_PAGES);
}

static struct aspace partner_aspace;
static volatile uint32_t partner_stop;

static void yield_again_and_again(void *argument)
{
    (void)argument;
    thread_set_aspace(&partner_aspace);
    while (!partner_stop)
        thread_yield();
    thread_set_aspace(&kernel_aspace);
}

/* Two threads in two address spaces. */
static struct cost context_switch(uint32_t rounds)
{
    struct cost cost = {.rounds = rounds};
    struct thread *partner;

    partner_stop = 0;
    if (!aspace_create(&partner_aspace) ||
        (partner = thread_create("partner", yield_again_and_again, NULL, 1)) == NULL)
        panic("no memory");
    thread_yield();
    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < rounds / 2; round++)
        thread_yield();
    cost.ticks = vmi_rdtsc() - start;
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    partner_stop = 1;
    thread_join(partner);
    aspace_destroy(&partner_aspace);
    return cost;
}

static void set_window(uint32_t pfn, uint32_t flags)
{
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    for (uintptr_t page = 0; page < MAP_WINDOW_PAGES; page++)
        window_map(MAP_WINDOW + (page << PAGE_SHIFT), pfn, flags);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
}

/* All pages of the window are mapped to one frame, and unmapped again. */
static struct cost map_unmap(uint32_t rounds)
{
    struct cost cost = {.rounds = rounds};
    uint32_t pfn = frame_allocate_zeroed();

    if (pfn == FRAME_NONE)
        panic("no memory");
    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < rounds; round++) {
        set_window(pfn, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
        set_window(0, 0);
        vmi_flush_tlb(VMI_FLUSH_TLB);
    }
    cost.ticks = vmi_rdtsc() - start;
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    frame_release(pfn);
    return cost;
}

/* An alarm is set, and taken when it is due; it becomes due while interrupts are masked. */
static struct cost timer_tick(uint32_t rounds)
{
    const volatile uint32_t *alarms = timer_alarms(cpu_current());
    struct cost cost = {.rounds = rounds};

    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t before = *alarms;
        vmi_disable_interrupts();
        uint64_t sure = vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(SURE_MICROSECONDS);
        uint64_t start = vmi_rdtsc();
        timer_one_shot(ALARM_MICROSECONDS);
        cost.ticks += vmi_rdtsc() - start;
        while (vmi_get_cycle_counter(VMI_CYCLES_REAL) < sure)
            __asm__ volatile("pause");
        start = vmi_rdtsc();
        vmi_enable_interrupts();
        while (*alarms == before)
            __asm__ volatile("pause");
        cost.ticks += vmi_rdtsc() - start;
    }
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    timer_cancel();
    return cost;
}

static volatile uint32_t answered;

static void answer(struct trap_frame *frame)
{
    answered = 1;
    vmi_end_of_interrupt(frame->vector);
}

/*
 * From the request of an interrupt to a CPU that halts until its answer is seen. Ticks that count
 * instructions count those of both CPUs.
 */
static struct cost ipi_round_trip(void)
{
    struct cost cost = {.rounds = INTERRUPTS};

    timer_init_cpu(); /* who joins a thread of another CPU finds out by the alarm */
    bench_start_cpus();
    trap_handler_set(VECTOR_CHECK, answer);
    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    for (uint32_t round = 0; round < INTERRUPTS; round++) {
        spin_milliseconds(1); /* until it halts again */
        answered = 0;
        uint64_t start = vmi_rdtsc();
        cpus_interrupt(2, VECTOR_CHECK);
        while (!answered)
            __asm__ volatile("pause");
        cost.ticks += vmi_rdtsc() - start;
    }
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    return cost;
}

/*
 * In pieces, of which the cheapest counts for all: others may have waited for whoever reads the
 * console.
 */
static struct cost console(void)
{
    struct cost cost = {.rounds = 1};
    char piece[CONSOLE_PIECE];
    uint64_t least = UINT64_MAX;

    memset(piece, '.', sizeof(piece));
    piece[0] = '#';
    piece[1] = ' ';
    piece[sizeof(piece) - 2] = '\r';
    piece[sizeof(piece) - 1] = '\n';
    mark(WORKLOAD_MARK);
    cost.hypercalls = hypercalls_made();
    for (uint32_t i = 0; i < CONSOLE_PIECES; i++) {
        uint64_t start = vmi_rdtsc();
        int32_t written = vmi_console_write(piece, sizeof(piece));
        uint64_t ticks = vmi_rdtsc() - start;
        if (written != sizeof(piece))
            panic("the console took %d bytes", written);
        if (ticks < least)
            least = ticks;
    }
    cost.ticks = least * CONSOLE_PIECES;
    cost.hypercalls = hypercalls_made() - cost.hypercalls;
    mark(WORKLOAD_MARK);
    return cost;
}

/* Lets frames be searched from a round number on, however large the kernel is. */
static void settle_frames(void)
{
    uint32_t pfn;

    do {
        pfn = frame_allocate();
        frame_release(pfn);
    } while (pfn != FRAME_NONE && (pfn + 1) % ROUND_FRAMES != 0);
}

void bench_workloads(void)
{
    timer_cancel();
    settle_frames();
    show("system_call", system_call());
    show("page_fault", page_fault());
    show("context_switch", context_switch(SWITCHES));
    show("map_unmap_1024", map_unmap(MAP_ROUNDS));
    show("process_create_exit", process(&user_nothing, PROCESSES));
    show("timer_tick", timer_tick(TICKS));
    show("console_64k", console());
    if (smp_cpu_count() > 1)
        show("ipi_round_trip", ipi_round_trip());
    mark(SNAPSHOT_MARK); /* the last one of a witness's, as after the checks */
}

static struct {
    const char *name;
    struct cost cost;
} counted[6];

void workloads_count(void)
{
    bool periodic = timer_is_periodic(cpu_current());

    timer_cancel();
    counted[0].name = "system_call";
    counted[0].cost = system_call();
    counted[1].name = "page_fault";
    counted[1].cost = page_fault();
    counted[2].name = "context_switch";
    counted[2].cost = context_switch(FEW_SWITCHES);
    counted[3].name = "map_unmap_1024";
    counted[3].cost = map_unmap(1);
    counted[4].name = "process_create_exit";
    counted[4].cost = process(&user_nothing, FEW_PROCESSES);
    counted[5].name = "timer_tick";
    counted[5].cost = timer_tick(FEW_TICKS);
    if (periodic)
        timer_init_cpu();
}

void workloads_report(void)
{
    print("# workloads mark=0x%08x\n", WORKLOAD_MARK);
    for (uint32_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
        print("# workload %s rounds=%u hypercalls=%llu\n", counted[i].name, counted[i].cost.rounds,
              WIDE(counted[i].cost.hypercalls));
}
