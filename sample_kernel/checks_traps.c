/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Exceptions of the kernel itself, which it survives. */
#include <stddef.h>

#include "attempt.h"
#include "checks.h"
#include "layout.h"
#include "traps.h"
#include "x86.h"

static void FROM_ASSEMBLY divide_by_zero(void *argument)
{
    uint32_t quotient;
    (void)argument;
    __asm__ volatile("divl %3" : "=a"(quotient) : "a"(1), "d"(0), "r"(0) : "cc");
}

static void divide_error(void)
{
    struct fault fault;

    EXPECT(!attempt(divide_by_zero, NULL, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_DIVIDE);
}

static void FROM_ASSEMBLY load_bad_selector(void *argument)
{
    (void)argument;
    __asm__ volatile("movl %0, %%fs" : : "r"(0xfff8));
}

static void protection_fault(void)
{
    struct fault fault;

    EXPECT(!attempt(load_bad_selector, NULL, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PROTECTION);
    EXPECT_EQUAL(fault.error & 0xfff8, 0xfff8);
}

static void page_fault_read(void)
{
    uint32_t value;
    struct fault fault;

    EXPECT(!attempt_read(WINDOWS_END + 0x123, &value, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.address, WINDOWS_END + 0x123);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_WRITE | FAULT_USER), 0);
}

static void page_fault_write(void)
{
    struct fault fault;

    EXPECT(!attempt_write(WINDOWS_END + 0x456, 1, &fault));
    EXPECT_EQUAL(fault.vector, TRAP_PAGE_FAULT);
    EXPECT_EQUAL(fault.address, WINDOWS_END + 0x456);
    EXPECT_EQUAL(fault.error & (FAULT_PRESENT | FAULT_WRITE | FAULT_USER), FAULT_WRITE);
}

/* The mask that the exception found is in force again after it. */
static void mask_kept(void)
{
    EXPECT(!attempt(divide_by_zero, NULL, NULL));
    EXPECT(vmi_get_interrupt_mask() & EFLAGS_IF);
    vmi_disable_interrupts();
    bool ended = !attempt(divide_by_zero, NULL, NULL);
    bool masked = !(vmi_get_interrupt_mask() & EFLAGS_IF);
    vmi_enable_interrupts();
    EXPECT(ended);
    EXPECT(masked);
}

const struct check checks_traps[] = {
    {"traps.divide_error", divide_error},
    {"traps.protection_fault", protection_fault},
    {"traps.page_fault_read", page_fault_read},
    {"traps.page_fault_write", page_fault_write},
    {"traps.mask_kept", mask_kept},
    {NULL, NULL},
};
