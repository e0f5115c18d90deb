/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between events.S and C on x86-64: what the entry points leave on the stack.
 */
#ifndef VMI_XEN_ARCH_X86_64_FRAMES_H
#define VMI_XEN_ARCH_X86_64_FRAMES_H

#include "../../traps.h"

/* The registers that C may destroy, rcx and r11 as Xen has put them there, and Xen's frame. */
struct vmi__xen_frame {
    uint64_t saved[7], rcx, r11;
    uint64_t ip, cs, flags, sp, ss;
};

/* Takes an upcall; not 0: on in this handler. */
VMI__ROUTINE uintptr_t vmi__xen_event(struct vmi__xen_frame *frame);

/* In a frame of Xen's the kernel has RPL 0 (xen/arch-x86/xen-x86_64.h, iret). */
static inline bool vmi__xen_in_kernel(const struct vmi__xen_frame *frame)
{
    return !(frame->cs & 3);
}

/* Has the way back lead to a gate's handler. */
static inline uintptr_t vmi__xen_deliver(struct vmi__xen_frame *frame, const struct trap_info *gate)
{
    (void)frame;
    return gate->address;
}

#endif
