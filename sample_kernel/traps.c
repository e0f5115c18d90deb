/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <stddef.h>
#include <vmi/vmi.h>

#include "attempt.h"
#include "panic.h"
#include "process.h"
#include "threads.h"
#include "traps.h"
#include "usermem.h"
#include "paging.h"

static trap_handler *handlers[TRAP_COUNT];

trap_handler *trap_handler_get(uint32_t vector)
{
    return handlers[vector];
}

trap_handler *trap_handler_set(uint32_t vector, trap_handler *handler)
{
    trap_handler *previous = handlers[vector];
    handlers[vector] = handler;
    return previous;
}

const char *trap_name(uint32_t vector)
{
    switch (vector) {
    case TRAP_DIVIDE:
        return "divide error";
    case TRAP_DEBUG:
        return "debug";
    case TRAP_INVALID_OPCODE:
        return "invalid opcode";
    case TRAP_NO_FPU:
        return "no FPU";
    case TRAP_DOUBLE_FAULT:
        return "double fault";
    case TRAP_INVALID_TSS:
        return "invalid TSS";
    case TRAP_NO_SEGMENT:
        return "segment not present";
    case TRAP_STACK:
        return "stack fault";
    case TRAP_PROTECTION:
        return "general protection";
    case TRAP_PAGE_FAULT:
        return "page fault";
    default:
        return vector < 32 ? "exception" : "interrupt";
    }
}

void trap_unhandled(struct trap_frame *frame, uintptr_t address)
{
    if (trap_from_user(frame))
        process_fault(frame, address);
    attempt_end(frame, address);
    panic_trap(frame, trap_name((uint32_t)frame->vector), address);
}

/* Demand-zero for the kernel's window, everything else below USER_END is the process's. */
static void page_fault(struct trap_frame *frame)
{
    /*
     * The next page fault, of an interrupt handler even, overwrites CR2: read it before interrupts
     * are let in.
     */
    uintptr_t address = vmi_get_cr2();
    uintptr_t mask = vmi_get_interrupt_mask();
    vmi_set_interrupt_mask(frame->flags);

    bool resolved = address < USER_END
                        ? usermem_fault(thread_current()->process, address, (uint32_t)frame->error)
                        : paging_kernel_fault(address, (uint32_t)frame->error);

    vmi_set_interrupt_mask(mask);
    if (!resolved)
        trap_unhandled(frame, address);
}

void FROM_ASSEMBLY trap_dispatch(struct trap_frame *frame)
{
    if (handlers[frame->vector] != NULL)
        handlers[frame->vector](frame);
    else
        trap_unhandled(frame, 0);

    if (trap_from_user(frame))
        process_leave_kernel(frame);
}

void traps_init(void)
{
    trap_handler_set(TRAP_PAGE_FAULT, page_fault);
}
