/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "frames.h"

#include "gates.h"

VMI__ROUTINE uintptr_t vmi__xen_fault(struct vmi__xen_fault *fault)
{
    const struct trap_info *gate = &vmi__xen_self()->arch.gate[fault->target_ip & 0xff];

    if (!gate->address)
        vmi__xen_crash(VMI_ORDINAL_SET_IDT, fault->ip, fault->error, VMI_ENOENT);
    fault->target_ip = gate->address;
    fault->target_cs = gate->cs;
    if (!TI_GET_IF(gate) && fault->flags & VMI__EFLAGS_IF)
        vmi__xen_enable_interrupts();
    return 1;
}

VMI__ROUTINE uintptr_t vmi__xen_nmi_came(struct vmi__xen_frame *frame)
{
    const struct trap_info *gate = &vmi__xen_self()->arch.gate[VECTOR_NMI];

    return gate->address ? vmi__xen_deliver(frame, gate) : 0;
}
