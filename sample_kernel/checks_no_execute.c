/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What may not be executed, and code that may not be written. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "descriptors.h"
#include "frames.h"
#include "layout.h"
#include "paging.h"
#include "process.h"
#include "programs.h"
#include "x86.h"

#define RETURN 0xc3 /* the instruction */

PROGRAM(jump);
PROGRAM(stack);

#define NEEDS_NO_EXECUTE()                                                                         \
    do {                                                                                           \
        if (pte_no_execute == 0) {                                                                 \
            ktap_skip("this processor has no NX");                                                 \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static FROM_ASSEMBLY void execute(void *argument)
{
    ((void (*)(void))argument)();
}

/* The fetch must fault, on a page that is there. */
static void expect_fetch_fault(const void *code)
{
    struct fault fault;

    EXPECT(!attempt(execute, (void *)(uintptr_t)code, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.address, (uintptr_t)code);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_FETCH | FAULT_USER | FAULT_WRITE),
                 FAULT_PRESENT | FAULT_FETCH);
}

static void kernel_data(void)
{
    static volatile uint8_t data[] = {RETURN};

    NEEDS_NO_EXECUTE();
    data[0] = RETURN;
    expect_fetch_fault((const void *)(uintptr_t)data);
}

static void kernel_constants(void)
{
    static const volatile uint8_t constants[] = {RETURN};

    NEEDS_NO_EXECUTE();
    expect_fetch_fault((const void *)(uintptr_t)constants);
}

static void kernel_stack(void)
{
    volatile uint8_t local[] = {RETURN};

    NEEDS_NO_EXECUTE();
    expect_fetch_fault((const void *)(uintptr_t)local);
}

/* By the map of all memory, also what is code by its other address. */
static void kernel_direct_map(void)
{
    uint32_t pfn = frame_allocate();

    NEEDS_NO_EXECUTE();
    EXPECT(pfn != FRAME_NONE);
    *(volatile uint8_t *)frame_address(pfn) = RETURN;
    expect_fetch_fault(frame_address(pfn));
    frame_release(pfn);
    /* The image may be mapped a second time. */
    const void *code = frame_address(frame_of((const void *)(uintptr_t)execute));
    if ((uintptr_t)code >> PAGE_SHIFT != (uintptr_t)execute >> PAGE_SHIFT)
        expect_fetch_fault(code);
}

/* Code and constants are written by none of their addresses. */
static void kernel_read_only(void)
{
    const void *const places[] = {(const void *)(uintptr_t)execute, checks_no_execute};
    struct fault fault;

    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uintptr_t address = (uintptr_t)places[i] & ~(uintptr_t)3;
        uintptr_t other =
            (uintptr_t)frame_address(frame_of((const void *)address)) + (address & (PAGE_SIZE - 1));

        /* What is there already, in case it can be written. */
        uint32_t value = *(const volatile uint32_t *)address;
        EXPECT(!attempt_write(address, value, &fault));
        EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
        EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_WRITE), FAULT_PRESENT | FAULT_WRITE);
        EXPECT(!attempt_write(other, value, &fault));
        EXPECT_EQUAL(fault.address, other);
    }
}

static void kernel_demand_zero(void)
{
    NEEDS_NO_EXECUTE();
    *(volatile uint8_t *)DEMAND_WINDOW = RETURN;
    expect_fetch_fault((const void *)DEMAND_WINDOW);
    paging_kernel_discard(DEMAND_WINDOW);
}

/* Ends a process by a fetch from where it may not, which happens on the first CPU. */
static void expect_process_fault(const struct program *program, uintptr_t argument,
                                 struct process *ended)
{
    struct process *process = process_create(program, argument);

    EXPECT(process != NULL);
    process_run(process);
    process_reap(process, ended);
    EXPECT_EQUAL(ended->end, PROCESS_FAULTED);
    EXPECT_EQUAL(ended->fault_vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(ended->fault_error & (FAULT_PRESENT | FAULT_FETCH | FAULT_USER),
                 FAULT_PRESENT | FAULT_FETCH | FAULT_USER);
}

static void process_data(void)
{
    struct process ended = {0};

    NEEDS_NO_EXECUTE();
    expect_process_fault(&user_jump, USER_DATA, &ended);
    EXPECT_EQUAL(ended.fault_address, USER_DATA);
}

static void process_stack(void)
{
    struct process ended = {0};

    NEEDS_NO_EXECUTE();
    expect_process_fault(&user_stack, 0, &ended);
    EXPECT_EQUAL(ended.fault_address, USER_STACK_TOP - 64);
}

const struct check checks_no_execute[] = {
    {"protection.kernel_data", kernel_data},
    {"protection.kernel_constants", kernel_constants},
    {"protection.kernel_stack", kernel_stack},
    {"protection.kernel_read_only", kernel_read_only},
    {"protection.kernel_direct_map", kernel_direct_map},
    {"protection.kernel_demand_zero", kernel_demand_zero},
    {"protection.process_data", process_data},
    {"protection.process_stack", process_stack},
    {NULL, NULL},
};
