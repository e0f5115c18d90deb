/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What calls cost. The time-stamp counter is the measure: under QEMU's `-icount shift=0` it counts
 * instructions, the same in each run; elsewhere it counts cycles, and only ratios mean something.
 */
#undef VMI_COUNT_CALLS /* the counting would be part of the cost */
#include <stdbool.h>
#include <stddef.h>
#include <vmi/vmi.h>

#include "bench.h"
#include "bench_one.h"
#include "bench_workloads.h"
#include "cpu_start.h"
#include "cpus.h"
#include "descriptors.h"
#include "divide.h"
#include "frames.h"
#include "ktap.h"
#include "layout.h"
#include "lock.h"
#include "paging.h"
#include "panic.h"
#include "print.h"
#include "report.h"
#include "smp.h"
#include "string.h"
#include "threads.h"
#include "timer.h"
#include "traps.h"
#include "x86.h"

#define ROUNDS 1000

static uint64_t empty_loop;

/* Time-stamp ticks of ROUNDS times a statement. The counter stays in a register that calls keep. */
#define MEASURE(statement)                                                                         \
    ({                                                                                             \
        uint64_t start_ = vmi_rdtsc();                                                             \
        for (uint32_t round_ = ROUNDS; round_ != 0; round_--) {                                    \
            __asm__ volatile("" : "+S"(round_));                                                   \
            statement;                                                                             \
        }                                                                                          \
        vmi_rdtsc() - start_;                                                                      \
    })

static void show(const char *name, uint64_t ticks)
{
    uint32_t hundredths, rest;
    uint64_t net = ticks > empty_loop ? ticks - empty_loop : 0;
    uint64_t per_call = divide_u64(net * 100 + ROUNDS / 2, ROUNDS, &rest);
    per_call = divide_u64(per_call, 100, &hundredths);
    print("# bench %s %llu.%02u\n", name, WIDE(per_call), hundredths);
}

/* One call with its arguments in place, as the compiler emits it; unsupported ones are left out. */
#define BENCH(CALL, name, statement)                                                               \
    do {                                                                                           \
        if (call_unsupported(VMI_ORDINAL_##CALL) == NULL)                                          \
            show(name, MEASURE(statement));                                                        \
    } while (0)

static void bench_calls(void)
{
    struct vmi_dtr dtr, gdt = descriptors_gdt(), idt = descriptors_idt();
    uintptr_t cr0 = vmi_get_cr0(), cr3 = vmi_get_cr3(), cr4 = vmi_get_cr4();
    /* The words of an entry, which is written as it is. */
    const uintptr_t *gate = (const uintptr_t *)idt.base + 2 * VECTOR_CHECK;
    uint32_t a, b, c, d;
    uint32_t pfn = frame_allocate_zeroed();

    if (pfn == FRAME_NONE)
        panic("no memory");
    window_map(MAP_WINDOW, pfn, WINDOW_PAGE);
    uint64_t *entry = aspace_entry(&kernel_aspace, MAP_WINDOW, false);
    uint64_t value = pte_value(pfn, WINDOW_PAGE), machine = vmi_physical_to_machine(value);

    /* Interrupts stay masked, so that nothing else is counted. */
    vmi_disable_interrupts();
    empty_loop = MEASURE((void)0);

    BENCH(CPUID, "CPUID", vmi_cpuid(0, 0, &a, &b, &c, &d));
    BENCH(SET_GDT, "SetGDT", vmi_set_gdt(&gdt));
    BENCH(SET_IDT, "SetIDT", vmi_set_idt(&idt));
    BENCH(GET_GDT, "GetGDT", vmi_get_gdt(&dtr));
    BENCH(GET_IDT, "GetIDT", vmi_get_idt(&dtr));
    BENCH(GET_TR, "GetTR", vmi_get_tr());
#ifdef __x86_64__
    BENCH(WRITE_GDT_ENTRY, "WriteGDTEntry", vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, 0));
    BENCH(UPDATE_KERNEL_STACK, "UpdateKernelStack",
          vmi_update_kernel_stack(thread_stack_top(thread_current())));
#else
    BENCH(SET_LDT, "SetLDT", vmi_set_ldt(0));
    BENCH(GET_LDT, "GetLDT", vmi_get_ldt());
    BENCH(WRITE_GDT_ENTRY, "WriteGDTEntry",
          vmi_write_gdt_entry((void *)gdt.base, GDT_SCRATCH, 0, 0));
    BENCH(UPDATE_KERNEL_STACK, "UpdateKernelStack",
          vmi_update_kernel_stack(kernel_ss(), thread_stack_top(thread_current())));
#endif
    BENCH(WRITE_IDT_ENTRY, "WriteIDTEntry",
          vmi_write_idt_entry((void *)idt.base, VECTOR_CHECK, gate[0], gate[1]));
#ifdef __x86_64__
    BENCH(SET_FS_BASE, "SetFSBase", vmi_set_fs_base(0));
    BENCH(GET_FS_BASE, "GetFSBase", vmi_get_fs_base());
    BENCH(GET_GS_BASE, "GetGSBase", vmi_get_gs_base());
    BENCH(SET_USER_GS_BASE, "SetUserGSBase", vmi_set_user_gs_base(0));
    BENCH(GET_USER_GS_BASE, "GetUserGSBase", vmi_get_user_gs_base());
#endif
    BENCH(SET_CR0, "SetCR0", vmi_set_cr0(cr0));
    BENCH(GET_CR0, "GetCR0", vmi_get_cr0());
    BENCH(CLTS, "CLTS", vmi_clts());
    vmi_set_cr0(cr0);
    BENCH(GET_CR2, "GetCR2", vmi_get_cr2());
#ifdef __x86_64__
    BENCH(SET_CR3, "SetCR3", vmi_set_cr3(cr3, 0));
#else
    BENCH(SET_CR3, "SetCR3", vmi_set_cr3(cr3));
#endif
    BENCH(GET_CR3, "GetCR3", vmi_get_cr3());
    BENCH(SET_CR4, "SetCR4", vmi_set_cr4(cr4));
    BENCH(GET_CR4, "GetCR4", vmi_get_cr4());
    BENCH(SET_DR, "SetDR", vmi_set_dr(0, 0));
    BENCH(GET_DR, "GetDR", vmi_get_dr(0));
    BENCH(RDTSC, "RDTSC", vmi_rdtsc());
    BENCH(DISABLE_INTERRUPTS, "DisableInterrupts", vmi_disable_interrupts());
    BENCH(GET_INTERRUPT_MASK, "GetInterruptMask", vmi_get_interrupt_mask());
    BENCH(SET_INTERRUPT_MASK, "SetInterruptMask", vmi_set_interrupt_mask(0));
    BENCH(SET_PXE_LONG, "SetPxELong",
          entry_write(entry, value, VMI_PAGE_PT | VMI_PXE_CURRENT_AS | MAP_WINDOW));
    BENCH(MACHINE_TO_PHYSICAL, "MachineToPhysical", vmi_machine_to_physical(machine));
    BENCH(PHYSICAL_TO_MACHINE, "PhysicalToMachine", vmi_physical_to_machine(value));
    BENCH(INVAL_PAGE, "InvalPage", vmi_inval_page(MAP_WINDOW));
    BENCH(FLUSH_TLB, "FlushTLB", vmi_flush_tlb(VMI_FLUSH_TLB));
    BENCH(SET_LAZY_MODE, "SetLazyMode", vmi_set_lazy_mode(VMI_LAZY_NONE));
    BENCH(APIC_READ, "APICRead", vmi_apic_read(VMI_APIC_LVTT));
    BENCH(APIC_WRITE, "APICWrite", vmi_apic_write(VMI_APIC_LVTT, VECTOR_ALARM));
    BENCH(IO_DELAY, "IODelay", vmi_io_delay());
    BENCH(GET_CYCLE_COUNTER, "GetCycleCounter", vmi_get_cycle_counter(VMI_CYCLES_REAL));
    BENCH(CLOCK_NANOSECONDS, "ClockNanoseconds", vmi_clock_nanoseconds());
    BENCH(CURRENT_CPU, "CurrentCPU", vmi_current_cpu());
    BENCH(YIELD, "Yield", vmi_yield());
    BENCH(STEAL_TIME, "StealTime", vmi_steal_time());
}

/*
 * Interrupts and their effect, far and near, from the request to the moment that the asker sees it.
 */

#define INTERRUPT_ROUNDS 100

static volatile uint32_t answered, halting, woken, kick_stop;

static void answer(struct trap_frame *frame)
{
    __atomic_add_fetch(&answered, 1, __ATOMIC_RELAXED);
    vmi_end_of_interrupt(frame->vector);
}

static void show_rounds(const char *name, uint64_t ticks)
{
    uint32_t rest;
    print("# bench %s rounds=%u ticks_per_round=%llu\n", name, INTERRUPT_ROUNDS,
          WIDE(divide_u64(ticks, INTERRUPT_ROUNDS, &rest)));
}

/* An interrupt to a set of CPUs, until all of them have answered. */
static void bench_ipi(const char *name, uint32_t cpus)
{
    uint64_t start = vmi_rdtsc();
    for (uint32_t round = 0; round < INTERRUPT_ROUNDS; round++) {
        answered = 0;
        if (cpus_interrupt(cpus, VECTOR_CHECK) != VMI_OK)
            return;
        while (answered < smp_set_size(cpus))
            __asm__ volatile("pause");
    }
    show_rounds(name, vmi_rdtsc() - start);
}

static void halt_again_and_again(void *argument)
{
    (void)argument;
    timer_cancel();
    while (!kick_stop) {
        vmi_disable_interrupts();
        halting = 1;
        vmi_halt();
        halting = 0;
        woken = 1;
    }
    timer_init_cpu();
}

/* From the kick of a CPU that is on its way into its halt, or in it, until it runs again. */
static void bench_kick(void)
{
    struct thread *thread = thread_create("halt", halt_again_and_again, NULL, 2);
    if (thread == NULL)
        panic("no memory");
    uint64_t ticks = 0;
    for (uint32_t round = 0; round < INTERRUPT_ROUNDS; round++) {
        while (!halting)
            __asm__ volatile("pause");
        spin_milliseconds(1);
        woken = 0;
        kick_stop = round == INTERRUPT_ROUNDS - 1;
        uint64_t start = vmi_rdtsc();
        /* One that came before the halt is lost: it is given again. */
        while (!woken) {
            uint64_t patience = vmi_clock_nanoseconds() + 20000000;
            smp_kick(1);
            while (!woken && vmi_clock_nanoseconds() < patience)
                __asm__ volatile("pause");
        }
        ticks += vmi_rdtsc() - start;
    }
    thread_join(thread);
    show_rounds("kick", ticks);
}

static void bench_interrupts(void)
{
    trap_handler_set(VECTOR_CHECK, answer);
    bench_ipi("ipi_self", 1);
    for (uint32_t cpu = 1; cpu < smp_cpu_count(); cpu++)
        if (cpu_start(cpu) != VMI_OK)
            panic("CPU %u does not start", cpu);
    if (smp_cpu_count() == 1)
        return;
    bench_ipi("ipi_one", 2);
    bench_ipi("ipi_others", smp_online() & ~1u);
    bench_kick();
}

/* Maps all pages of the window, each to the same frame: what is measured is the mapping. */
static void map_window(const char *name, uint32_t mode, uint32_t pfn)
{
    uint64_t calls = hypercalls_made(), start = vmi_rdtsc();
    uint32_t rest;

    vmi_set_lazy_mode(mode);
    for (uintptr_t page = 0; page < MAP_WINDOW_PAGES; page++)
        window_map(MAP_WINDOW + (page << PAGE_SHIFT), pfn, WINDOW_PAGE);
    vmi_set_lazy_mode(VMI_LAZY_NONE);

    uint64_t ticks = vmi_rdtsc() - start;
    calls = hypercalls_made() - calls;
    print("# bench %s pages=%u hypercalls=%llu ticks_per_page=%llu\n", name, MAP_WINDOW_PAGES,
          WIDE(calls), WIDE(divide_u64(ticks, MAP_WINDOW_PAGES, &rest)));
    for (uintptr_t page = 0; page < MAP_WINDOW_PAGES; page++)
        window_map(MAP_WINDOW + (page << PAGE_SHIFT), 0, 0);
    vmi_flush_tlb(VMI_FLUSH_TLB);
}

static void bench_map(void)
{
    uint32_t pfn = frame_allocate_zeroed();

    if (pfn == FRAME_NONE)
        panic("no memory");
    vmi_disable_interrupts();
    map_window("map_lazy", VMI_LAZY_MMU, pfn);
    map_window("map_eager", VMI_LAZY_NONE, pfn);
}

/*
 * bench_entry.S; null in kernels that are not built to be measured. What binding took is at
 * bench_bind_ticks, in a kernel that binds itself when it starts; it holds null in others.
 */
extern const volatile uint64_t bench_entered __attribute__((weak));
extern const volatile uint64_t *const bench_bind_ticks __attribute__((weak));

/* From the loader's jump to the moment that the kernel has its parts up and would say so. */
static void bench_boot(void)
{
    uint64_t now = vmi_rdtsc();

    if (&bench_entered == NULL || bench_entered == 0)
        panic("bench=boot is for kernels bench-NAME.elf, entered by a loader of PCs");
    if (bench_bind_ticks != NULL && *bench_bind_ticks != 0)
        print("# bench bind rounds=1 ticks=%llu ticks_per_round=%llu.00\n", WIDE(*bench_bind_ticks),
              WIDE(*bench_bind_ticks));
    print("# bench boot rounds=1 ticks=%llu ticks_per_round=%llu.00\n", WIDE(now - bench_entered),
          WIDE(now - bench_entered));
}

void bench(const char *word)
{
    if (string_equal(word, "calls", sizeof("calls")))
        bench_calls();
    else if (string_equal(word, "workloads", sizeof("workloads")))
        bench_workloads();
    else if (string_equal(word, "map", sizeof("map")))
        bench_map();
    else if (string_equal(word, "interrupts", sizeof("interrupts")))
        bench_interrupts();
    else if (string_equal(word, "boot", sizeof("boot")))
        bench_boot();
    else if (string_equal(word, "one", sizeof("one")))
        bench_one();
    else
        panic("unknown option bench=%s", word);
    vmi_shutdown_reason(VMI_SHUTDOWN_POWEROFF, VMI_STATUS_PASS);
}
