/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Identification, control and debug registers, floating point, counters. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "fpu.h"
#include "lock.h"
#include "paging.h"
#include "print.h"
#include "string.h"
#include "threads.h"
#include "traps.h"
#include "x86.h"

#define MSR_EFER 0xc0000080

static void identification(void)
{
    uint32_t highest, ignored;
    char vendor[13] = "";

    NEEDS(CPUID);
    vmi_cpuid(0, 0, &highest, (uint32_t *)(void *)&vendor[0], (uint32_t *)(void *)&vendor[8],
              (uint32_t *)(void *)&vendor[4]);
    EXPECT(highest >= 1);
    print("# cpu %s\n", vendor);

    uint32_t features;
    vmi_cpuid(1, 0, &ignored, &ignored, &ignored, &features);
    EXPECT(features & 1u << 6); /* PAE, with which this kernel runs */
}

static void control_registers(void)
{
    EXPECT((vmi_get_cr0() & (CR0_PG | CR0_WP | CR0_PE)) == (CR0_PG | CR0_WP | CR0_PE));
    EXPECT(vmi_get_cr4() & CR4_PAE);
    EXPECT_EQUAL(vmi_get_cr3() & ~0x1fu, aspace_cr3(&kernel_aspace));
}

static void set_cr4(void)
{
    NEEDS(SET_CR4);
    uintptr_t value = vmi_get_cr4();
    vmi_set_cr4(value);
    EXPECT_EQUAL(vmi_get_cr4(), value);
}

static void set_cr2(void)
{
    NEEDS(SET_CR2);
    uint32_t flags = interrupts_mask(); /* no page fault comes between */
    vmi_set_cr2(0x12345678);
    uintptr_t found = vmi_get_cr2();
    interrupts_restore(flags);
    EXPECT_EQUAL(found, 0x12345678);
}

static volatile uint32_t fpu_traps;
static trap_handler *fpu_handler;

static void count_fpu_trap(struct trap_frame *frame)
{
    fpu_traps++;
    fpu_handler(frame);
}

/* The first floating-point instruction after TS was set traps, the next one does not. */
static void task_switched(void)
{
    fpu_handler = trap_handler_set(TRAP_NO_FPU, count_fpu_trap);
    uint32_t flags = interrupts_mask();
    fpu_leave(&thread_current()->fpu);
    vmi_set_cr0(vmi_get_cr0() | CR0_TS);
    bool set = vmi_get_cr0() & CR0_TS;
    fpu_push(42);
    uint32_t after_first = fpu_traps;
    int32_t value = fpu_top();
    fpu_pop();
    uint32_t after_last = fpu_traps;
    bool clear = !(vmi_get_cr0() & CR0_TS);
    interrupts_restore(flags);
    trap_handler_set(TRAP_NO_FPU, fpu_handler);

    EXPECT(set);
    EXPECT_EQUAL(after_first, 1);
    EXPECT_EQUAL(after_last, 1);
    EXPECT(clear);
    EXPECT_EQUAL(value, 42);
}

static void debug_registers(void)
{
    NEEDS(SET_DR);
    NEEDS(GET_DR);
    for (uint32_t i = 0; i < 4; i++)
        vmi_set_dr(i, (uintptr_t)&fpu_traps + 4 * i);
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQUAL(vmi_get_dr(i), (uintptr_t)&fpu_traps + 4 * i);
    for (uint32_t i = 0; i < 4; i++)
        vmi_set_dr(i, 0);
}

static volatile uint32_t watched, watch_hits, watch_status;

static void note_debug_trap(struct trap_frame *frame)
{
    (void)frame;
    watch_hits++;
    watch_status = (uint32_t)vmi_get_dr(6);
    vmi_set_dr(6, 0);
}

static void watchpoint(void)
{
    NEEDS(SET_DR);
    NEEDS(GET_DR);
    trap_handler *previous = trap_handler_set(TRAP_DEBUG, note_debug_trap);
    vmi_set_dr(0, (uintptr_t)&watched);
    vmi_set_dr(7, DR7_LOCAL0 | DR7_WRITE0 | DR7_LENGTH40);
    watched = 1;
    uint32_t hits = watch_hits;
    vmi_set_dr(7, 0);
    vmi_set_dr(0, 0);
    watched = 2;
    trap_handler_set(TRAP_DEBUG, previous);

    EXPECT_EQUAL(hits, 1);
    EXPECT_EQUAL(watch_hits, 1);
    EXPECT(watch_status & DR6_HIT0);
}

static void FROM_ASSEMBLY read_efer(void *argument)
{
    *(uint64_t *)argument = vmi_rdmsr(MSR_EFER);
}

static void model_specific_registers(void)
{
    uint64_t value;
    struct fault fault;

    NEEDS(RDMSR);
    if (!attempt(read_efer, &value, &fault)) {
        EXPECT_EQUAL(fault.vector, TRAP_PROTECTION);
        ktap_skip("this processor has no EFER");
    }
}

static void FROM_ASSEMBLY read_performance_counter(void *argument)
{
    *(uint64_t *)argument = vmi_rdpmc(0);
}

static void performance_counter(void)
{
    uint64_t value;

    NEEDS(RDPMC);
    if (!attempt(read_performance_counter, &value, NULL))
        ktap_skip("this processor has no performance counter");
}

static void caches(void)
{
    static volatile uint32_t word;

    NEEDS(WBINVD);
    word = 0x5a5a5a5a;
    vmi_wbinvd();
    EXPECT_EQUAL(word, 0x5a5a5a5a);
}

const struct check checks_processor[] = {
    {"processor.identification", identification},
    {"processor.control_registers", control_registers},
    {"processor.set_cr4", set_cr4},
    {"processor.set_cr2", set_cr2},
    {"processor.task_switched", task_switched},
    {"processor.debug_registers", debug_registers},
    {"processor.watchpoint", watchpoint},
    {"processor.model_specific_registers", model_specific_registers},
    {"processor.performance_counter", performance_counter},
    {"processor.caches", caches},
    {NULL, NULL},
};
