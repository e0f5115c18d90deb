/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices by the modern interface, whatever they are reached by, and their split queues.
 * Source: VIRTIO 1.2, 2.7 (split virtqueues), 3.1 (initialization).
 */
#ifndef VMI_DEVICES_VIRTIO_H
#define VMI_DEVICES_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "driver.h"
#include "pci/device.h"

/* Features of all devices (VIRTIO 1.2, 6). */
#define VMI__VIRTIO_INDIRECT  (1ull << 28)
#define VMI__VIRTIO_EVENT_IDX (1ull << 29)
#define VMI__VIRTIO_VERSION_1 (1ull << 32)

#define VMI__VIRTIO_WRITE 2 /* flag of a descriptor: by the device */

struct vmi__virtio_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};

struct vmi__virtio_available {
    uint16_t flags, index, ring[];
};

struct vmi__virtio_used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[];
};

#define VMI__VIRTIO_NO_MESSAGE 0xffffu

/*
 * A queue. Each slot of the table of requests has its own descriptors, at most `chain`: in a table
 * that one descriptor of the ring leads to, or in the ring itself.
 */
struct vmi__virtqueue {
    volatile struct vmi__virtio_descriptor *descriptors, *tables;
    volatile struct vmi__virtio_available *available;
    const volatile struct vmi__virtio_used *used;
    const volatile uint16_t *wanted; /* the index whose passing the device wants to know of */
    volatile void *notify;
    uint16_t number;  /* as the device counts */
    uint16_t message; /* that it sends, or VMI__VIRTIO_NO_MESSAGE */
    uint16_t size, chain;
    uint16_t given, told, taken; /* modulo 2^16: to the device, as far as it was told, and back */
    volatile uint16_t noted;     /* the device's index when it was last looked at */
    bool event_index;
};

/* Registers that all ways to a device have, each at places of their own. */
enum vmi__virtio_register {
    VMI__VIRTIO_OFFERED_SELECT,
    VMI__VIRTIO_OFFERED,
    VMI__VIRTIO_ACCEPTED_SELECT,
    VMI__VIRTIO_ACCEPTED,
    VMI__VIRTIO_CONFIG_MESSAGE, /* which one tells that `config` has changed; on PCI */
    VMI__VIRTIO_QUEUES,         /* how many there are, which not every way tells */
    VMI__VIRTIO_STATUS,
    VMI__VIRTIO_GENERATION,
    VMI__VIRTIO_QUEUE_SELECT,
    VMI__VIRTIO_QUEUE_MOST, /* the size that it may have, to be read */
    VMI__VIRTIO_QUEUE_SIZE, /* and that it has, to be written */
    VMI__VIRTIO_QUEUE_ENABLE,
    VMI__VIRTIO_QUEUE_DESCRIPTORS, /* addresses: the upper half is behind the lower one */
    VMI__VIRTIO_QUEUE_AVAILABLE,
    VMI__VIRTIO_QUEUE_USED,
    VMI__VIRTIO_REGISTERS,
};

struct vmi__virtio;

/* A way to a device: PCI, or memory that somebody has told of. */
struct vmi__virtio_transport {
    struct {
        uint8_t offset, bytes; /* from `common` on; no bytes: it has none */
    } registers[VMI__VIRTIO_REGISTERS];
    bool wide; /* a notification has 32 bits, not 16 */

    /* Lets a device that is reset reach memory and send messages, or not any more. */
    void (*enable)(struct vmi__device *device, bool on);

    /*
     * Says of the queue that is selected where it is notified, and gives it its message if there
     * are any; false if the device does not let that be.
     */
    bool (*wire)(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue);

    /* Lowers the device's interrupt line. */
    void (*lower)(const struct vmi__virtio *virtio);
};

struct vmi__virtio {
    struct vmi__msix msix; /* first: pci/device.h */
    const struct vmi__virtio_transport *transport;
    volatile char *common;       /* registers */
    const volatile char *config; /* 0: none */
    uint32_t config_bytes;
    volatile char *notify; /* on PCI */
    uint32_t notify_bytes, notify_step;
    volatile uint8_t *interrupt; /* on PCI */
    uint32_t most;               /* descriptors of a ring */
    uint64_t features;           /* that are in use */
    struct vmi__virtqueue queues[VMI__QUEUES_MAX];
    void *rooms[VMI__QUEUES_MAX]; /* behind each ring: what the driver wants there */
};
_Static_assert(sizeof(struct vmi__virtio) <= VMI__DRIVER_BYTES,
               "a driver's record has no room for it");

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

/* A register that all transports have. */
uint32_t vmi__virtio_get(const struct vmi__virtio *virtio, enum vmi__virtio_register which);
void vmi__virtio_set(const struct vmi__virtio *virtio, enum vmi__virtio_register which,
                     uint32_t value);

/*
 * For a transport: asks a device that was added, and whose registers it has found, what it is, and
 * leaves it reset. False if the driver cannot do with it.
 */
bool vmi__virtio_look(struct vmi__device *device);

/* How many queues the device has. Between agreeing and starting. */
uint32_t vmi__virtio_queues(const struct vmi__virtio *virtio);

/* A field of the device's own configuration, 0 behind its end. */
uint32_t vmi__virtio_config(const struct vmi__virtio *virtio, uint32_t offset, uint32_t bytes);
uint64_t vmi__virtio_config64(const struct vmi__virtio *virtio, uint32_t offset);

/*
 * The two steps of starting (vmi__virtio_start), for a device that has a queue beside those of the
 * table: that is opened between them.
 */
bool vmi__virtio_begin(struct vmi__device *device, void *memory);
void vmi__virtio_ready(const struct vmi__virtio *virtio);

/*
 * Makes a queue known to the device, at zeroed memory, for so many slots. Its number, message and
 * chain are filled in, all else is 0.
 */
bool vmi__virtio_open(struct vmi__virtio *virtio, struct vmi__virtqueue *queue, void *memory,
                      uint32_t slots);

/*
 * Bytes of a queue with that setup, and of the driver's own behind its ring; 0 if its slots are
 * more than a ring takes.
 */
uintptr_t vmi__virtio_queue_bytes(struct vmi__device *device, const struct vmi_device_setup *setup);

/* Tells the device what it was given, if it wants to know. */
void vmi__virtio_notify(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue);

/* The descriptors of a slot, to be filled from the first on; and giving `count` of them away. */
volatile struct vmi__virtio_descriptor *vmi__virtio_chain(struct vmi__virtqueue *queue,
                                                          uint32_t slot);
void vmi__virtio_give(struct vmi__virtqueue *queue, uint32_t slot, uint32_t count);

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
