/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Sources of entropy by virtio. Source: VIRTIO 1.2, 5.4 (entropy device): one queue, whose buffers
 * the device fills, each with at least a byte; no configuration and no features of its own.
 */
#include "driver.h"
#include "pci/pci.h"
#include "runtime.h"
#include "virtio/virtio.h"

#define TYPE 4

#define FEATURES VMI__VIRTIO_EVENT_IDX

/* A buffer is one piece. */
#define CHAIN 1

_Static_assert(sizeof(struct vmi__virtio) <= VMI__DRIVER_BYTES,
               "a driver's record has no room for it");

/* Descriptors of its ring. */
static uint32_t most(const struct vmi__device *device)
{
    return device->info.requests;
}

/* Takes what the device says of itself into `info`; false if that cannot be. */
static bool describe(struct vmi__device *device)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi_device_properties *info = &device->info;
    uint32_t size = vmi__virtio_queue_size(virtio, 0);

    info->kind = VMI_DEVICE_ENTROPY;
    info->queues = 1;
    info->segments = CHAIN;
    info->segment_bytes = VMI__ENTROPY_BYTES;
    info->requests = size < VMI__REQUESTS_MAX ? size : VMI__REQUESTS_MAX;
    device->messages = virtio->msix.entries ? 1 : 0;
    return vmi__virtio_queues(virtio) && info->requests;
}

static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    struct vmi__device *device = vmi__device_add(context, place);

    if (!device || !vmi__virtio_find(vmi__virtio_of(device), place, TYPE))
        return;
    if (vmi__virtio_agree(vmi__virtio_of(device), FEATURES) && describe(device)) {
        vmi__device_name(device, "pci");
        vmi__device_keep(device);
    }
    vmi__virtio_stop(device);
}

static VMI__ADDRESS_TAKEN void find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    return vmi__virtio_bytes(vmi__virtio_of(device), setup->requests, CHAIN, most(device));
}

static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    uint64_t features = virtio->features;

    if (!vmi__virtio_agree(virtio, FEATURES) || virtio->features != features)
        return false;
    vmi__msix_enable(&virtio->msix, device->place, true);
    if (!vmi__virtio_open(virtio, 0, at, device->setup.requests, CHAIN))
        return false;
    vmi__virtio_go(virtio, device->place);
    return true;
}

static VMI__ADDRESS_TAKEN void fill(struct vmi__device *device, uint32_t number, uint32_t slot,
                                    void *buffer, uint32_t length)
{
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];
    volatile struct vmi__virtio_descriptor *one = vmi__virtio_chain(queue, slot);

    one->address = vmi__physical(buffer);
    one->length = length;
    one->flags = VMI__VIRTIO_WRITE;
    vmi__virtio_give(queue, slot, 1);
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    ended->status = VMI_OK;
    return vmi__virtio_take(device, number, ended);
}

const struct vmi__driver vmi__driver_virtio_rng;
const struct vmi__driver vmi__driver_virtio_rng = {
    .name = "virtio-rng",
    .find = find,
    .memory = memory,
    .start = start,
    .stop = vmi__virtio_stop,
    .fill = fill,
    .tell = vmi__virtio_tell,
    .take = take,
    .ask = vmi__virtio_ask,
    .message = vmi__virtio_message,
    .mask = vmi__virtio_mask,
    .acknowledge = vmi__virtio_acknowledge,
};
