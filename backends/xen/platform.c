/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers of devices ask for (devices/platform.h, xen_common/xenbus.h), and their events: a
 * device's queue has a channel of its own, which is its driver's.
 */
#include "traps.h"

#include "platform.h"
#include "xen_common/lock.h"
#include "xen_common/xenbus.h"

#define WAIT_NANOSECONDS 10000000

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
    struct vmi__device *device = vmi__device_by_number(number);

    for (uint32_t queue = 0; queue < VMI__QUEUES_MAX; queue++) {
        evtchn_port_t port = vmi__xen_common_bus_of(device)->ports[queue];

        if (port && vmi__xen_port_of(port).kind == VMI__XEN_PORT_BOUND)
            vmi__xen_event_unbind(port);
    }
    if (device->info.kind == VMI_DEVICE_BALLOON && vmi__xen_balloon.vector)
        vmi__xen_event_unbind(VMI__XEN_EVENT_BALLOON);
}

static VMI__ADDRESS_TAKEN bool is_balloon(uint32_t number)
{
    uint32_t queue;
    const struct vmi__device *device = vmi__device_of_event(number, &queue);

    return device && device->info.kind == VMI_DEVICE_BALLOON;
}

static VMI__ADDRESS_TAKEN evtchn_port_t channel(uint32_t number)
{
    struct vmi__device *device = vmi__device_by_number(number >> 16);
    uint32_t queue = number & 0xffff;

    return device && queue < VMI__QUEUES_MAX ? vmi__xen_common_bus_of(device)->ports[queue] : 0;
}

static struct vmi__xen_left_port left[VMI__DEVICES_MAX][VMI__QUEUES_MAX];

static VMI__ADDRESS_TAKEN void leave(void)
{
    struct vmi__device *device;

    for (uint32_t i = 0; (device = vmi__device_by_number(i)); i++)
        for (uint32_t queue = 0; queue < VMI__QUEUES_MAX; queue++)
            vmi__xen_port_leave(vmi__xen_common_bus_of(device)->ports[queue], &left[i][queue]);
}

/* A device that came again has other channels, whose events are the ones that it had. */
static VMI__ADDRESS_TAKEN void come_again(bool restored)
{
    struct vmi__device *device;

    if (restored)
        vmi__devices_come_again();
    for (uint32_t i = 0; (device = vmi__device_by_number(i)); i++)
        for (uint32_t queue = 0; queue < VMI__QUEUES_MAX; queue++)
            vmi__xen_port_return(vmi__xen_common_bus_of(device)->ports[queue], &left[i][queue],
                                 restored);
}

static const struct vmi__xen_device_events events = {
    .port = vmi__xen_common_port_of_event,
    .channel = channel,
    .owns = vmi__xen_common_owns_port,
    .leave = leave,
    .come_again = come_again,
    .is_balloon = is_balloon,
};

void vmi__platform_init(void)
{
    vmi__xen_device_events = &events;
}

/* ---- what front ends ask for ---- */

intptr_t vmi__xen_common_event_op(uint32_t command, void *argument)
{
    return vmi__xen_hypercall_event_channel_op(command, argument);
}

void vmi__xen_common_port_mask(evtchn_port_t port)
{
    vmi__xen_port_mask(port);
}

void vmi__xen_common_wait(void)
{
    struct sched_poll poll = {.timeout = vmi__xen_system_time() + WAIT_NANOSECONDS};

    vmi__xen_hypercall_sched_op(SCHEDOP_poll, &poll);
}
