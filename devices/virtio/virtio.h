/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices, whatever they are reached by, and their split queues. What drivers do alike under
 * the interface for devices is in device.h; this works without that, too (console.h). Source:
 * VIRTIO 1.2, 2.7 (split virtqueues), 2.7.2 (their legacy layout), 3.1 (initialization).
 */
#ifndef VMI_DEVICES_VIRTIO_H
#define VMI_DEVICES_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include "endbr.h"
#include "pci/pci.h"

/* Features of all devices (VIRTIO 1.2, 6). */
#define VMI__VIRTIO_INDIRECT  (1ull << 28)
#define VMI__VIRTIO_EVENT_IDX (1ull << 29)
#define VMI__VIRTIO_VERSION_1 (1ull << 32)

#define VMI__VIRTIO_WRITE        2 /* flag of a descriptor: by the device */
#define VMI__VIRTIO_NO_INTERRUPT 1 /* and of the available ring, where no event index is in use */

#define VMI__VIRTIO_QUEUES_MAX 8
#define VMI__VIRTIO_RING_MAX   0x8000u /* descriptors: no more than indices tell apart */

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

/* A way to a device: PCI, by the modern or the legacy interface, or memory that is told of. */
struct vmi__virtio_transport {
    struct {
        uint8_t offset, bytes; /* from `common` on; no bytes: it has none */
    } registers[VMI__VIRTIO_REGISTERS];
    bool wide;   /* a notification has 32 bits, not 16 */
    bool legacy; /* registers are ports, and a ring has the size and the layout of 2.7.2 */

    /* Lets a device that is reset reach memory and send messages, or not any more. */
    void (*enable)(const struct vmi__virtio *virtio, bool on);

    /*
     * Says of the queue that is selected where it is notified, and gives it its message if there
     * are any; false if the device does not let that be.
     */
    bool (*wire)(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue);

    /* Lowers the device's interrupt line. */
    void (*lower)(const struct vmi__virtio *virtio);
};

struct vmi__virtio {
    struct vmi__msix msix; /* first: pci/device.h. Without entries: no messages are sent */
    const struct vmi__virtio_transport *transport;
    uint32_t place;              /* on PCI */
    volatile char *common;       /* registers; ports by the legacy interface */
    const volatile char *config; /* 0: none */
    uint32_t config_bytes;
    volatile char *notify; /* on PCI */
    uint32_t notify_bytes, notify_step;
    volatile uint8_t *interrupt; /* on PCI */
    uint32_t most;               /* descriptors of a ring */
    uint64_t features;           /* that are in use */
    struct vmi__virtqueue queues[VMI__VIRTIO_QUEUES_MAX];
    void *rooms[VMI__VIRTIO_QUEUES_MAX]; /* behind each ring: what the driver wants there */
};

/*
 * Is there a virtio device of that type, by the modern interface, or by the legacy one? Then its
 * registers are found, and it reaches no memory until its transport enables it. By the modern one
 * they are mapped; ports need not be.
 */
bool vmi__virtio_on_pci(struct vmi__virtio *virtio, uint32_t place, uint32_t type);
bool vmi__virtio_on_ports(struct vmi__virtio *virtio, uint32_t place, uint32_t type);

/* Registers in memory that a word of the command line tells of. */
#define VMI__VIRTIO_MMIO_OPTION "virtio_mmio.device"
#define VMI__VIRTIO_MMIO_LEAST  0x10000000u /* address */
struct vmi__virtio_mmio {
    uint32_t base, line;
    uint32_t type; /* of the device behind them, 0: none */
    uint32_t config_bytes;
    volatile char *registers;
};

/*
 * Takes the next such word from *from on, where the command line begins; false if there is none.
 * *wrong says why it tells of no device that could be used, or is 0.
 */
bool vmi__virtio_mmio_next(const char **from, struct vmi__virtio_mmio *found, const char **wrong);

/* Its registers are those that were found. */
void vmi__virtio_on_mmio(struct vmi__virtio *virtio, const struct vmi__virtio_mmio *found);

/* Resets a device whose registers are found; false if it does not come to rest. */
bool vmi__virtio_reset(const struct vmi__virtio *virtio);

/*
 * Resets it and agrees on what it offers of `wanted`, and on VERSION_1, which the legacy interface
 * does not know; false if it does not.
 */
bool vmi__virtio_agree(struct vmi__virtio *virtio, uint64_t wanted);

/* Starts it, with the queues that were opened since; and ends it: it reaches no memory then. */
void vmi__virtio_ready(const struct vmi__virtio *virtio);
void vmi__virtio_shut(const struct vmi__virtio *virtio);

/* A register that the transport has. */
uint32_t vmi__virtio_get(const struct vmi__virtio *virtio, enum vmi__virtio_register which);
void vmi__virtio_set(const struct vmi__virtio *virtio, enum vmi__virtio_register which,
                     uint32_t value);

/* How many queues the device has. Between agreeing and starting. */
uint32_t vmi__virtio_queues(const struct vmi__virtio *virtio);

/* How many descriptors a queue may have, 0: there is none. Between agreeing and starting. */
uint32_t vmi__virtio_queue_most(const struct vmi__virtio *virtio, uint32_t queue);

/*
 * Bytes of the ring of a queue that may have `most` descriptors, for so many slots of `chain`
 * descriptors at most; 0 if those have no room.
 */
uintptr_t vmi__virtio_ring_bytes(const struct vmi__virtio *virtio, uint32_t most, uint32_t slots,
                                 uint32_t chain);

/* A field of the device's own configuration, 0 behind its end. */
uint32_t vmi__virtio_config(const struct vmi__virtio *virtio, uint32_t offset, uint32_t bytes);
uint64_t vmi__virtio_config64(const struct vmi__virtio *virtio, uint32_t offset);

/*
 * Makes a queue known to the device, at zeroed memory, for so many slots. Its number, message and
 * chain are filled in, all else is 0.
 */
bool vmi__virtio_open(struct vmi__virtio *virtio, struct vmi__virtqueue *queue, void *memory,
                      uint32_t slots);

/* Tells the device what it was given, if it wants to know. */
void vmi__virtio_notify(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue);

/* The descriptors of a slot, to be filled from the first on; and giving `count` of them away. */
volatile struct vmi__virtio_descriptor *vmi__virtio_chain(struct vmi__virtqueue *queue,
                                                          uint32_t slot);
void vmi__virtio_give(struct vmi__virtqueue *queue, uint32_t slot, uint32_t count);

/*
 * Takes the next slot that has ended, where the index of the used ring is not `taken` any more, and
 * the bytes that the device says it has written. VMI_FAULT_NONE, or what is wrong with what it
 * says; whether that slot was given its user knows.
 */
uint32_t vmi__virtio_next(struct vmi__virtqueue *queue, uint16_t index, uint32_t *slot,
                          uint32_t *length);

#endif
