/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The domain's balloon: a driver for the interface of devices/. How much
 * memory the domain is to have, the toolstack writes into xenstore (Xen,
 * docs/misc/xenstore-paths.pandoc, "memory/target"), in KiB; a watch of requests.c tells of it.
 */
#include "balloon.h"

#include "driver.h"
#include "runtime.h"

/* Beside the places of devices on xenbus, which have the last bit. */
#define PLACE 0x7fffffffu

struct lists {
    uint32_t frames[VMI__BALLOON_FRAMES];
    xen_pfn_t xens[VMI__BALLOON_FRAMES];
};

/* Frames that the domain is to have, or very many. */
static uint64_t wanted(struct vmi__device *device)
{
    return vmi__xen_common_own(vmi__xen_common_bus_of(device), "target", ~0ull) >>
           VMI__XEN_COMMON_KIB_SHIFT;
}

static uint64_t most(struct vmi__device *device)
{
    return vmi__xen_common_balloon_frames(vmi__xen_common_bus_of(device));
}

static VMI__ADDRESS_TAKEN uint32_t target(struct vmi__device *device)
{
    uint64_t frames = wanted(device), all = most(device);

    return frames < all ? (uint32_t)(all - frames) : 0;
}

static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    struct vmi__device *device = vmi__device_add(driver, PLACE);
    static const char node[] = "memory";

    if (!device)
        return;
    memcpy(vmi__xen_common_bus_of(device)->node, node, sizeof(node));
    /*
     * Where that is for more than the kernel has been given it says nothing about the kernel: the
     * domain of xen-shim has the shim's memory as well. Or there is no such node.
     */
    if (wanted(device) > most(device))
        return;
    device->info.kind = VMI_DEVICE_BALLOON;
    device->info.queues = device->info.requests = device->info.segments = 1;
    vmi__device_name(device, "xenstore", node);
    vmi__device_keep(device);
}

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    (void)device;
    (void)setup;
    return sizeof(struct lists);
}

static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    device->frames = ((struct lists *)at)->frames;
    return vmi__xen_common_balloon_open(vmi__xen_common_bus_of(device));
}

static VMI__ADDRESS_TAKEN void stop(struct vmi__device *device)
{
    vmi__xen_common_balloon_close(vmi__xen_common_bus_of(device));
}

static VMI__ADDRESS_TAKEN bool come_again(struct vmi__device *device)
{
    struct vmi__xen_common_bus *bus = vmi__xen_common_bus_of(device);

    vmi__xen_common_channels_forget(bus);
    return vmi__xen_common_balloon_open(bus);
}

static VMI__ADDRESS_TAKEN int32_t move(struct vmi__device *device, uint32_t count, bool inflate)
{
    struct lists *lists = (struct lists *)device->frames;

    return inflate ? vmi__xen_common_give_frames(lists->frames, lists->xens, count)
                   : vmi__xen_common_take_frames(lists->frames, lists->xens, count);
}

static VMI__ADDRESS_TAKEN int32_t report(struct vmi__device *device,
                                         const struct vmi_balloon_statistics *statistics)
{
    (void)device;
    (void)statistics;
    return VMI_ENOSYS;
}

static const struct vmi__balloon ways = {
    .target = target,
    .move = move,
    .report = report,
};

const struct vmi__driver vmi__driver_balloon;
const struct vmi__driver vmi__driver_balloon = {
    .name = "balloon",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = stop,
    .come_again = come_again,
    .balloon = &ways,
};
