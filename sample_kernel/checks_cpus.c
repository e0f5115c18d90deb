/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Further CPUs: started, given threads, interrupted, told about mappings, woken. */
#include <stddef.h>

#include "checks.h"
#include "cpu_start.h"
#include "cpus.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "print.h"
#include "smp.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define NEEDS_SECOND_CPU()                                                                         \
    do {                                                                                           \
        if (smp_cpu_count() == 1) {                                                                \
            ktap_skip("one CPU");                                                                  \
            return;                                                                                \
        }                                                                                          \
        if (!(smp_online() & 2)) {                                                                 \
            ktap_skip("the second CPU does not run");                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void start(void)
{
    if (smp_cpu_count() == 1) {
        ktap_skip("one CPU");
        return;
    }
    NEEDS(SET_INITIAL_AP_STATE);
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++)
        EXPECT_EQUAL(cpu_start(cpu), VMI_OK);
    EXPECT_EQUAL(smp_set_size(smp_online()), smp_cpu_count());
    print("# cpus online 0x%x\n", smp_online());
}

static void start_again(void)
{
    NEEDS_SECOND_CPU();
    struct vmi_ap_state state = {0};
    int32_t result = vmi_set_initial_ap_state(&state, checks_boot_info->cpus[1].apic_id);
    EXPECT(result == VMI_EBUSY || result == VMI_EINVAL);
}

volatile uint32_t cpus_answered;

void cpus_answer(void *argument)
{
    (void)argument;
    __atomic_or_fetch(&cpus_answered, 1u << cpu_current(), __ATOMIC_RELEASE);
}

void cpus_answer_interrupt(struct trap_frame *frame)
{
    cpus_answer(NULL);
    vmi_end_of_interrupt(frame->vector);
}

bool cpus_wait_for_answers(uint32_t cpus)
{
    struct patience patience;

    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (cpus_answered != cpus && patience_left(&patience))
        thread_yield();
    return cpus_answered == cpus;
}

static void threads(void)
{
    NEEDS_SECOND_CPU();
    cpus_answered = 0;
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
        struct thread *thread = thread_create("answer", cpus_answer, NULL, 1u << cpu);
        EXPECT(thread != NULL);
        thread_join(thread);
    }
    EXPECT_EQUAL(cpus_answered, smp_online());
}

#define SHARED_ROUNDS 5000

static struct spinlock shared_lock;
static uint32_t shared_count; /* not atomic: the lock is all that keeps it right */

static void count_shared(void *argument)
{
    (void)argument;
    for (int i = 0; i < SHARED_ROUNDS; i++) {
        uint32_t flags = lock_acquire(&shared_lock);
        shared_count++;
        lock_release(&shared_lock, flags);
    }
}

/* All CPUs at once, on one counter. */
static void lock(void)
{
    struct thread *all[CPUS_MAX];

    NEEDS_SECOND_CPU();
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        all[cpu] = thread_create("count", count_shared, NULL, 1u << cpu);
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        if (all[cpu] != NULL)
            thread_join(all[cpu]);
    EXPECT_EQUAL(shared_count, SHARED_ROUNDS * smp_cpu_count());
}

static void ipi(void)
{
    NEEDS_SECOND_CPU();
    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, cpus_answer_interrupt);
    uint32_t others = smp_online() & ~1u;

    cpus_answered = 0;
    EXPECT_EQUAL(cpus_interrupt(others, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(others));
    cpus_answered = 0;
    EXPECT_EQUAL(cpus_interrupt(smp_online(), VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(smp_online()));
}

#define SET_WORDS 64 /* for more CPUs than there are anywhere */

/* Sets that need no bits, and one whose bits go on behind the last CPU. */
static void sets(void)
{
    NEEDS_SECOND_CPU();
    NEEDS(SEND_IPI);
    uint32_t all = smp_online(), set[SET_WORDS] = {2};

    trap_handler_set(VECTOR_CHECK, cpus_answer_interrupt);
    cpus_answered = 0;
    EXPECT_EQUAL(vmi_send_ipi(NULL, VMI_CPUS_ALL_BUT_SELF, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(all & ~1u));
    cpus_answered = 0;
    EXPECT_EQUAL(vmi_send_ipi(NULL, VMI_CPUS_ALL, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(all));
    cpus_answered = 0;
    EXPECT_EQUAL(vmi_send_ipi(set, 32 * SET_WORDS, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(2));
    /* A bit that is not of the set is not looked at. */
    cpus_answered = 0;
    EXPECT_EQUAL(vmi_send_ipi(set, 1, VECTOR_CHECK), VMI_OK);
    spin_milliseconds(5);
    EXPECT_EQUAL(cpus_answered, 0);
    set[SET_WORDS - 1] = 0x80000000;
    EXPECT_EQUAL(vmi_send_ipi(set, 32 * SET_WORDS, VECTOR_CHECK), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(set, 32 * SET_WORDS - 1, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(2));
    /* Whoever answers it flushes; the kernel's own way is the other answer. */
    int32_t result = vmi_flush_remote_tlb(NULL, VMI_CPUS_ALL, MAP_WINDOW, 1);
    EXPECT(result == VMI_OK || result == VMI_ENOSYS);
}

static volatile uint32_t nmis[CPUS_MAX];

static void note_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis[vmi_current_cpu()]++;
}

/* With interrupts masked there, for that is what an NMI is for. */
static void wait_for_nmis(void *argument)
{
    const uint32_t wanted = *(const uint32_t *)argument;
    uint32_t cpu = cpu_current();

    vmi_disable_interrupts();
    for (uint64_t end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;
         nmis[cpu] < wanted && vmi_clock_nanoseconds() < end;)
        __asm__ volatile("pause");
    vmi_enable_interrupts();
}

#define NMIS 20

/* Have all CPUs but this one had so many, the second one NMIS more? None may come after the check.
 */
static bool others_had(uint32_t count)
{
    for (uint32_t cpu = 1; cpu < CPUS_MAX; cpu++)
        if (smp_online() >> cpu & 1 &&
            !wait_for_count(&nmis[cpu], cpu == 1 ? NMIS + count : count, PATIENCE_MILLISECONDS))
            return false;
    return true;
}

static void nmi(void)
{
    NEEDS_SECOND_CPU();
    NEEDS(SEND_NMI);
    trap_handler *previous = trap_handler_set(TRAP_NMI, note_nmi);
    uint32_t wanted = NMIS, set[SET_WORDS] = {2};
    for (uint32_t cpu = 0; cpu < CPUS_MAX; cpu++)
        nmis[cpu] = 0;
    struct thread *thread = thread_create("nmi", wait_for_nmis, &wanted, 2);
    int32_t result = VMI_OK;
    bool all = thread != NULL;
    for (uint32_t i = 1; i <= NMIS && all; i++) {
        result = vmi_send_nmi(set, 2);
        all = result == VMI_OK && wait_for_count(&nmis[1], i, PATIENCE_MILLISECONDS);
    }
    if (thread != NULL)
        thread_join(thread);
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT(all);
    EXPECT_EQUAL(nmis[1], NMIS);
    EXPECT_EQUAL(nmis[0], 0);
    /* To this CPU, and by the sets that need no bits. */
    EXPECT_EQUAL(vmi_send_nmi(NULL, VMI_CPUS_ALL), VMI_OK);
    EXPECT(wait_for(&nmis[0], PATIENCE_MILLISECONDS));
    EXPECT(others_had(1));
    EXPECT_EQUAL(vmi_send_nmi(NULL, VMI_CPUS_ALL_BUT_SELF), VMI_OK);
    EXPECT(others_had(2));
    EXPECT_EQUAL(nmis[0], 1);
    trap_handler_set(TRAP_NMI, previous);
    set[SET_WORDS - 1] = 1;
    EXPECT_EQUAL(vmi_send_nmi(set, 32 * SET_WORDS), VMI_EINVAL);
}

/* A thread on another CPU reads a page until it is told to stop, and shows what it reads. */
static struct {
    volatile uint32_t seen, stop;
} reader;

static void read_page(void *argument)
{
    (void)argument;
    while (!reader.stop)
        reader.seen = *(volatile uint32_t *)MAP_WINDOW;
}

static void remote_tlb(void)
{
    NEEDS_SECOND_CPU();
    uint32_t first = frame_allocate(), second = frame_allocate();
    EXPECT(first != FRAME_NONE && second != FRAME_NONE);
    *(volatile uint32_t *)frame_address(first) = 1;
    *(volatile uint32_t *)frame_address(second) = 2;
    window_map(MAP_WINDOW, first, WINDOW_PAGE);

    reader.seen = reader.stop = 0;
    struct thread *thread = thread_create("reader", read_page, NULL, 2);
    bool before = thread != NULL && wait_for(&reader.seen, PATIENCE_MILLISECONDS);
    window_map(MAP_WINDOW, second, WINDOW_PAGE);
    vmi_inval_page(MAP_WINDOW);
    smp_flush_tlb(2, MAP_WINDOW, 1);
    /*
     * From here on a read that begins finds the second frame; one that had begun may still store.
     */
    bool after = before && wait_for_count(&reader.seen, 2, PATIENCE_MILLISECONDS);
    *(volatile uint32_t *)frame_address(first) = 3;
    bool stayed = after && !wait_for_count(&reader.seen, 3, 20);
    reader.stop = 1;
    if (thread != NULL)
        thread_join(thread);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    smp_flush_tlb(smp_online(), 0, 0);
    frame_release(first);
    frame_release(second);
    EXPECT(before);
    EXPECT(after);
    EXPECT(stayed);
}

static volatile uint32_t halts, kicked, woken;

/*
 * Halts with its CPU's alarm off until it has been kicked. It halts again if it wakes without: an
 * interrupt may have been on its way, and a hypervisor may wake a CPU for reasons of its own.
 */
static void halt_until_kicked(void *argument)
{
    (void)argument;
    timer_cancel();
    vmi_disable_interrupts();
    while (!kicked) {
        halts++;
        vmi_halt();
        vmi_disable_interrupts();
    }
    woken = 1;
    vmi_enable_interrupts();
    timer_init_cpu();
}

static void kick(void)
{
    NEEDS_SECOND_CPU();
    halts = kicked = woken = 0;
    struct thread *thread = thread_create("halt", halt_until_kicked, NULL, 2);
    EXPECT(thread != NULL);
    bool halted = wait_for(&halts, PATIENCE_MILLISECONDS);
    spin_milliseconds(30);
    uint32_t times = halts;
    kicked = 1;
    /* A kick that comes before the halt is none: it is given again. */
    int32_t result = VMI_OK;
    struct patience patience;
    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (!woken && result == VMI_OK && patience_left(&patience)) {
        result = smp_kick(1);
        wait_for(&woken, 20);
    }
    bool came = woken;
    if (!came)
        smp_reschedule(2); /* so that the thread comes to its end */
    thread_join(thread);
    EXPECT(halted);
    EXPECT(times <= 5); /* it did halt */
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT(came);
}

/* The clock never goes back from one CPU to the next. */
static struct {
    struct spinlock lock;
    uint64_t latest;
    uint32_t wrong;
} clock_shared;

static void compare_clock(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        uint32_t flags = lock_acquire(&clock_shared.lock);
        uint64_t now = vmi_clock_nanoseconds();
        clock_shared.wrong += now < clock_shared.latest;
        clock_shared.latest = now;
        lock_release(&clock_shared.lock, flags);
    }
}

static void clock_across(void)
{
    struct thread *all[CPUS_MAX];

    NEEDS_SECOND_CPU();
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        all[cpu] = thread_create("clock", compare_clock, NULL, 1u << cpu);
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++)
        if (all[cpu] != NULL)
            thread_join(all[cpu]);
    EXPECT_EQUAL(clock_shared.wrong, 0);
}

/* ---- being stopped ---- */

#define STOPS      3
#define STOP_TICKS 3

static volatile uint32_t stop_read;

static void read_window(void *argument)
{
    (void)argument;
    stop_read = *(volatile uint32_t *)MAP_WINDOW;
}

/* Runs a function on the second CPU; false if memory is short. */
static bool run_on_second(thread_function *function)
{
    struct thread *thread = thread_create("second", function, NULL, 2);

    if (thread != NULL)
        thread_join(thread);
    return thread != NULL;
}

/* Maps a frame at the window without telling anybody else. */
static void map_silently(uint32_t frame)
{
    window_map(MAP_WINDOW, frame, WINDOW_PAGE);
    vmi_inval_page(MAP_WINDOW);
}

/*
 * The second CPU stops and is started again. Nothing of what it had is left: no alarm, no interrupt
 * that was sent to it meanwhile, no translation.
 */
static void stop_and_start(uint32_t first, uint32_t second)
{
    map_silently(first);
    smp_flush_tlb(2, MAP_WINDOW, 1);
    EXPECT(run_on_second(read_window));
    EXPECT_EQUAL(stop_read, 1);

    EXPECT_EQUAL(cpu_stop(1), VMI_OK);
    EXPECT_EQUAL(vmi_cpu_state(1) & VMI_CPU_RUNS, 0);
    uint32_t alarms = *timer_alarms(1);
    cpus_answered = 0;
    EXPECT_EQUAL(cpus_interrupt(2, VECTOR_CHECK), VMI_OK);
    map_silently(second);
    spin_milliseconds(STOP_TICKS * TICK_MILLISECONDS);
    EXPECT_EQUAL(*timer_alarms(1), alarms);

    EXPECT_EQUAL(cpu_start(1), VMI_OK);
    EXPECT_EQUAL(vmi_cpu_state(1), VMI_CPU_RUNS | VMI_CPU_WANTED);
    EXPECT(run_on_second(read_window));
    EXPECT_EQUAL(stop_read, 2);
    EXPECT(wait_for_count(timer_alarms(1), alarms + STOP_TICKS, PATIENCE_MILLISECONDS));
    EXPECT_EQUAL(cpus_answered, 0);
    EXPECT_EQUAL(cpus_interrupt(2, VECTOR_CHECK), VMI_OK);
    EXPECT(cpus_wait_for_answers(2));
}

static void stop(void)
{
    NEEDS_SECOND_CPU();
    NEEDS(STOP_CPU);
    NEEDS(CPU_STATE);
    uint32_t first = frame_allocate(), second = frame_allocate();
    EXPECT(first != FRAME_NONE && second != FRAME_NONE);
    *(volatile uint32_t *)frame_address(first) = 1;
    *(volatile uint32_t *)frame_address(second) = 2;
    trap_handler_set(VECTOR_CHECK, cpus_answer_interrupt);
    EXPECT_EQUAL(vmi_stop_cpu(), VMI_EBUSY);
    EXPECT_EQUAL(vmi_cpu_state(0) & VMI_CPU_RUNS, VMI_CPU_RUNS);
    EXPECT_EQUAL(vmi_cpu_state(checks_boot_info->cpu_count), VMI_ENOENT);
    for (uint32_t i = 0; i < STOPS; i++)
        stop_and_start(first, second);
    window_map(MAP_WINDOW, 0, 0);
    vmi_inval_page(MAP_WINDOW);
    smp_flush_tlb(smp_online(), 0, 0);
    frame_release(first);
    frame_release(second);
}

/* ---- x2APIC mode ---- */

/* The local APIC's mode, and its registers as MSRs (Intel SDM vol. 3A, 11.12.1). */
#define MSR_APIC_BASE          0x1bu
#define APIC_BASE_X2APIC       0x400u
#define MSR_X2APIC_ID          0x802u
#define MSR_X2APIC_TPR         0x808u
#define CPUID_1_ECX_X2APIC     (1u << 21)
#define CPUID_1_ECX_HYPERVISOR (1u << 31)

/* A register of the page that x2APIC mode does not have: the destination format. */
#define APIC_DFR 0xe0u

struct apic_mode {
    bool on;
    uint32_t id, id_read, tpr, tpr_read, half_read, missing_read;
};

static void see_apic(void *argument)
{
    struct apic_mode *mode = argument;
    uint32_t flags = interrupts_mask();

    mode->on = vmi_rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
    if (mode->on) {
        mode->id = (uint32_t)vmi_rdmsr(MSR_X2APIC_ID);
        mode->id_read = vmi_apic_read(VMI_APIC_ID) >> 24;
        vmi_apic_write(VMI_APIC_TPR, 0x20);
        mode->tpr = (uint32_t)vmi_rdmsr(MSR_X2APIC_TPR);
        vmi_wrmsr(MSR_X2APIC_TPR, 0x10);
        mode->tpr_read = vmi_apic_read(VMI_APIC_TPR);
        vmi_apic_write(VMI_APIC_TPR, 0);
        /* What the mode does not have, or has otherwise, is no fault. */
        vmi_apic_write(APIC_DFR, ~0u);
        mode->missing_read = vmi_apic_read(APIC_DFR);
        vmi_apic_write(VMI_APIC_ICR_HIGH, 0x5a000000);
        mode->half_read = vmi_apic_read(VMI_APIC_ICR_HIGH);
        vmi_apic_write(VMI_APIC_EOI, ~0u);
    }
    interrupts_restore(flags);
}

/* APICRead and APICWrite go to the MSRs where that is what the APIC listens to, on each CPU. */
static void x2apic(void)
{
    uint32_t ignored, features, largest = 0;

    NEEDS(APIC_READ);
    NEEDS(APIC_WRITE);
    vmi_cpuid(1, 0, &ignored, &ignored, &features, &ignored);
    if (checks_boot_info->kernel_rpl != 0 || !(features & CPUID_1_ECX_X2APIC)) {
        ktap_skip(checks_boot_info->kernel_rpl ? "the local APIC is not the kernel's"
                                               : "this processor has no x2APIC");
        return;
    }
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
        struct apic_mode mode = {0};

        if (!(smp_online() & 1u << cpu))
            continue;
        struct thread *thread = thread_create("apic", see_apic, &mode, 1u << cpu);
        EXPECT(thread != NULL);
        thread_join(thread);
        if (!mode.on && !(features & CPUID_1_ECX_HYPERVISOR)) {
            ktap_skip("x2APIC mode is off, as it may be without a hypervisor");
            return;
        }
        EXPECT(mode.on);
        EXPECT_EQUAL(mode.id, checks_boot_info->cpus[cpu].apic_id);
        EXPECT_EQUAL(mode.id_read, mode.id < 255 ? mode.id : 255);
        EXPECT_EQUAL(mode.tpr, 0x20);
        EXPECT_EQUAL(mode.tpr_read, 0x10);
        EXPECT_EQUAL(mode.half_read, 0x5a000000);
        EXPECT_EQUAL(mode.missing_read, 0);
        largest = mode.id > largest ? mode.id : largest;
    }
    print("# apic x2apic cpus 0x%x largest identifier %u\n", smp_online(), largest);
}

const struct check checks_cpus[] = {
    {"cpus.start", start},
    {"cpus.start_again", start_again},
    {"cpus.threads", threads},
    {"cpus.lock", lock},
    {"cpus.ipi", ipi},
    {"cpus.sets", sets},
    {"cpus.nmi", nmi},
    {"cpus.remote_tlb", remote_tlb},
    {"cpus.kick", kick},
    {"cpus.clock", clock_across},
    {"cpus.x2apic", x2apic},
    {"cpus.stop", stop},
    {NULL, NULL},
};
