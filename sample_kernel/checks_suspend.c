/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Being saved and restored, as often as option rounds= says: a line `# request suspend` asks for it
 * each time. What was begun before goes on afterwards, on every CPU, and what calls have done that
 * the specification has kept (its key `suspend`) is there: descriptor tables, control and debug
 * registers, mask and priority as they are read; mappings, threads, processes, events, alarms and a
 * disk's requests by their going on.
 */
#include <stddef.h>

#include "checks.h"
#include "cpus.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "options.h"
#include "paging.h"
#include "print.h"
#include "process.h"
#include "smp.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

/* How long whoever saves and restores may take, in an emulated machine beside this one. */
#define ROUNDS_MOST          999
#define OUTSIDE_MILLISECONDS 120000

#define ALARMS             3      /* of each CPU, that have to go off afterwards */
#define ALARM_MICROSECONDS 200000 /* from the call until the one that is set before it */
#define MARK               0x5a5aa5a5u

static volatile int32_t results[CPUS_MAX];

/* ---- what a CPU has of calls whose effect is kept ---- */

/* Values that are no other's, in registers that nothing is using meanwhile. */
#define MARK_CR2 0x5a5a1000u
#define MARK_DR  0x5a5a2000u
#define MARK_TPR 0x10u /* which holds nothing back */

/* The call by which each value came about. */
static const char *const kept_calls[] = {
    "SetGDT",    "SetGDT", "SetIDT", "SetIDT", "SetTR", "SetCR0", "SetCR2",
    "SetCR3",    "SetCR4", "SetDR",  "SetDR",  "SetDR", "SetDR",  "DisableInterrupts",
    "APICWrite",
};
#define KEPT (sizeof(kept_calls) / sizeof(kept_calls[0]))

/* The call whose effect a CPU does not have any more, or null. */
static const char *volatile lost[CPUS_MAX];

static void read_kept(uint64_t values[KEPT])
{
    struct vmi_dtr gdt, idt;

    vmi_get_gdt(&gdt);
    vmi_get_idt(&idt);
    const uint64_t now[KEPT] = {
        gdt.base,
        gdt.limit,
        idt.base,
        idt.limit,
        vmi_get_tr(),
        vmi_get_cr0(),
        vmi_get_cr2(),
        vmi_get_cr3(),
        vmi_get_cr4(),
        vmi_get_dr(0),
        vmi_get_dr(1),
        vmi_get_dr(2),
        vmi_get_dr(3),
        vmi_get_interrupt_mask() & EFLAGS_IF,
        vmi_apic_read(VMI_APIC_TPR),
    };
    memcpy(values, now, sizeof(now));
}

/* The call Suspend on this CPU, with interrupts masked. */
static void suspend_this(void)
{
    uint32_t cpu = cpu_current(), priority = vmi_apic_read(VMI_APIC_TPR);
    uint64_t before[KEPT], after[KEPT];

    vmi_set_cr2(MARK_CR2 + cpu);
    for (uint32_t i = 0; i < 4; i++)
        vmi_set_dr(i, MARK_DR + 16 * cpu + i);
    vmi_apic_write(VMI_APIC_TPR, MARK_TPR);
    read_kept(before);
    results[cpu] = vmi_suspend();
    read_kept(after);
    vmi_apic_write(VMI_APIC_TPR, priority);
    for (uint32_t i = 0; i < 4; i++)
        vmi_set_dr(i, 0);
    lost[cpu] = NULL;
    for (uint32_t i = 0; i < KEPT; i++)
        if (before[i] != after[i])
            lost[cpu] = kept_calls[i];
}

/* ---- the call on all CPUs ---- */

/* On each CPU but the one that asks. Once it is over the interrupt is answered for. */
static void suspend_here(struct trap_frame *frame)
{
    suspend_this();
    cpus_answer_interrupt(frame);
}

int32_t suspend_on_all(uint32_t others)
{
    uint32_t flags = interrupts_mask();

    cpus_answered = 0;
    trap_handler_set(VECTOR_CHECK, suspend_here);
    if (others != 0)
        cpus_interrupt(others, VECTOR_CHECK);
    suspend_this();
    interrupts_restore(flags);
    return results[0];
}

/*
 * Has all CPUs make the call, with an alarm of this one's on, and a disk at work. *due is when the
 * alarm has to go off, as the clock has it; *why the disk is not at work.
 */
static int32_t suspend_all(uint32_t others, uint64_t *due, const char **why)
{
    uint32_t flags = interrupts_mask();

    *why = disk_is_busy();
    *due = vmi_clock_nanoseconds() + ALARM_MICROSECONDS * 1000ull;
    timer_one_shot(ALARM_MICROSECONDS);
    int32_t result = suspend_on_all(others);
    interrupts_restore(flags);
    return result;
}

/* It is neither early nor lost. */
static void alarm_goes_off(uint32_t before, uint64_t due)
{
    const volatile uint32_t *alarms = timer_alarms(0);
    uint32_t seen = before;
    uint64_t now = 0;

    while (now < due && seen == before) {
        seen = *alarms;
        now = vmi_clock_nanoseconds();
    }
    EXPECT(now >= due);
    EXPECT(wait_for_count(alarms, before + 1, PATIENCE_MILLISECONDS));
}

/* The frame that the machine has under one of the kernel's. */
static uint64_t machine_frame(const void *address)
{
    return vmi_physical_to_machine(((uint64_t)frame_of(address) << PAGE_SHIFT) | PTE_PRESENT) >>
           PAGE_SHIFT;
}

/* Every CPU has its alarm, takes an interrupt, forgets a translation and runs a thread. */
static void cpus_go_on(uint32_t cpus)
{
    uint32_t alarms[CPUS_MAX];

    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        alarms[cpu] = *timer_alarms(cpu);
    cpus_answered = 0;
    trap_handler_set(VECTOR_CHECK, cpus_answer_interrupt);
    EXPECT_EQUAL(cpus_interrupt(cpus, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(cpus));
    smp_flush_tlb(cpus, 0, 0);
    cpus_answered = 0;
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
        struct thread *thread =
            cpus & 1u << cpu ? thread_create("answer", cpus_answer, NULL, 1u << cpu) : NULL;

        if (thread != NULL)
            thread_join(thread);
        EXPECT(!(cpus & 1u << cpu) ||
               wait_for_count(timer_alarms(cpu), alarms[cpu] + ALARMS, PATIENCE_MILLISECONDS));
    }
    EXPECT_EQUAL(cpus_answered, cpus);
}

/* A page that is mapped in the kernel's windows is what it was, and can be mapped again. */
static void memory_goes_on(uint32_t frame)
{
    volatile uint32_t *window = (volatile uint32_t *)MAP_WINDOW;

    EXPECT_EQUAL(*window, MARK);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    window_map(MAP_WINDOW, frame, WINDOW_PAGE);
    EXPECT_EQUAL(*window, MARK);
    EXPECT_EQUAL((window_read(MAP_WINDOW) & PTE_FRAME) >> PAGE_SHIFT, frame);
}

/* A process that waits meanwhile: its tables have never been loaded when the kernel is saved. */
static void one_round(uint32_t round, uint32_t frame, struct process *process)
{
    uint32_t cpus = smp_online(), alarms = *timer_alarms(0);
    uint64_t clock = vmi_clock_nanoseconds(), wall = vmi_get_wallclock_time(), due;
    uint64_t machine = machine_frame(frame_address(frame));
    struct process ended;
    const char *why;
    uint32_t requests = 0;

    EXPECT_EQUAL(vmi_suspend(), VMI_EAGAIN);
    requests_came = 0;
    print("# request suspend\n");
    bool told = wait_for(&requests_came, OUTSIDE_MILLISECONDS);
    EXPECT_EQUAL(vmi_take_request(), VMI_REQUEST_SUSPEND);
    EXPECT(told);
    timer_cancel();
    alarms = *timer_alarms(0);
    int32_t result = suspend_all(cpus & ~1u, &due, &why);
    const char *failed = why ? why : disk_was_busy(&requests);
    print("# suspended round=%u result=%d frame=0x%llx before=0x%llx requests=%u\n", round,
          (int)result, (unsigned long long)machine_frame(frame_address(frame)),
          (unsigned long long)machine, requests);
    if (failed)
        ktap_fail("round %u: %s", round, failed);
    EXPECT(result == VMI_SUSPEND_RESTORED || result == VMI_SUSPEND_CANCELED);
    alarm_goes_off(alarms, due);
    timer_init_cpu();
    EXPECT(cpus_wait_for_answers(cpus & ~1u));
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
        EXPECT(!(cpus & 1u << cpu) || results[cpu] == result);
        if (cpus & 1u << cpu && lost[cpu] != NULL)
            ktap_fail("round %u: CPU %u does not have any more what %s has done", round, cpu,
                      lost[cpu]);
    }
    EXPECT(vmi_clock_nanoseconds() > clock);
    EXPECT(vmi_get_wallclock_time() >= wall);
    cpus_go_on(cpus);
    memory_goes_on(frame);
    process_run(process);
    process_reap(process, &ended);
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, (int32_t)ended.id);
}

static void suspend(void)
{
    NEEDS(SUSPEND);
    uint32_t rounds = option_number(checks_boot_info->command_line, "rounds");
    rounds = rounds == 0 ? 1 : rounds < ROUNDS_MOST ? rounds : ROUNDS_MOST;
    if (!requests_bind())
        return;
    uint32_t frame = frame_allocate();
    EXPECT(frame != FRAME_NONE);
    *(volatile uint32_t *)frame_address(frame) = MARK;
    window_map(MAP_WINDOW, frame, WINDOW_PAGE);
    for (uint32_t round = 0; round < rounds; round++) {
        struct process *process = process_create(&user_hello, 0);

        EXPECT(process != NULL);
        one_round(round, frame, process);
    }
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    frame_release(frame);
}

const struct check checks_suspend[] = {{"test.suspend", suspend}, {NULL, NULL}};
