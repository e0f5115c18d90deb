/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The contract between a driver and the interface (interface.c), which makes the calls of it. The
 * interface checks what kernels ask for and has the table of requests: a driver puts a slot of the
 * table at its device's disposal and says later which slot has ended. Whatever a device says is
 * held against that table, so every request ends once. README.md tells the whole.
 */
#ifndef VMI_DEVICES_DRIVER_H
#define VMI_DEVICES_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

#include "endbr.h"

#define VMI__DEVICES_MAX  16
#define VMI__QUEUES_MAX   8
#define VMI__REQUESTS_MAX 1024 /* of a queue */
#define VMI__SEGMENTS_MAX 30   /* of a request */

/* What a source of entropy is asked for at a time. */
#define VMI__ENTROPY_BYTES 256

/* Frames that a balloon is told of at a time. */
#define VMI__BALLOON_FRAMES 256

/* State of a slot of the table of requests. */
enum { VMI__SLOT_FREE, VMI__SLOT_GIVEN };

/* A slot: what is known of a request until the kernel has it back. The device never sees this. */
struct vmi__slot {
    uint64_t id;
    uint32_t room;  /* bytes that the device may write to the kernel's memory */
    uint16_t next;  /* of the free ones */
    uint16_t state; /* VMI__SLOT_… */
};

struct vmi__queue {
    volatile uint32_t lock;
    uint32_t free;   /* first free slot, `requests` if there is none */
    uint32_t given;  /* slots that are with the device */
    uint32_t cursor; /* where the next one is that a reset has ended */
    struct vmi__slot *slots;
};

/* Queues of the table: a network's queue n is 2 * n to receive and 2 * n + 1 to send. */
enum { VMI__RECEIVE, VMI__SEND, VMI__WAYS };

enum vmi__device_state {
    VMI__DEVICE_CLOSED,
    VMI__DEVICE_OPEN,
    VMI__DEVICE_SHUT_OFF, /* by a fault; to be closed */
    VMI__DEVICE_CLOSING,  /* reset; requests are to be reaped */
};

/* Bytes for a driver's own record of a device. */
#define VMI__DRIVER_BYTES 1024

/* What a source of entropy has given and nobody has used: [from, to) of a slot's buffer. */
struct vmi__stock {
    uint8_t *buffers; /* VMI__ENTROPY_BYTES for each slot, of pages that the device writes */
    uint32_t slot, from, to;
    uint64_t before; /* how the buffer before began */
};

struct vmi__device {
    const struct vmi__driver *driver;
    uint32_t number;
    uint32_t place;    /* the function on PCI, or where its registers are (below) */
    uint32_t line;     /* of one without a function: its input of the interrupt controllers */
    uint32_t messages; /* message-signalled interrupts that it has: one per queue, or none */
    uint32_t opened;   /* queues of the table, while it is open */
    int32_t refusal;   /* why it does not start: VMI_EIO unless its driver says something else */
    volatile uint32_t state;
    uint64_t memory_start, memory_end; /* guest-physical: all segments are in between */
    uintptr_t kept_first;              /* frames that were left to it (DeviceKeep) */
    uint32_t kept;                     /* how many */
    struct vmi_device_properties info;
    struct vmi_device_setup setup; /* while it is open */
    struct vmi__queue queues[VMI__QUEUES_MAX];
    struct vmi__stock stock;
    uint32_t *frames; /* of a balloon that is open: what is moved, VMI__BALLOON_FRAMES at most */
    uint32_t held;    /* frames that a balloon has, also while it is closed */
    char own[VMI__DRIVER_BYTES] __attribute__((aligned(8)));
};

/* From here on a place is a guest-physical address; functions on PCI have lower numbers. */
#define VMI__PLACE_REGISTERS 0x10000000u

static inline bool vmi__device_on_pci(const struct vmi__device *device)
{
    return device->place < VMI__PLACE_REGISTERS;
}

/* What a device says of a slot. */
struct vmi__ended {
    uint32_t slot;
    uint32_t length; /* bytes written to the kernel's memory */
    int32_t status;
};

/* What taking can find. */
enum vmi__taken { VMI__TAKEN_NONE, VMI__TAKEN_ONE, VMI__TAKEN_FAULT };

/* What taking has found is a fault of the device's, for that reason (VMI_FAULT_…). */
static inline enum vmi__taken vmi__device_fault(struct vmi__device *device, uint32_t reason)
{
    device->info.fault = reason;
    return VMI__TAKEN_FAULT;
}

/* What drivers of balloons have beside. */
struct vmi__balloon {
    /* How many frames it is to hold. Also of one that is closed. */
    uint32_t (*target)(struct vmi__device *device);

    /*
     * Gives it the first `count` of device->frames, which are of usable memory, or takes them from
     * it. Returns how many, from the first on, or why not the first one. Of a device that is at
     * fault (device->info.fault) none.
     */
    int32_t (*move)(struct vmi__device *device, uint32_t count, bool inflate);

    /* Hands over what was asked for, or says why not. */
    int32_t (*report)(struct vmi__device *device, const struct vmi_balloon_statistics *statistics);
};

/*
 * A driver. Functions are called under the lock of the queue (of the table) that they name, and one
 * at a time for what names none.
 */
struct vmi__driver {
    const char *name;

    /* What its family's common part has to know of it (virtio/virtio.h); 0: it has no family. */
    const void *family;

    /* Looks for devices and adds each (vmi__device_add). */
    void (*find)(const struct vmi__driver *driver);

    /* Bytes that the device's rings take with a setup within the limits of `info`; 0: too much. */
    uintptr_t (*memory)(struct vmi__device *device, const struct vmi_device_setup *setup);

    /* Brings the device up with rings at `memory`, which is zeroed; false if it does not come. */
    bool (*start)(struct vmi__device *device, void *memory);

    /* Resets the device: it reaches no memory and raises no interrupt from then on. */
    void (*stop)(struct vmi__device *device);

    /*
     * Optional: gives back what the device had of the library's and the kernel's once it is stopped
     * and its events are unbound; false as long as the device still has some of it.
     */
    bool (*leave)(struct vmi__device *device);

    /*
     * Optional, where a device may be lost under its driver: after a suspend, of each device that
     * is not closed. It has nothing of the library's and the kernel's any more; one that is open is
     * brought up again, and given what is with it by the table of requests. False if it does not
     * come, or is not what it was.
     */
    bool (*come_again)(struct vmi__device *device);

    /*
     * Optional, of a disk: can it take a sound read or write whose segments follow each other like
     * that?
     */
    bool (*fits)(const struct vmi__device *device, const struct vmi_block_request *request);

    /* Of a disk: puts a sound request in a free slot, without telling the device. */
    void (*put)(struct vmi__device *device, uint32_t queue, uint32_t slot,
                const struct vmi_block_request *request);

    /*
     * Of a network: puts a packet, or memory for one, in a free slot of a queue of the table,
     * without telling the device.
     */
    void (*pass)(struct vmi__device *device, uint32_t queue, uint32_t slot,
                 const struct vmi_net_buffer *buffer);

    /* Of a network: is its link up? Also of one that is closed. */
    bool (*linked)(struct vmi__device *device);

    /* Of a source of entropy: puts a buffer in a free slot, without telling the device. */
    void (*fill)(struct vmi__device *device, uint32_t queue, uint32_t slot, void *buffer,
                 uint32_t length);

    /* Of a balloon. */
    const struct vmi__balloon *balloon;

    /* Tells the device what was put, if it wants to know. */
    void (*tell)(struct vmi__device *device, uint32_t queue);

    /* Takes the next slot that has ended. A fault is in device->info.fault then. */
    enum vmi__taken (*take)(struct vmi__device *device, uint32_t queue, struct vmi__ended *ended);

    /* Asks for an event at the next end; true if there has been one since the last take. */
    bool (*ask)(struct vmi__device *device, uint32_t queue);

    /* The message that a queue's event writes, 0 for none, and whether it is kept back. */
    void (*message)(struct vmi__device *device, uint32_t queue, const struct vmi_message *message);
    void (*mask)(struct vmi__device *device, uint32_t queue, bool masked);

    /*
     * Of a device without messages: lowers its interrupt line. True if something has ended that
     * neither this nor `ask` has seen, for which the line may not be raised again. Under no queue's
     * lock; it may take one.
     */
    bool (*acknowledge)(struct vmi__device *device);
};

/* Queues of the table that a setup of the device stands for. */
static inline uint32_t vmi__device_queues(const struct vmi__device *device,
                                          const struct vmi_device_setup *setup)
{
    return setup->queues * (device->info.kind == VMI_DEVICE_NETWORK ? VMI__WAYS : 1);
}

/* The library's drivers in the order in which they are tried, ended by 0 (generated). */
extern const struct vmi__driver *const vmi__drivers[];

/*
 * A device for the driver to fill, closed; it counts once vmi__device_keep is called. 0 if there
 * are too many, or a driver has this place already.
 */
struct vmi__device *vmi__device_add(const struct vmi__driver *driver, uint32_t place);
void vmi__device_keep(struct vmi__device *device);

/* Notes where on a bus a device is, and what drives it; what there is no room for is left out. */
void vmi__device_name(struct vmi__device *device, const char *bus, const char *where);

/*
 * The device of an event's number (VMI_EVENT_DEVICE), if it is open and has the queue (of the
 * table); else 0.
 */
struct vmi__device *vmi__device_of_event(uint32_t number, uint32_t *queue);

/* A device by its number. */
struct vmi__device *vmi__device_by_number(uint32_t number);

/*
 * After a suspend, on the only CPU that runs: devices that are open are brought up again, and those
 * that do not come are shut off.
 */
void vmi__devices_come_again(void);

/*
 * Of a network whose driver copies what is received, while it starts: from then on no segment goes
 * beyond the linear mapping.
 */
void vmi__device_limit_to_linear(struct vmi__device *device);

/* Copies a packet to segments of the linear mapping that have room for it. */
void vmi__device_scatter(const struct vmi_segment *segments, const void *packet, uint32_t bytes);

#endif
