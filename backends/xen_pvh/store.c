/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore's ring and channel, which are parameters of the domain (xen/hvm/params.h).
 */
#include "pvh.h"

#include "xen_common/lock.h"
#include "xen_common/store.h"

#include <xen/hvm/params.h>

static evtchn_port_t port;

uint32_t vmi__xen_common_enter(volatile uint32_t *lock)
{
    return vmi__lock((struct vmi__lock *)(uintptr_t)lock);
}

void vmi__xen_common_leave(volatile uint32_t *lock, uint32_t flags)
{
    vmi__unlock((struct vmi__lock *)(uintptr_t)lock, flags);
}

VMI__ADDRESS_TAKEN void vmi__xen_common_store_notify(void)
{
    vmi__xen_pvh_on_port(EVTCHNOP_send, port);
}

VMI__ADDRESS_TAKEN void vmi__xen_common_store_clear(void)
{
    vmi__xen_pvh_port_clear(port);
}

VMI__ADDRESS_TAKEN void vmi__xen_common_store_wait(void)
{
    vmi__xen_pvh_wait(port);
}

void vmi__xen_common_store_mask(void)
{
    vmi__xen_pvh_port_mask(port);
}

void vmi__xen_common_store_unmask(void)
{
    vmi__xen_pvh_on_port(EVTCHNOP_unmask, port);
}

/* By its event the kernel is told, so nobody else need be. */
void vmi__xen_common_store_announce(void)
{
    __atomic_store_n(&vmi__xen_common_store_told, 0, __ATOMIC_SEQ_CST);
    vmi__xen_pvh_port_pend(port);
}

VMI__RUN_ONCE void vmi__xen_pvh_store_start(void)
{
    port = (evtchn_port_t)vmi__xen_pvh_parameter(HVM_PARAM_STORE_EVTCHN);
    if (!port)
        return;
    vmi__xen_pvh_port_mask(port);
    vmi__xen_common_store_start(
        vmi__xen_pvh_map(VMI__XEN_PVH_STORE_SLOT, vmi__xen_pvh_parameter(HVM_PARAM_STORE_PFN)));
}

evtchn_port_t vmi__xen_pvh_store_port(void)
{
    return port;
}
