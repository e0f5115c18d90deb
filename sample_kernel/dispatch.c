/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "dispatch.h"

#include <stddef.h>
#include <vmi/vmi.h>

#include "attempt.h"
#include "current.h"
#include "layout.h"
#include "paging.h"
#include "panic.h"
#include "process.h"
#include "traps.h"
#include "usermem.h"

/*
 * For an exception that is no handler's business: ends the attempt, the process or the kernel that
 * raised it (in this order of preference). Returns only by way of the first two.
 */
static void unhandled(struct trap_frame *frame, uintptr_t address)
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

    struct process *process = thread_current()->process;
    bool resolved;
    if (address >= USER_END)
        resolved = paging_kernel_fault(address, (uint32_t)frame->error);
    else
        resolved = process != NULL && usermem_fault(&process->aspace, process->program, address,
                                                    (uint32_t)frame->error);

    vmi_set_interrupt_mask(mask);
    if (!resolved)
        unhandled(frame, address);
}

void FROM_ASSEMBLY trap_dispatch(struct trap_frame *frame)
{
    trap_handler *handler = trap_handler_get((uint32_t)frame->vector);

    if (handler != NULL)
        handler(frame);
    else
        unhandled(frame, 0);

    if (trap_from_user(frame))
        process_leave_kernel(frame);
}

#ifdef __x86_64__
/* For what came on a stack of its own, where no thread is to be found: nobody survives it. */
void trap_dispatch_anywhere(struct trap_frame *frame)
{
    trap_handler *handler = trap_handler_get((uint32_t)frame->vector);

    if (handler != NULL)
        handler(frame);
    else
        panic_trap(frame, trap_name((uint32_t)frame->vector), 0);
}
#endif

void dispatch_init(void)
{
    trap_handler_set(TRAP_PAGE_FAULT, page_fault);
}
