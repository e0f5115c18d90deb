/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The ways into the kernel where they are weakest: between ring 3 and the first instructions, with
 * the process's GS base and stack still in use; and ways back that a process has spoiled.
 */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "entry.h"
#include "frames.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "print.h"
#include "process.h"
#include "programs.h"
#include "smp.h"
#include "supervisor.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

#define MSR_LSTAR 0xc0000082 /* Intel SDM vol. 3A, 5.8.8 */
#define TOP_PAGE  (LOWER_HALF_END - PAGE_SIZE)

#define ICR_NMI 0x400u /* Intel SDM vol. 3A, 11.6.1: delivery mode */

#define STEPS_MAX   500000 /* by then something runs in circles */
#define ENTRIES_MAX 12 /* some of each call of user_ways: a step takes long under a hypervisor */

PROGRAM(ways);
PROGRAM(stepped);
PROGRAM(fsbase);
PROGRAM(compat);
PROGRAM(vectors);
PROGRAM(bases);
extern const struct program user_jump;

/* Entries and stacks are the hypervisor's where the kernel is not in ring 0. */
#define NEEDS_RING_0()                                                                             \
    do {                                                                                           \
        if (kernel_cs() & RPL_MASK) {                                                              \
            ktap_skip("the kernel is not in ring 0");                                              \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Runs a process to its end on this CPU, where the checks have set their traps. */
static bool run_here(const struct program *program, uintptr_t argument, struct process *ended)
{
    struct process *process = process_create(program, argument);

    if (process == NULL)
        return false;
    process->thread->cpus = 1;
    process_run(process);
    process_reap(process, ended);
    return true;
}

static void two_ways(void)
{
    struct process ended;

    EXPECT(run_here(&user_ways, 0, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
}

static void fs_base(void)
{
    run_two(&user_fsbase);
}

/* Whether processes set their bases of FS and GS by themselves. */
static bool bases_are_processes(void)
{
    return supervisor_used & CR4_FSGSBASE;
}

static void bases(void)
{
    if (bases_are_processes())
        run_two(&user_bases);
    else
        ktap_skip("FSGSBASE is off, or the hypervisor's: the lines # feature say it");
}

static void vectors(void)
{
    if (!(fpu_components & XCR0_AVX))
        ktap_skip("threads have no AVX registers: the lines # feature say it");
    else
        run_two(&user_vectors);
}

/* In 32-bit code SYSCALL is Intel's invalid opcode, and AMD's with an entry of its own. */
static void compatibility_mode(void)
{
    struct process ended;

    EXPECT(run_here(&user_compat, 0, &ended));
    if (ended.end == PROCESS_FAULTED) {
        EXPECT_EQUAL(ended.fault_vector, TRAP_INVALID_OPCODE);
        return;
    }
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
}

/* ---- addresses that are not canonical ---- */

/*
 * A process whose last instruction is SYSCALL in the last two bytes of the lower half: what it
 * returns to is not canonical. The way to that page stands in the check's own tables.
 */
static void end_of_lower_half(void)
{
    static const uint8_t syscall_instruction[] = {0x0f, 0x05};
    struct process ended = {0}, *process = process_create(&user_jump, LOWER_HALF_END - 2);
    uint32_t tables[3], page = frame_allocate_zeroed();
    static const uint32_t kinds[] = {VMI_PAGE_PDP, VMI_PAGE_PD, VMI_PAGE_PT};

    EXPECT(process != NULL && page != FRAME_NONE);
    uint8_t *end = (uint8_t *)frame_address(page) + PAGE_SIZE;
    end[-2] = syscall_instruction[0];
    end[-1] = syscall_instruction[1];
    for (uint32_t i = 0; i < 3; i++) {
        tables[i] = new_table(kinds[i]);
        EXPECT(tables[i] != FRAME_NONE);
    }
    entry_write(table_entry(tables[2], PTE_ENTRIES - 1),
                pte_value(page, PTE_PRESENT | PTE_USER | PTE_ACCESSED), VMI_PAGE_PT);
    entry_write(table_entry(tables[1], PTE_ENTRIES - 1), pte_value(tables[2], TABLE_FLAGS),
                VMI_PAGE_PD);
    entry_write(table_entry(tables[0], PTE_ENTRIES - 1), pte_value(tables[1], TABLE_FLAGS),
                VMI_PAGE_PDP);
    const uint32_t roots[] = {process->aspace.root, process->aspace.user};
    for (uint32_t i = 0; i < 2; i++)
        if (roots[i] != FRAME_NONE)
            entry_write(table_entry(roots[i], index_of(TOP_PAGE, ROOT_SHIFT)),
                        pte_value(tables[0], TABLE_FLAGS), VMI_PAGE_PML4);
    process->thread->cpus = 1;
    process_run(process);
    process_reap(process, &ended);
    /* The roots that led there are gone. */
    for (uint32_t i = 0; i < 3; i++)
        release_table(tables[i], kinds[i]);
    frame_release(page);

    EXPECT_EQUAL(ended.system_calls, 1);
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_PROTECTION);
    EXPECT_EQUAL(ended.fault_address, LOWER_HALF_END);
}

static trap_handler *system_call;
static uintptr_t spoiled;

static void spoil(struct trap_frame *frame)
{
    system_call(frame);
    frame->ip = spoiled;
}

/* Frames of system calls of both ways that lead to where no process can be. */
static void spoiled_frames(void)
{
    static const uintptr_t addresses[] = {LOWER_HALF_END, 0x8000000000000000, 0xffff7fffffffffff,
                                          0xffff800000000000, KERNEL_IMAGE};
    const struct program *const programs[] = {&user_hello, &user_ways};

    for (unsigned i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        for (unsigned j = 0; j < 2; j++) {
            struct process ended = {0};
            spoiled = addresses[i];
            system_call = trap_handler_set(VECTOR_SYSCALL, spoil);
            bool done = run_here(programs[j], 0, &ended);
            trap_handler_set(VECTOR_SYSCALL, system_call);
            EXPECT(done);
            EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
            EXPECT_EQUAL(ended.fault_vector, TRAP_PROTECTION);
            EXPECT_EQUAL(ended.fault_address, addresses[i]);
        }
}

/* ---- stacks of their own ---- */

static volatile uint32_t arrived, strayed;

/* On the stack of the vector, with the kernel's GS base. */
static void look_around(const struct trap_frame *frame)
{
    uint32_t cpu = vmi_current_cpu();
    uintptr_t stack = descriptors_stack_of(cpu, (uint32_t)frame->vector);

    strayed += (uintptr_t)frame - stack >= IST_SIZE || vmi_get_gs_base() != descriptors_area(cpu);
    arrived++;
}

static void note_arrival(struct trap_frame *frame)
{
    look_around(frame);
}

/* No two vectors share a stack, nor do two CPUs: what comes second would overwrite the first. */
static void own_stacks(void)
{
    static const uint32_t vectors[] = {TRAP_NMI, TRAP_DOUBLE_FAULT, TRAP_MACHINE_CHECK, TRAP_DEBUG};
    const uint32_t count = 2 * sizeof(vectors) / sizeof(vectors[0]);

    for (uint32_t i = 0; i < count; i++) {
        uintptr_t stack = descriptors_stack_of(i & 1, vectors[i / 2]);
        EXPECT(stack != 0);
        for (uint32_t j = 0; j < i; j++) {
            uintptr_t other = descriptors_stack_of(j & 1, vectors[j / 2]);
            EXPECT(stack >= other + IST_SIZE || other >= stack + IST_SIZE);
        }
    }
}

/* The two writes belong together. */
static void send(uint32_t cpu, uint32_t command)
{
    uint32_t flags = interrupts_mask();
    vmi_apic_write(VMI_APIC_ICR_HIGH, checks_boot_info->cpus[cpu].apic_id << 24);
    vmi_apic_write(VMI_APIC_ICR_LOW, command);
    interrupts_restore(flags);
}

static void send_nmi(uint32_t cpu)
{
    send(cpu, ICR_NMI);
}

static void nmi_stack(void)
{
    NEEDS_RING_0();
    NEEDS(APIC_WRITE);
    trap_handler *previous = trap_handler_set(TRAP_NMI, note_arrival);
    bool all = true;
    arrived = strayed = 0;
    for (uint32_t i = 0; i < 10 && all; i++) {
        send_nmi(0);
        all = wait_for_count(&arrived, i + 1, PATIENCE_MILLISECONDS);
    }
    trap_handler_set(TRAP_NMI, previous);
    EXPECT(all);
    EXPECT_EQUAL(arrived, 10);
    EXPECT_EQUAL(strayed, 0);
}

static void note_interrupt(struct trap_frame *frame)
{
    look_around(frame);
    vmi_apic_write(VMI_APIC_EOI, 0);
}

/* By an interrupt of its vector, which the APIC takes: a machine check itself is not to be had. */
static void machine_check_stack(void)
{
    NEEDS_RING_0();
    NEEDS(APIC_WRITE);
    trap_handler *previous = trap_handler_set(TRAP_MACHINE_CHECK, note_interrupt);
    arrived = strayed = 0;
    send(0, TRAP_MACHINE_CHECK);
    bool came = wait_for(&arrived, PATIENCE_MILLISECONDS);
    trap_handler_set(TRAP_MACHINE_CHECK, previous);
    EXPECT(came);
    EXPECT_EQUAL(arrived, 1);
    EXPECT_EQUAL(strayed, 0);
}

/* double_fault.S */
void double_fault(uintptr_t stack, uintptr_t *sp);
extern const char double_fault_over[];
static uintptr_t stack_before;

static void note_double_fault(struct trap_frame *frame)
{
    look_around(frame);
    frame->ip = (uintptr_t)double_fault_over;
    frame->sp = stack_before;
}

/* A page fault on a stack that is not there. */
static void double_fault_stack(void)
{
    NEEDS_RING_0();
    trap_handler *previous = trap_handler_set(TRAP_DOUBLE_FAULT, note_double_fault);
    uint32_t flags = interrupts_mask();
    arrived = strayed = 0;
    double_fault(WINDOWS_END + PAGE_SIZE, &stack_before);
    interrupts_restore(flags);
    trap_handler_set(TRAP_DOUBLE_FAULT, previous);
    EXPECT_EQUAL(arrived, 1);
    EXPECT_EQUAL(strayed, 0);
}

/* ---- one instruction at a time ---- */

static struct {
    uintptr_t begin; /* where a breakpoint lets the steps begin */
    uintptr_t stack; /* of the process's thread in the kernel */
    uint32_t begun, kernel, user, wrong;
    bool with_nmi;
} steps;

/*
 * In the kernel on the stack of debug exceptions, from ring 3 on the thread's. From the breakpoint
 * on each instruction of the kernel's is a step, until it leaves for ring 3 or another thread.
 */
static void step(struct trap_frame *frame)
{
    steps.wrong += vmi_current_cpu() != 0 || vmi_get_gs_base() != descriptors_area(0);
    vmi_set_dr(6, 0);
    if (trap_from_user(frame)) {
        steps.user++;
        return;
    }
    steps.wrong += (uintptr_t)frame - descriptors_stack_of(0, TRAP_DEBUG) >= IST_SIZE;
    if (frame->ip == steps.begin && ++steps.begun == ENTRIES_MAX)
        vmi_set_dr(7, 0);
    steps.kernel++;
    frame->flags |= EFLAGS_RF | EFLAGS_TF;
    if (steps.kernel > STEPS_MAX ||
        (frame->sp >= LOWER_HALF_END && frame->sp - 1 - steps.stack >= STACK_SIZE))
        frame->flags &= ~(uint64_t)EFLAGS_TF;
    if (steps.with_nmi)
        send_nmi(0);
}

/* What leads a handler astray that takes it for its own: the area of another CPU. 0 if it cannot
 * be. */
static uintptr_t misleading_base(void)
{
    return bases_are_processes() ? descriptors_area(1) : 0;
}

static void step_through(uintptr_t entry, bool with_nmi)
{
    struct process ended = {0}, *process = process_create(&user_ways, misleading_base());

    EXPECT(process != NULL);
    steps.begin = entry;
    steps.stack = (uintptr_t)process->thread;
    steps.begun = steps.kernel = steps.user = steps.wrong = 0;
    steps.with_nmi = with_nmi;
    arrived = strayed = 0;
    trap_handler *debug = trap_handler_set(TRAP_DEBUG, step);
    trap_handler *nmi = trap_handler_set(TRAP_NMI, note_arrival);
    vmi_set_dr(0, entry);
    vmi_set_dr(7, DR7_LOCAL0);
    process->thread->cpus = 1;
    process_run(process);
    process_reap(process, &ended);
    vmi_set_dr(7, 0);
    vmi_set_dr(0, 0);
    trap_handler_set(TRAP_DEBUG, debug);
    trap_handler_set(TRAP_NMI, nmi);
    print("# %u instructions of the kernel, %u times from the entry\n", steps.kernel, steps.begun);
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
    EXPECT(steps.begun >= 1);
    EXPECT(steps.kernel > 50 * steps.begun);
    EXPECT_EQUAL(steps.wrong, 0);
    EXPECT_EQUAL(strayed, 0);
    if (with_nmi)
        EXPECT(arrived > steps.kernel / 2);
}

static bool can_step(void)
{
    if (kernel_cs() & RPL_MASK)
        ktap_skip("the kernel is not in ring 0");
    else if (call_unsupported(VMI_ORDINAL_SET_DR) != NULL ||
             call_unsupported(VMI_ORDINAL_RDMSR) != NULL)
        ktap_skip("no breakpoints");
    else
        return true;
    return false;
}

/* The library's own first instruction of a system call included. */
static void stepped_system_call(void)
{
    if (can_step())
        step_through((uintptr_t)vmi_rdmsr(MSR_LSTAR), false);
}

static void stepped_trap(void)
{
    if (can_step())
        step_through((uintptr_t)trap_entries + VECTOR_SYSCALL * TRAP_ENTRY_SIZE, false);
}

static void stepped_with_nmi(void)
{
    NEEDS(APIC_WRITE);
    if (can_step())
        step_through((uintptr_t)vmi_rdmsr(MSR_LSTAR), true);
}

/* A process steps itself through system calls of both ways: each step is its own. */
static void stepped_process(void)
{
    struct process ended = {0};

    steps.begin = 0;
    steps.kernel = steps.user = steps.wrong = 0;
    steps.with_nmi = false;
    trap_handler *debug = trap_handler_set(TRAP_DEBUG, step);
    bool done = run_here(&user_stepped, 0, &ended);
    trap_handler_set(TRAP_DEBUG, debug);
    EXPECT(done);
    EXPECT_EQUAL(ended.end, PROCESS_EXITED);
    EXPECT_EQUAL(ended.status, 0);
    EXPECT_EQUAL(steps.kernel, 0);
    EXPECT_EQUAL(steps.wrong, 0);
    EXPECT(steps.user >= PROGRAM_STEPS);
}

/* Nobody handles it: it ends the process, and neither the kernel nor the CPU. */
static void step_unhandled(void)
{
    struct process ended = {0};

    EXPECT(run_here(&user_stepped, 0, &ended));
    EXPECT_EQUAL(ended.end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended.fault_vector, TRAP_DEBUG);
}

const struct check checks_entries[] = {
    {"entries.two_ways", two_ways},
    {"entries.fs_base", fs_base},
    {"entries.bases", bases},
    {"entries.vectors", vectors},
    {"entries.compatibility_mode", compatibility_mode},
    {"entries.end_of_lower_half", end_of_lower_half},
    {"entries.spoiled_frames", spoiled_frames},
    {"entries.own_stacks", own_stacks},
    {"entries.nmi_stack", nmi_stack},
    {"entries.machine_check_stack", machine_check_stack},
    {"entries.double_fault_stack", double_fault_stack},
    {"entries.stepped_system_call", stepped_system_call},
    {"entries.stepped_trap", stepped_trap},
    {"entries.stepped_with_nmi", stepped_with_nmi},
    {"entries.stepped_process", stepped_process},
    {"entries.step_unhandled", step_unhandled},
    {NULL, NULL},
};

/* ---- from another CPU, at any instruction ---- */

#define FLOOD 40 /* NMIs that have to arrive */

static volatile uint32_t flood_over;
static volatile uint32_t from_user;

static void note_flood(struct trap_frame *frame)
{
    look_around(frame);
    from_user += trap_from_user(frame);
}

/* On the second CPU: one after the other has arrived. */
static void flood(void *argument)
{
    (void)argument;
    while (!flood_over) {
        uint32_t before = arrived;
        send_nmi(0);
        while (arrived == before && !flood_over)
            relax();
    }
}

/* NMIs by the dozen while processes go in and out by both ways. */
static void nmi_flood(void)
{
    NEEDS_RING_0();
    NEEDS(APIC_WRITE);
    if (!(smp_online() & 2)) {
        ktap_skip("one CPU");
        return;
    }
    trap_handler *previous = trap_handler_set(TRAP_NMI, note_flood);
    arrived = strayed = flood_over = from_user = 0;
    struct thread *other = thread_create("flood", flood, NULL, 2);
    bool passed = other != NULL;
    struct patience patience;
    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (passed && arrived < FLOOD && patience_left(&patience)) {
        struct process ended = {0};
        passed = run_here(&user_ways, misleading_base(), &ended) && ended.end == PROCESS_EXITED &&
                 ended.status == 0;
    }
    flood_over = 1;
    if (other != NULL)
        thread_join(other);
    spin_milliseconds(1); /* the last one */
    trap_handler_set(TRAP_NMI, previous);
    print("# NMIs: %u, %u of them from ring 3\n", arrived, from_user);
    EXPECT(passed);
    EXPECT(arrived >= FLOOD);
    EXPECT_EQUAL(strayed, 0);
}

const struct check checks_entries_cpus[] = {
    {"entries.nmi_flood", nmi_flood},
    {NULL, NULL},
};
