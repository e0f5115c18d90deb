/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between events.S and C on i386: what the entry points leave on the stack.
 */
#ifndef VMI_XEN_ARCH_I386_FRAMES_H
#define VMI_XEN_ARCH_I386_FRAMES_H

#include "../../traps.h"

/* Room for where to go on, in front of the frame that Xen made. */
struct vmi__xen_frame {
    uint32_t target_ip, target_cs;
    uint32_t ip, cs, flags;
};

/* The same for a fault; until it is known where it goes to, the vector is in that place. */
struct vmi__xen_fault {
    uint32_t target_ip, target_cs;
    uint32_t error, ip, cs, flags;
};

/* Takes an upcall; not 0: on in the handler of the frame. */
VMI__ROUTINE uintptr_t vmi__xen_event(struct vmi__xen_frame *frame);

/*
 * On to the kernel's own handler of a fault that Xen has told the library; events are masked. They
 * stay so if the kernel's gate is an interrupt gate.
 */
VMI__ROUTINE uintptr_t vmi__xen_fault(struct vmi__xen_fault *fault);

/* On to the kernel's own handler of an NMI; 0 if there is none, and it is over. Events are masked.
 */
VMI__ROUTINE uintptr_t vmi__xen_nmi_came(struct vmi__xen_frame *frame);

static inline bool vmi__xen_in_kernel(const struct vmi__xen_frame *frame)
{
    return (frame->cs & 3) == vmi__boot.kernel_rpl;
}

/* Has the way back lead to a gate's handler. */
static inline uintptr_t vmi__xen_deliver(struct vmi__xen_frame *frame, const struct trap_info *gate)
{
    frame->target_ip = gate->address;
    frame->target_cs = gate->cs;
    return 1;
}

#endif
