/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore's ring and channel, which the domain is given at its start.
 */
#include "channels.h"

static evtchn_port_t store_port;

VMI__ADDRESS_TAKEN void vmi__xen_common_store_notify(void)
{
    vmi__xen_port_notify(store_port);
}

VMI__ADDRESS_TAKEN void vmi__xen_common_store_clear(void)
{
    vmi__xen_port_clear(store_port);
}

VMI__ADDRESS_TAKEN void vmi__xen_common_store_wait(void)
{
    vmi__xen_port_wait(store_port);
}

void vmi__xen_common_store_mask(void)
{
    vmi__xen_port_mask(store_port);
}

void vmi__xen_common_store_unmask(void)
{
    vmi__xen_port_unmask(store_port);
}

void vmi__xen_common_store_announce(void)
{
    vmi__xen_port_pend(store_port);
}

void vmi__xen_store_start(void *page, evtchn_port_t port)
{
    store_port = port;
    vmi__xen_common_store_start(page);
}

bool vmi__xen_store_let_in(void)
{
    if (!vmi__xen_port_exists(store_port))
        return false;
    vmi__xen_port_set(store_port, VMI__XEN_PORT_STORE, 0, 0);
    vmi__xen_common_store_let_in(true);
    return true;
}
