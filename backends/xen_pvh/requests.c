/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside (../xen_common/requests.c). The event that tells of them is xenstore's
 * channel. All vectors are the kernel's, so no interrupt can tell the library where no kernel takes
 * requests: what xenstore has written is looked at when an alarm is set.
 */
#include "pvh.h"

#include "xen_common/requests.h"
#include "xen_common/store.h"

static bool known;     /* xenstore tells of requests */
static bool taken;     /* a kernel has bound their event */
static uint32_t noted; /* end of the words of xenstore that the kernel has been told of */

void (*vmi__xen_pvh_others_told)(void);

void vmi__xen_pvh_requests_start(void)
{
    known = vmi__xen_common_requests_start();
}

evtchn_port_t vmi__xen_pvh_requests_port(void)
{
    return known ? vmi__xen_pvh_store_port() : 0;
}

void vmi__xen_pvh_requests_take(bool takes)
{
    taken = takes;
    /* What such a kernel has left is the library's. */
    if (!takes)
        __atomic_store_n(&vmi__xen_common_store_told, 1, __ATOMIC_SEQ_CST);
}

bool vmi__xen_pvh_requests_news(void)
{
    uint32_t end = vmi__xen_common_store_end();

    return __atomic_exchange_n(&noted, end, __ATOMIC_SEQ_CST) != end;
}

void vmi__xen_pvh_requests_came(void)
{
    if (vmi__xen_pvh_others_told)
        vmi__xen_pvh_others_told();
}

/* The kernel has to have asked to be told. */
bool vmi__xen_common_suspends(void)
{
    return taken;
}

void vmi__native_requests_untaken(void)
{
    if (!known || taken)
        return;
    if (vmi__xen_pvh_requests_news())
        vmi__xen_common_store_look();
    if (!__atomic_exchange_n(&vmi__xen_common_store_told, 0, __ATOMIC_SEQ_CST))
        return;
    vmi__xen_pvh_requests_came();
    vmi__xen_common_requests_default();
}
