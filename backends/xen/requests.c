/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Whom requests from outside (../xen_common/requests.c) are told to.
 */
#include "traps.h"

bool vmi__xen_requests_known;

/* The kernel has to have asked to be told. */
bool vmi__xen_common_suspends(void)
{
    return vmi__xen_requests.vector;
}

void vmi__xen_requests_came(struct vmi__xen_cpu *cpu)
{
    while (__atomic_exchange_n(&vmi__xen_common_store_told, 0, __ATOMIC_SEQ_CST)) {
        if (vmi__xen_balloon.vector)
            vmi__xen_raise_line(&vmi__xen_balloon, cpu);
        if (vmi__xen_requests.vector)
            vmi__xen_raise_line(&vmi__xen_requests, cpu);
        else
            vmi__xen_common_requests_default();
    }
}

void vmi__xen_requests_start(void)
{
    vmi__xen_requests_known = vmi__xen_common_requests_start() && vmi__xen_store_let_in();
}
