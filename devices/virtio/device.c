/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "virtio/device.h"

#include "platform.h"

static const struct vmi__virtio_kind *kind_of(const struct vmi__device *device)
{
    return device->driver->family;
}

/* ---- finding ---- */

/* Fills in what follows from the rings that the device has, and from MSI-X. */
static bool limit(struct vmi__device *device)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi_device_properties *info = &device->info;
    const struct vmi_device_setup all = {.queues = info->queues};
    uint32_t queues = vmi__device_queues(device, &all);
    uint32_t chain = virtio->features & VMI__VIRTIO_INDIRECT ? 1 : 1 + kind_of(device)->extra;

    if (!queues || queues > vmi__virtio_queues(virtio))
        return false;
    vmi__pci_device_messages(device, queues);
    virtio->most = VMI__VIRTIO_RING_MAX;
    for (uint32_t i = 0; i < queues; i++)
        virtio->most = vmi__least(virtio->most, vmi__virtio_queue_most(virtio, i));
    info->requests = vmi__least(virtio->most / chain, VMI__REQUESTS_MAX);
    return info->requests;
}

bool vmi__virtio_look(struct vmi__device *device)
{
    bool sound = vmi__virtio_agree(vmi__virtio_of(device), kind_of(device)->features) &&
                 kind_of(device)->describe(device) && limit(device);

    vmi__virtio_stop(device);
    return sound;
}

/* ---- queues ---- */

/* Bytes of what the driver wants behind a ring. */
static uintptr_t room_bytes(const struct vmi__device *device, const struct vmi_device_setup *setup)
{
    const struct vmi__virtio_kind *kind = kind_of(device);

    return kind->ring_room + (uintptr_t)setup->requests * kind->request_room;
}

uintptr_t vmi__virtio_queue_bytes(struct vmi__device *device, const struct vmi_device_setup *setup)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(device);
    uint32_t chain = setup->segments + kind_of(device)->extra;
    uintptr_t ring = vmi__virtio_ring_bytes(virtio, virtio->most, setup->requests, chain);

    return ring ? ring + room_bytes(device, setup) : 0;
}

uintptr_t vmi__virtio_memory(struct vmi__device *device, const struct vmi_device_setup *setup)
{
    return vmi__device_queues(device, setup) * vmi__virtio_queue_bytes(device, setup);
}

bool vmi__virtio_begin(struct vmi__device *device, void *memory)
{
    const struct vmi_device_setup *setup = &device->setup;
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    uintptr_t each = vmi__virtio_queue_bytes(device, setup);
    uint64_t features = virtio->features;
    char *at = memory;
    bool same =
        vmi__virtio_agree(virtio, kind_of(device)->features) && virtio->features == features;

    /* What is known of the device goes by these, also when it is tried again. */
    virtio->features = features;
    if (!same)
        return false;
    virtio->transport->enable(virtio, true);
    for (uint32_t i = 0; i < device->opened; i++, at += each) {
        struct vmi__virtqueue *queue = &virtio->queues[i];

        *queue = (struct vmi__virtqueue){
            .number = (uint16_t)i,
            .message = (uint16_t)i,
            .chain = (uint16_t)(setup->segments + kind_of(device)->extra),
        };
        virtio->rooms[i] = at + each - room_bytes(device, setup);
        if (!vmi__virtio_open(virtio, queue, at, setup->requests))
            return false;
    }
    return true;
}

bool vmi__virtio_start(struct vmi__device *device, void *memory)
{
    if (!vmi__virtio_begin(device, memory))
        return false;
    vmi__virtio_ready(vmi__virtio_of(device));
    return true;
}

void vmi__virtio_stop(struct vmi__device *device)
{
    vmi__virtio_shut(vmi__virtio_of(device));
}

void vmi__virtio_tell(struct vmi__device *device, uint32_t number)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);

    vmi__virtio_notify(virtio, &virtio->queues[number]);
}

enum vmi__taken vmi__virtio_take(struct vmi__device *device, uint32_t number,
                                 struct vmi__ended *ended)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi__virtqueue *queue = &virtio->queues[number];
    uint16_t index = queue->used->index;
    uint32_t fault;

    if (index == queue->taken)
        return VMI__TAKEN_NONE;
    /*
     * Lowered before the queue is looked at: what comes later raises the line anew. Not where it
     * may be up for another queue: that one's event is to come.
     */
    if (index != queue->noted && !device->messages && device->opened == 1) {
        virtio->transport->lower(virtio);
        index = queue->used->index;
    }
    queue->noted = index;
    fault = vmi__virtio_next(queue, index, &ended->slot, &ended->length);
    return fault ? vmi__device_fault(device, fault) : VMI__TAKEN_ONE;
}

bool vmi__virtio_ask(struct vmi__device *device, uint32_t number)
{
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];

    if (queue->event_index) {
        /* Behind the available ring (2.7.8). */
        queue->available->ring[queue->size] = queue->taken;
        vmi__platform_fence();
    }
    return queue->used->index != queue->taken;
}

/* ---- interrupts ---- */

bool vmi__virtio_acknowledge(struct vmi__device *device)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    bool again = false;

    virtio->transport->lower(virtio);
    for (uint32_t i = 0; i < device->opened; i++) {
        struct vmi__virtqueue *queue = &virtio->queues[i];
        uint16_t index = queue->used->index;

        again |= index != queue->noted;
        queue->noted = index;
    }
    return again;
}

/* ---- finding on PCI ---- */

static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    struct vmi__device *device = vmi__device_add(context, place);
    struct vmi__virtio *virtio;

    if (!device)
        return;
    virtio = vmi__virtio_of(device);
    if (!vmi__virtio_on_pci(virtio, place, kind_of(device)->type))
        return;
    vmi__msix_find(&virtio->msix, place);
    if (vmi__virtio_look(device))
        vmi__pci_device_keep(device);
}

void vmi__virtio_find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
}
