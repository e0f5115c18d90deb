/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What calls do together, and what they answer to arguments that are wrong. */
#include <stddef.h>
#include <vmi/vmi.h>

#include "behaviour.h"
#include "cases.h"
#include "checks.h"
#include "contract.h"
#include "cpus.h"
#include "first_state.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "print.h"
#include "smp.h"
#include "string.h"
#include "tables.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define NO_CPU   40 /* it does not exist, */
#define NO_EVENT 0x7fffffff

#define NEEDS_SECOND_CPU()                                                                         \
    do {                                                                                           \
        if (!(smp_online() & 2)) {                                                                 \
            ktap_skip("one CPU");                                                                  \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* ---- wrong arguments ---- */

/* and this is the set of it. */
static const uint32_t no_cpu[VMI_CPUS_LIMIT / 32 + 1] = {0, 1u << (NO_CPU - 32)};

static void send_ipi_errors(void)
{
    NEEDS(SEND_IPI);
    const uint32_t self = 1, nobody = 0;

    EXPECT_EQUAL(vmi_send_ipi(&self, 1, 31), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(&self, 1, 256), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(NULL, VMI_CPUS_ALL, 31), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(no_cpu, NO_CPU, VECTOR_CHECK), VMI_OK);
    EXPECT_EQUAL(vmi_send_ipi(no_cpu, NO_CPU + 1, VECTOR_CHECK), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(no_cpu, VMI_CPUS_LIMIT + 1, VECTOR_CHECK), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_ipi(no_cpu, VMI_CPUS_ALL_BUT_SELF - 1, VECTOR_CHECK), VMI_EINVAL);
    /* Nobody is nothing wrong. */
    EXPECT_EQUAL(vmi_send_ipi(&nobody, 32, VECTOR_CHECK), VMI_OK);
    EXPECT_EQUAL(vmi_send_ipi(&self, 0, VECTOR_CHECK), VMI_OK);
}

static void send_nmi_errors(void)
{
    NEEDS(SEND_NMI);
    EXPECT_EQUAL(vmi_send_nmi(no_cpu, NO_CPU), VMI_OK);
    EXPECT_EQUAL(vmi_send_nmi(no_cpu, NO_CPU + 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_send_nmi(no_cpu, VMI_CPUS_LIMIT + 1), VMI_EINVAL);
}

static void flush_remote_tlb_errors(void)
{
    NEEDS(FLUSH_REMOTE_TLB);
    int32_t result = vmi_flush_remote_tlb(no_cpu, NO_CPU + 1, 0, 0);
    if (contract_declared(VMI_ORDINAL_FLUSH_REMOTE_TLB) == VMI_KIND_HYPERCALL) {
        EXPECT_EQUAL(result, VMI_EINVAL);
        EXPECT_EQUAL(vmi_flush_remote_tlb(no_cpu, VMI_CPUS_LIMIT + 1, 0, 0), VMI_EINVAL);
        EXPECT_EQUAL(vmi_flush_remote_tlb(no_cpu, NO_CPU, 0, 0), VMI_OK);
    }
    EXPECT(result == VMI_EINVAL || result == VMI_ENOSYS);
}

static void kick_errors(void)
{
    NEEDS(KICK);
    EXPECT_EQUAL(vmi_kick(NO_CPU), VMI_EINVAL);
    EXPECT_EQUAL(vmi_kick(UINT32_MAX), VMI_EINVAL);
}

static void share_page_errors(void)
{
    NEEDS(SHARE_PAGE);
    NEEDS(UNSHARE_PAGE);
    EXPECT_EQUAL(vmi_share_page(0xfffff, 0, VMI_SHARE_READ), VMI_EINVAL);
    EXPECT_EQUAL(vmi_share_page(frame_of(vmi_calls), 0, 0x80000000), VMI_EINVAL);
    EXPECT_EQUAL(vmi_unshare_page(0x7ffffff0), VMI_EINVAL);
}

static void event_errors(void)
{
    NEEDS(EVENT_BIND);
    EXPECT_EQUAL(vmi_event_bind(0xff, 0, VECTOR_CHECK), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_CONSOLE, 0, 31), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_CONSOLE, 0, 256), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_unmask(NO_EVENT), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_mask(NO_EVENT), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_unbind(NO_EVENT), VMI_EINVAL);
    EXPECT_EQUAL(vmi_event_move(NO_EVENT, 0), VMI_EINVAL);
    /* A source that the library has not is another matter than one that nobody has. */
    int32_t result = vmi_event_bind(VMI_EVENT_PEER, 0xfff0u << 16 | 1, VECTOR_CHECK);
    EXPECT(result == VMI_EINVAL || result == VMI_EIO || result == VMI_ENOSYS);
    result = vmi_event_bind(VMI_EVENT_GSI, 0xffffff, VECTOR_CHECK);
    EXPECT(result == VMI_EINVAL || result == VMI_ENOSYS);
    if (call_unsupported(VMI_ORDINAL_EVENT_MESSAGE) == NULL) {
        struct vmi_message message;
        EXPECT_EQUAL(vmi_event_message(NO_EVENT, &message), VMI_EINVAL);
        result = cases_console_event();
        if (result >= 0)
            EXPECT_EQUAL(vmi_event_message((uint32_t)result, &message), VMI_EINVAL);
    }
    if (call_unsupported(VMI_ORDINAL_EVENT_NOTIFY) == NULL)
        EXPECT_EQUAL(vmi_event_notify(NO_EVENT), VMI_EINVAL);
}

static void missing_values(void)
{
    EXPECT_EQUAL(vmi_get_dr(8), 0);
    EXPECT_EQUAL(vmi_get_cycle_counter(0x55), 0);
    /* A frame without a counterpart is not present; where frames are the machine's, it has one. */
    const uint64_t nowhere = 0xffffffffff001ull;
    uint64_t physical = vmi_machine_to_physical(nowhere);
    EXPECT(!(physical & PTE_PRESENT) || vmi_physical_to_machine(physical) == nowhere);
}

/* ---- interrupts ---- */

static volatile uint32_t taken;

static void count(struct trap_frame *frame)
{
    taken++;
    vmi_end_of_interrupt(frame->vector);
}

/*
 * An interrupt is raised while they are masked, then Halt lets it in: none may be slept through.
 * One that an emulated processor delivers twice is not lost.
 */
static void none_lost_by_halt(void)
{
    const uint32_t rounds = 200;
    uint32_t lost = 0;

    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, count);
    taken = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        vmi_disable_interrupts();
        const uint32_t before = taken;
        cpus_interrupt(1, VECTOR_CHECK);
        vmi_halt();
        lost += taken == before;
        vmi_enable_interrupts();
        EXPECT(wait_for_count(&taken, before + 1, PATIENCE_MILLISECONDS));
    }
    EXPECT_EQUAL(lost, 0);
}

/* Returns by IRET with interrupts let in again take what has come meanwhile. */
static volatile uint32_t seen_in_handler, handler_open;

static void raise_in_handler(struct trap_frame *frame)
{
    vmi_end_of_interrupt(frame->vector);
    if (taken++ == 0)
        cpus_interrupt(1, VECTOR_CHECK);
    seen_in_handler = taken;
    handler_open |= vmi_get_interrupt_mask() & EFLAGS_IF;
}

static void pending_at_return(void)
{
    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, raise_in_handler);
    taken = seen_in_handler = handler_open = 0;
    EXPECT_EQUAL(cpus_interrupt(1, VECTOR_CHECK), VMI_OK);
    bool both = wait_for_count(&taken, 2, PATIENCE_MILLISECONDS);
    trap_handler_set(VECTOR_CHECK, count);
    EXPECT(both);
    EXPECT_EQUAL(taken, 2);
    EXPECT_EQUAL(handler_open, 0);
}

/* ---- lazy mode ---- */

/* Maps a page in lazy mode; what observes it comes before the mode is left. */
static void observed(void (*observe)(void))
{
    uint32_t pfn = frame_allocate(), found;

    EXPECT(pfn != FRAME_NONE);
    *(volatile uint32_t *)frame_address(pfn) = 0x0b5e54ed;
    uint32_t flags = interrupts_mask();
    vmi_set_lazy_mode(VMI_LAZY_MMU);
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    observe();
    found = *(volatile uint32_t *)MAP_WINDOW;
    window_map(MAP_WINDOW, 0, 0);
    vmi_set_lazy_mode(VMI_LAZY_NONE);
    vmi_inval_page(MAP_WINDOW);
    interrupts_restore(flags);
    frame_release(pfn);
    EXPECT_EQUAL(found, 0x0b5e54ed);
}

static void inval_page(void)
{
    vmi_inval_page(MAP_WINDOW);
}

static void lazy_inval_page(void)
{
    observed(inval_page);
}

static void flush_tlb(void)
{
    vmi_flush_tlb(VMI_FLUSH_TLB);
}

static void lazy_flush_tlb(void)
{
    observed(flush_tlb);
}

static void set_cr3(void)
{
    aspace_load(&kernel_aspace);
}

static void lazy_set_cr3(void)
{
    observed(set_cr3);
}

static void change_mode(void)
{
    vmi_set_lazy_mode(VMI_LAZY_CPU);
}

static void lazy_mode_changed(void)
{
    observed(change_mode);
}

/*
 * Both halves of an entry are written: an entry that is not present holds what it is given. And an
 * entry is replaced whole, whatever was there.
 */
static void entry_halves(void)
{
    const volatile uint32_t *entry =
        (const uint32_t *)aspace_entry(&kernel_aspace, MAP_WINDOW, false);
    const uint32_t low = 0x55aa0ff0, high = 0x12345678;

    entry_write((uint64_t *)(uintptr_t)entry, (uint64_t)high << 32 | low, VMI_PAGE_PT);
    uint32_t found_low = entry[0], found_high = entry[1];
    entry_write((uint64_t *)(uintptr_t)entry, 0, VMI_PAGE_PT);
    EXPECT_EQUAL(found_low, low);
    EXPECT_EQUAL(found_high, high);
    EXPECT_EQUAL(entry[0], 0);
    EXPECT_EQUAL(entry[1], 0);
}

/* ---- more than one CPU ---- */

static struct {
    struct spinlock lock;
    uint64_t latest;
    uint32_t wrong;
} counter;

static void compare_counter(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++) {
        uint32_t flags = lock_acquire(&counter.lock);
        uint64_t now = vmi_get_cycle_counter(VMI_CYCLES_REAL);
        counter.wrong += now < counter.latest;
        counter.latest = now;
        lock_release(&counter.lock, flags);
    }
}

static void counter_across(void)
{
    struct thread *other;

    NEEDS_SECOND_CPU();
    other = thread_create("counter", compare_counter, NULL, 2);
    EXPECT(other != NULL);
    compare_counter(NULL);
    thread_join(other);
    EXPECT_EQUAL(counter.wrong, 0);
}

/* The first of the sample kernel's checks of CPUs starts them all; here what it takes is counted as
 * well. */
static void start_cpus(void)
{
    timer_cancel();
    uint32_t before = contract_hypercalls();
    checks_cpus[0].run();
    if (contract_declared(VMI_ORDINAL_SET_INITIAL_AP_STATE) == VMI_KIND_HYPERCALL)
        contract_made(VMI_ORDINAL_SET_INITIAL_AP_STATE, contract_hypercalls() - before);
    timer_init_cpu();
}

/* Each CPU knows its number, and the question is neither a hypercall nor CPUID. */
static void tell_cpu(void *argument)
{
    *(uint32_t *)argument = vmi_current_cpu();
}

static void current_cpu(void)
{
    NEEDS_SECOND_CPU();
    for (uint32_t cpu = 0; cpu < smp_cpu_count(); cpu++) {
        uint32_t told = CPUS_MAX;
        struct thread *other = thread_create("number", tell_cpu, &told, 1u << cpu);
        EXPECT(other != NULL);
        thread_join(other);
        EXPECT_EQUAL(told, cpu);
    }
}

/* An NMI of each call's, and the hypercalls of these calls. */
static volatile uint32_t nmis;

static void note_nmi(struct trap_frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&nmis, 1, __ATOMIC_RELAXED);
}

static void nmi_across(void)
{
    const uint32_t second = 2, all = 1 + smp_set_size(smp_online() & ~1u);

    NEEDS_SECOND_CPU();
    NEEDS(SEND_NMI);
    trap_handler *previous = trap_handler_set(TRAP_NMI, note_nmi);
    nmis = 0;
    uint32_t before = contract_hypercalls();
    int32_t result = vmi_send_nmi(&second, 2);
    contract_made(VMI_ORDINAL_SEND_NMI, contract_hypercalls() - before);
    bool came = result == VMI_OK && wait_for(&nmis, PATIENCE_MILLISECONDS);
    result = vmi_send_nmi(NULL, VMI_CPUS_ALL_BUT_SELF);
    came = came && result == VMI_OK && wait_for_count(&nmis, all, PATIENCE_MILLISECONDS);
    spin_milliseconds(1);
    trap_handler_set(TRAP_NMI, previous);
    EXPECT_EQUAL(result, VMI_OK);
    EXPECT(came);
    EXPECT_EQUAL(nmis, all);
}

static void note_set(struct trap_frame *frame)
{
    __atomic_or_fetch(&taken, 1u << vmi_current_cpu(), __ATOMIC_RELAXED);
    vmi_end_of_interrupt(frame->vector);
}

/* Just the CPUs of a set, whichever way it is told. */
static void sets_across(void)
{
    const uint32_t second = 2, behind[2] = {2, 0};
    const struct {
        const uint32_t *set;
        uint32_t bits, wanted;
    } sets[] = {{&second, 2, 2},
                {behind, 64, 2},
                {NULL, VMI_CPUS_ALL_BUT_SELF, smp_online() & ~1u},
                {NULL, VMI_CPUS_ALL, smp_online()}};

    NEEDS_SECOND_CPU();
    NEEDS(SEND_IPI);
    trap_handler_set(VECTOR_CHECK, note_set);
    for (uint32_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        taken = 0;
        EXPECT_EQUAL(vmi_send_ipi(sets[i].set, sets[i].bits, VECTOR_CHECK), VMI_OK);
        struct patience patience;
        patience_begin(&patience, PATIENCE_MILLISECONDS);
        while (taken != sets[i].wanted && patience_left(&patience))
            thread_yield();
        spin_milliseconds(1);
        EXPECT_EQUAL(taken, sets[i].wanted);
    }
}

/* A CPU that runs is not started again, however good the state. */
static void start_twice(void)
{
    static uintptr_t stack[64] __attribute__((aligned(16)));

    NEEDS_SECOND_CPU();
    struct vmi_ap_state state = cpu_first_state(1, smp_park_if_asked, &stack[60]);
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, checks_boot_info->cpus[1].apic_id), VMI_EBUSY);
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, checks_boot_info->cpus[0].apic_id), VMI_EBUSY);
}

/* What no CPU can start in is refused, whichever hypervisor would have to start it. */
static void ap_state_errors(void)
{
    static uintptr_t stack[64] __attribute__((aligned(16)));

    NEEDS_SECOND_CPU();
    const struct vmi_ap_state good = cpu_first_state(1, smp_park_if_asked, &stack[60]);
    const uint32_t id = checks_boot_info->cpus[1].apic_id;
    struct vmi_ap_state state = good;
    state.cr0 &= ~CR0_PG;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state = good;
    state.cs ^= 2;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state = good;
    state.ss ^= 2;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state = good;
    state.cr4 &= ~CR4_PAE;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state = good;
    state.efer |= 1u << 1;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
#ifdef __x86_64__
    state = good;
    state.gs_base = 0;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state.gs_base = good.gs_base + 8;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
    state = good;
    state.cr3 |= 0x800;
    EXPECT_EQUAL(vmi_set_initial_ap_state(&state, id), VMI_EINVAL);
#endif
}

/* A table's entries can be read after it was released. */
static void content_is_kept(void)
{
    uint32_t pfn = frame_allocate_zeroed(), page = frame_allocate();

    EXPECT(pfn != FRAME_NONE && page != FRAME_NONE);
    vmi_allocate_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE | VMI_PAGE_ZEROED, 0, 0, 0);
    uint64_t *entry = (uint64_t *)frame_address(pfn) + 7;
    uint64_t value = pte_value(page, WINDOW_PAGE);
    entry_write(entry, value, VMI_PAGE_PT);
    vmi_release_page(pfn, VMI_PAGE_PT | VMI_PAGE_PAE);
    uint64_t found = pte_read(entry);
    memset(frame_address(pfn), 0, PAGE_SIZE);
    frame_release(pfn);
    frame_release(page);
    EXPECT_EQUAL(found, value);
}

/* ---- console ---- */

/* Every length up to a line's is taken whole; the host compares what comes out. */
static void console_lengths(void)
{
    char line[64];

    for (uint32_t length = 1; length <= 61; length++) {
        line[0] = '#';
        for (uint32_t i = 1; i < length; i++)
            line[i] = (char)('0' + i % 10);
        line[length] = '\r';
        line[length + 1] = '\n';
        EXPECT_EQUAL(vmi_console_write(line, length + 2), length + 2);
    }
}

static const char hexadecimal[] = "0123456789abcdef";

#define LINE_DATA 1024 /* hexadecimal digits of a line, more than any terminal has columns */

/*
 * A row of lines "# data N DIGITS"; the digits are those of a generator (x ← 1664525 x +
 * 1013904223, Numerical Recipes, 7.1, with x from 1) that the host runs too.
 */
void behaviour_console_data(uint32_t kib)
{
    static char line[32 + LINE_DATA];
    uint32_t state = 1;

    for (uint32_t number = 0; number < kib * 1024 / LINE_DATA; number++) {
        size_t length = format(line, sizeof(line), "# data %u ", number);
        for (uint32_t i = 0; i < LINE_DATA; i++) {
            state = 1664525 * state + 1013904223;
            line[length++] = hexadecimal[state >> 28];
        }
        line[length++] = '\r';
        line[length++] = '\n';
        vmi_console_write(line, (uint32_t)length);
    }
}

#define INPUT_SECONDS 20 /* without a byte: nothing comes any more */

static volatile bool input_told;
static volatile uint32_t input_events;
static volatile uint32_t input_unshadowed; /* taken where no processor takes one */

/*
 * Reads nothing: that is for whoever waits, after the end of the interrupt. Where an emulator takes
 * one between STI and HLT, it does not go back to the HLT, which might have nothing to wait for.
 */
static void note_input(struct trap_frame *trap)
{
    input_told = true;
    input_events++;
    if (!trap_from_user(trap) && trap_before_halt(trap->ip)) {
        input_unshadowed++;
        trap->ip++;
    }
    vmi_end_of_interrupt(trap->vector);
}

static void wait_for_input(void)
{
    vmi_disable_interrupts();
    while (!input_told) {
        vmi_halt();
        vmi_disable_interrupts();
    }
    input_told = false;
    vmi_enable_interrupts();
}

bool behaviour_console_input(uint32_t kib, bool by_event)
{
    uint32_t state = 1, received = 0, wrong = 0, wanted = kib * 1024;
    uint64_t last = vmi_clock_nanoseconds();

    if (by_event) {
        trap_handler_set(VECTOR_CONSOLE, note_input);
        int32_t event = vmi_event_bind(VMI_EVENT_CONSOLE, 0, VECTOR_CONSOLE);
        if (event < 0 || vmi_event_unmask((uint32_t)event) != VMI_OK)
            return false;
    }
    print("# input ready\n");
    while (received < wanted && vmi_clock_nanoseconds() - last < INPUT_SECONDS * 1000000000ull) {
        char bytes[1000];
        uint32_t left = wanted - received;
        int32_t count = vmi_console_read(bytes, left < sizeof(bytes) ? left : sizeof(bytes));
        if (count < 0)
            break;
        for (int32_t i = 0; i < count; i++) {
            state = 1664525 * state + 1013904223;
            wrong += bytes[i] != hexadecimal[state >> 28];
        }
        received += (uint32_t)count;
        if (count > 0)
            last = vmi_clock_nanoseconds();
        else if (by_event)
            wait_for_input();
    }
    print("# input received=%u wrong=%u events=%u unshadowed=%u\n", received, wrong, input_events,
          input_unshadowed);
    return received == wanted && wrong == 0;
}

const struct check checks_behaviour[] = {
    {"errors.SendIPI", send_ipi_errors},
    {"errors.SendNMI", send_nmi_errors},
    {"errors.FlushRemoteTLB", flush_remote_tlb_errors},
    {"errors.Kick", kick_errors},
    {"errors.SharePage", share_page_errors},
    {"errors.EventBind", event_errors},
    {"errors.missing_values", missing_values},
    {"interrupts.none_lost_by_halt", none_lost_by_halt},
    {"interrupts.pending_at_return", pending_at_return},
    {"paging.entry_halves", entry_halves},
    {"paging.content_is_kept", content_is_kept},
    {"lazy.InvalPage", lazy_inval_page},
    {"lazy.FlushTLB", lazy_flush_tlb},
    {"lazy.SetCR3", lazy_set_cr3},
    {"lazy.mode_changed", lazy_mode_changed},
    {"console.lengths", console_lengths},
    {NULL, NULL},
};

const struct check checks_start[] = {{"cpus.start", start_cpus}, {NULL, NULL}};
const struct check checks_across[] = {
    {"cpus.cycle_counter", counter_across},
    {"cpus.number", current_cpu},
    {"cpus.every_set", sets_across},
    {"cpus.nmi_arrives", nmi_across},
    {"errors.SetInitialAPState", ap_state_errors},
    {"cpus.start_twice", start_twice},
    {NULL, NULL},
};
