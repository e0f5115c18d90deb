/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Sources of entropy by virtio. Source: VIRTIO 1.2, 5.4 (entropy device): one queue, whose buffers
 * the device fills, each with at least a byte; no configuration and no features of its own.
 */
#include "driver.h"
#include "runtime.h"
#include "virtio/device.h"

static VMI__ADDRESS_TAKEN bool describe(struct vmi__device *device)
{
    struct vmi_device_properties *info = &device->info;

    info->kind = VMI_DEVICE_ENTROPY;
    info->queues = 1;
    info->segments = 1;
    info->segment_bytes = VMI__ENTROPY_BYTES;
    return true;
}

static const struct vmi__virtio_kind kind = {
    .type = 4,
    .features = VMI__VIRTIO_EVENT_IDX,
    .describe = describe,
};

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
    .family = &kind,
    .find = vmi__virtio_find,
    .memory = vmi__virtio_memory,
    .start = vmi__virtio_start,
    .stop = vmi__virtio_stop,
    .fill = fill,
    .tell = vmi__virtio_tell,
    .take = take,
    .ask = vmi__virtio_ask,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = vmi__virtio_acknowledge,
};
