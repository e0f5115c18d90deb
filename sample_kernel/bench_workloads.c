/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What a kernel does all day, measured whole: the interface's calls and everything around them. No
 * alarm is on, and nothing is waited for while time is taken, so under QEMU's `-icount shift=0` the
 * ticks, which are instructions there, are the same in each run.
 */
#undef VMI_COUNT_CALLS /* the counting would be part of the cost */
#include <stddef.h>
#include <vmi/vmi.h>

#include "bench.h"
#include "divide.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "panic.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "smp.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define SWITCHES       2000 /* there and back is two */
#define MAP_ROUNDS     4
#define PROCESSES      20
#define TICKS          50
#define INTERRUPTS     100
#define CONSOLE_BYTES  65536
#define CONSOLE_PIECE  256
#define CONSOLE_PIECES (CONSOLE_BYTES / CONSOLE_PIECE)
#define ROUND_FRAMES   4096

/* An alarm, and when it has certainly gone off. */
#define ALARM_MICROSECONDS 50
#define SURE_MICROSECONDS  200

static void show(const char *name, uint32_t rounds, uint64_t ticks)
{
    uint32_t hundredths, rest;
    uint64_t per_round = divide_u64(ticks * 100 + rounds / 2, rounds, &rest);

    per_round = divide_u64(per_round, 100, &hundredths);
    print("# bench %s rounds=%u ticks=%llu ticks_per_round=%llu.%02u\n", name, rounds, WIDE(ticks),
          WIDE(per_round), hundredths);
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

/* From ring 3 and back. The two readings of the time are one more. */
static void system_call(void)
{
    show("system_call", PROGRAM_SYSTEM_CALLS + 1, run(&user_syscalls));
}

/* From the access of a process to a page of zeroes for it. */
static void page_fault(void)
{
    show("page_fault", USER_DATA_PAGES, run(&user_touch));
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
static void context_switch(void)
{
    struct thread *partner;

    if (!aspace_create(&partner_aspace) ||
        (partner = thread_create("partner", yield_again_and_again, NULL, 1)) == NULL)
        panic("no memory");
    thread_yield();
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < SWITCHES / 2; round++)
        thread_yield();
    show("context_switch", SWITCHES, vmi_rdtsc() - start);
    partner_stop = 1;
    thread_join(partner);
    aspace_destroy(&partner_aspace);
}

static void set_window(uint32_t pfn, uint32_t flags)
{
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    for (uintptr_t page = 0; page < MAP_WINDOW_PAGES; page++)
        window_map(MAP_WINDOW + (page << PAGE_SHIFT), pfn, flags);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
}

/* All pages of the window are mapped to one frame, and unmapped again. */
static void map_unmap(void)
{
    uint32_t pfn = frame_allocate_zeroed();

    if (pfn == FRAME_NONE)
        panic("no memory");
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < MAP_ROUNDS; round++) {
        set_window(pfn, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
        set_window(0, 0);
        vmi_flush_tlb(VMI_FLUSH_TLB);
    }
    show("map_unmap_1024", MAP_ROUNDS, vmi_rdtsc() - start);
    frame_release(pfn);
}

static void process(void)
{
    uint64_t start = vmi_rdtsc();

    for (uint32_t round = 0; round < PROCESSES; round++)
        run(&user_nothing);
    show("process_create_exit", PROCESSES, vmi_rdtsc() - start);
}

/* An alarm is set, and taken when it is due; it becomes due while interrupts are masked. */
static void timer_tick(void)
{
    const volatile uint32_t *alarms = timer_alarms(cpu_current());
    uint64_t ticks = 0;

    for (uint32_t round = 0; round < TICKS; round++) {
        uint32_t before = *alarms;
        vmi_disable_interrupts();
        uint64_t sure = vmi_get_cycle_counter(VMI_CYCLES_REAL) + timer_cycles(SURE_MICROSECONDS);
        uint64_t start = vmi_rdtsc();
        timer_one_shot(ALARM_MICROSECONDS);
        ticks += vmi_rdtsc() - start;
        while (vmi_get_cycle_counter(VMI_CYCLES_REAL) < sure)
            __asm__ volatile("pause");
        start = vmi_rdtsc();
        vmi_enable_interrupts();
        while (*alarms == before)
            __asm__ volatile("pause");
        ticks += vmi_rdtsc() - start;
    }
    timer_cancel();
    show("timer_tick", TICKS, ticks);
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
static void ipi_round_trip(void)
{
    uint64_t ticks = 0;

    timer_init_cpu(); /* who joins a thread of another CPU finds out by the alarm */
    bench_start_cpus();
    trap_handler_set(VECTOR_CHECK, answer);
    for (uint32_t round = 0; round < INTERRUPTS; round++) {
        spin_milliseconds(1); /* until it halts again */
        answered = 0;
        uint64_t start = vmi_rdtsc();
        vmi_send_ipi(2, 0, VECTOR_CHECK);
        while (!answered)
            __asm__ volatile("pause");
        ticks += vmi_rdtsc() - start;
    }
    show("ipi_round_trip", INTERRUPTS, ticks);
}

/*
 * In pieces, of which the cheapest counts for all: others may have waited for whoever reads the
 * console.
 */
static void console(void)
{
    char piece[CONSOLE_PIECE];
    uint64_t least = UINT64_MAX;

    memset(piece, '.', sizeof(piece));
    piece[0] = '#';
    piece[1] = ' ';
    piece[sizeof(piece) - 2] = '\r';
    piece[sizeof(piece) - 1] = '\n';
    for (uint32_t i = 0; i < CONSOLE_PIECES; i++) {
        uint64_t start = vmi_rdtsc();
        int32_t written = vmi_console_write(piece, sizeof(piece));
        uint64_t ticks = vmi_rdtsc() - start;
        if (written != sizeof(piece))
            panic("the console took %d bytes", written);
        if (ticks < least)
            least = ticks;
    }
    show("console_64k", 1, least * CONSOLE_PIECES);
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
    system_call();
    page_fault();
    context_switch();
    map_unmap();
    process();
    timer_tick();
    console();
    if (smp_cpu_count() > 1)
        ipi_round_trip();
}
