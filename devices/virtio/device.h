/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers of virtio's devices do alike under the interface (driver.h).
 */
#ifndef VMI_DEVICES_VIRTIO_DEVICE_H
#define VMI_DEVICES_VIRTIO_DEVICE_H

#include "driver.h"
#include "pci/device.h"
#include "virtio/virtio.h"

_Static_assert(sizeof(struct vmi__virtio) <= VMI__DRIVER_BYTES,
               "a driver's record has no room for it");
_Static_assert(VMI__VIRTIO_QUEUES_MAX == VMI__QUEUES_MAX,
               "a queue of the table has none of its own");

_Static_assert(VMI__VIRTIO_MMIO_LEAST == VMI__PLACE_REGISTERS,
               "a place is a function or registers");

/* What drivers of virtio's devices differ in: the `family` of a driver. */
struct vmi__virtio_kind {
    uint64_t features;     /* that it uses; VERSION_1 is always asked for */
    uint32_t type;         /* VIRTIO 1.2, 5 */
    uint32_t extra;        /* descriptors of a request beside those of its segments */
    uint32_t ring_room;    /* bytes behind each ring, 64 or none */
    uint32_t request_room; /* and for each of its requests, 64 or none */

    /*
     * Takes what the device says of itself into `info`, kind and queues among it; false if that
     * cannot be. What follows from the rings (`requests`) and MSI-X is filled in afterwards.
     */
    bool (*describe)(struct vmi__device *device);
};

/* The driver's record of a device is it. */
static inline struct vmi__virtio *vmi__virtio_of(struct vmi__device *device)
{
    return (struct vmi__virtio *)device->own;
}

/*
 * For a transport: asks a device that was added, and whose registers it has found, what it is, and
 * leaves it reset. False if the driver cannot do with it.
 */
bool vmi__virtio_look(struct vmi__device *device);

/*
 * The two steps of starting (vmi__virtio_start), for a device that has a queue beside those of the
 * table: that is opened between them.
 */
bool vmi__virtio_begin(struct vmi__device *device, void *memory);

/*
 * Bytes of a queue with that setup, and of the driver's own behind its ring; 0 if its slots are
 * more than a ring takes.
 */
uintptr_t vmi__virtio_queue_bytes(struct vmi__device *device, const struct vmi_device_setup *setup);

/* What driver.h says of find (on PCI), memory, start, stop, tell, take, ask, acknowledge. */
VMI__ADDRESS_TAKEN void vmi__virtio_find(const struct vmi__driver *driver);
VMI__ADDRESS_TAKEN uintptr_t vmi__virtio_memory(struct vmi__device *device,
                                                const struct vmi_device_setup *setup);
VMI__ADDRESS_TAKEN bool vmi__virtio_start(struct vmi__device *device, void *memory);
VMI__ADDRESS_TAKEN void vmi__virtio_stop(struct vmi__device *device);
VMI__ADDRESS_TAKEN void vmi__virtio_tell(struct vmi__device *device, uint32_t queue);
enum vmi__taken vmi__virtio_take(struct vmi__device *device, uint32_t queue,
                                 struct vmi__ended *ended);
VMI__ADDRESS_TAKEN bool vmi__virtio_ask(struct vmi__device *device, uint32_t queue);
VMI__ADDRESS_TAKEN bool vmi__virtio_acknowledge(struct vmi__device *device);

#endif
