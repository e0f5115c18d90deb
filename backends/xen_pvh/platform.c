/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers of devices ask for (devices/platform.h, xen_common/xenbus.h), and their events: a
 * device's queue has a channel of its own, which is its driver's.
 */
#include "pvh.h"

#include "platform.h"
#include "xen_common/lock.h"
#include "xen_common/xenbus.h"

uint32_t vmi__platform_enter(volatile uint32_t *lock)
{
    return vmi__xen_common_enter(lock);
}

void vmi__platform_leave(volatile uint32_t *lock, uint32_t flags)
{
    vmi__xen_common_leave(lock, flags);
}

/* ---- events ---- */

void vmi__platform_unbind(uint32_t number)
{
    for (uint32_t queue = 0; queue < VMI__QUEUES_MAX; queue++)
        vmi__xen_pvh_event_unbind(vmi__xen_pvh_event_of(VMI_EVENT_DEVICE, number << 16 | queue));
}

static VMI__ADDRESS_TAKEN bool has_news(evtchn_port_t port)
{
    const struct vmi__device *device;

    for (uint32_t i = 0; (device = vmi__device_by_number(i)); i++)
        if (device->info.kind == VMI_DEVICE_BALLOON &&
            vmi__xen_common_bus_of((struct vmi__device *)(uintptr_t)device)->ports[0] == port)
            return vmi__xen_pvh_balloon_news();
    return vmi__xen_common_port_has_news(port);
}

static VMI__ADDRESS_TAKEN void come_again(void)
{
    vmi__devices_come_again();
}

static const struct vmi__xen_pvh_device_events events = {
    .port = vmi__xen_common_port_of_event,
    .news = has_news,
    .come_again = come_again,
};

void vmi__platform_init(void)
{
    vmi__xen_pvh_device_events = &events;
    vmi__xen_pvh_others_told = vmi__xen_pvh_balloon_told;
}

/* ---- what front ends ask for ---- */

intptr_t vmi__xen_common_event_op(uint32_t command, void *argument)
{
    return vmi__xen_pvh_hypercall_event_channel_op(command, vmi__xen_pvh_argument(argument));
}

void vmi__xen_common_port_mask(evtchn_port_t port)
{
    vmi__xen_pvh_port_mask(port);
}

void vmi__xen_common_wait(void)
{
    vmi__xen_pvh_wait(0);
}
