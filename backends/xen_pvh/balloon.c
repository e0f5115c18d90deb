/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the balloon's driver (../xen_common/balloon.c) asks for. A frame that is away is none of the
 * domain's: an access is nobody's. Page tables are the kernel's own, so its mappings are for the
 * kernel to take away.
 *
 * A new target comes by xenstore's channel, whose event, if it is bound, is that of requests. So
 * the device has a channel to the domain itself, by whose other end the library passes it on.
 */
#include "pvh.h"

#include "xen_common/balloon.h"

#include <xen/memory.h>

static evtchn_port_t other_end; /* 0: the device is closed */
static bool passed_on;          /* since this was last asked */

/* By the toolstack's word: of its own map it is not known what lies in it for Xen's pages. */
uint64_t vmi__xen_common_balloon_frames(const struct vmi__xen_common_bus *bus)
{
    return vmi__xen_common_own(bus, "static-max", 0) >> VMI__XEN_COMMON_KIB_SHIFT;
}

bool vmi__xen_common_balloon_open(struct vmi__xen_common_bus *bus)
{
    struct evtchn_bind_interdomain bind = {.remote_dom = DOMID_SELF};

    other_end = 0;
    bus->peer = DOMID_SELF;
    bus->ports[0] = bind.remote_port = vmi__xen_common_channel(bus);
    if (!bind.remote_port || vmi__xen_pvh_hypercall_event_channel_op(
                                 EVTCHNOP_bind_interdomain, vmi__xen_pvh_argument(&bind)) < 0) {
        vmi__xen_common_close(&bus->ports[0]);
        return false;
    }
    vmi__xen_pvh_port_mask(bind.local_port);
    other_end = bind.local_port;
    return true;
}

void vmi__xen_common_balloon_close(struct vmi__xen_common_bus *bus)
{
    vmi__xen_common_close(&other_end);
    vmi__xen_common_close(&bus->ports[0]);
}

VMI__ADDRESS_TAKEN void vmi__xen_pvh_balloon_told(void)
{
    if (!other_end)
        return;
    __atomic_store_n(&passed_on, true, __ATOMIC_SEQ_CST);
    vmi__xen_common_notify(other_end);
}

bool vmi__xen_pvh_balloon_news(void)
{
    return __atomic_exchange_n(&passed_on, false, __ATOMIC_SEQ_CST);
}

/* How many of the frames Xen has moved, from the first on. */
static uint32_t change_reservation(uint32_t command, const uint32_t *frames, xen_pfn_t *list,
                                   uint32_t count)
{
    struct xen_memory_reservation reservation = {.nr_extents = count, .domid = DOMID_SELF};
    intptr_t done;

    for (uint32_t i = 0; i < count; i++)
        list[i] = frames[i];
    set_xen_guest_handle(reservation.extent_start, vmi__xen_pvh_argument(list));
    done = vmi__xen_pvh_hypercall_memory_op(command, vmi__xen_pvh_argument(&reservation));
    return done > 0 && done <= (intptr_t)count ? (uint32_t)done : 0;
}

int32_t vmi__xen_common_give_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    uint32_t done = change_reservation(XENMEM_decrease_reservation, frames, list, count);

    return done ? (int32_t)done : VMI_EIO;
}

int32_t vmi__xen_common_take_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    uint32_t done = change_reservation(XENMEM_populate_physmap, frames, list, count);

    return done ? (int32_t)done : VMI_ENOMEM;
}
