/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by virtio. Source: VIRTIO 1.2, 5.1 (network device). Queue n of the interface's table is
 * virtqueue n: receiveq1 is 0, transmitq1 is 1 (5.1.2). More than one pair needs the control queue,
 * which is not used.
 */
#include "driver.h"
#include "runtime.h"
#include "virtio/virtio.h"

#define FEATURE_MTU     (1ull << 3)
#define FEATURE_ADDRESS (1ull << 5)
#define FEATURE_STATUS  (1ull << 16)
/* No offloads: packets are as they are on the wire, and each is in one buffer. */
#define FEATURES                                                                                   \
    (FEATURE_MTU | FEATURE_ADDRESS | FEATURE_STATUS | VMI__VIRTIO_INDIRECT | VMI__VIRTIO_EVENT_IDX)

/* Configuration (5.1.4). */
enum { CONFIG_ADDRESS = 0, CONFIG_STATUS = 6, CONFIG_MTU = 10 };
#define STATUS_LINKED 1u

#define MTU          1500u /* where the device tells none */
#define MTU_LEAST    68u   /* 5.1.4.1 */
#define MTU_MOST     0xffffu
#define SEGMENT_MOST 0x20000u

/*
 * Before each packet (5.1.6). Without offloads it is zero when sent, and is not looked at when
 * received: all of a queue's packets have the same one.
 */
#define HEADER_BYTES 12u
#define HEADER_ROOM  64u

static VMI__ADDRESS_TAKEN bool describe(struct vmi__device *device)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi_device_properties *info = &device->info;
    uint64_t features = virtio->features;

    info->kind = VMI_DEVICE_NETWORK;
    for (uint32_t i = 0; features & FEATURE_ADDRESS && i < sizeof(info->address); i++)
        info->address[i] = (uint8_t)vmi__virtio_config(virtio, CONFIG_ADDRESS + i, 1);
    info->mtu = features & FEATURE_MTU ? vmi__virtio_config(virtio, CONFIG_MTU, 2) : MTU;
    if (info->mtu < MTU_LEAST || info->mtu > MTU_MOST)
        return false;
    info->segment_bytes = SEGMENT_MOST;
    info->segments = VMI__SEGMENTS_MAX;
    info->queues = 1;
    return true;
}

static const struct vmi__virtio_kind kind = {
    .type = 1,
    .features = FEATURES,
    .extra = 1, /* the header */
    .ring_room = HEADER_ROOM,
    .describe = describe,
};

static VMI__ADDRESS_TAKEN bool linked(struct vmi__device *device)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(device);

    return !(virtio->features & FEATURE_STATUS) ||
           vmi__virtio_config(virtio, CONFIG_STATUS, 2) & STATUS_LINKED;
}

/* ---- packets ---- */

static VMI__ADDRESS_TAKEN void pass(struct vmi__device *device, uint32_t number, uint32_t slot,
                                    const struct vmi_net_buffer *buffer)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi__virtqueue *queue = &virtio->queues[number];
    volatile struct vmi__virtio_descriptor *chain = vmi__virtio_chain(queue, slot);
    uint16_t flags = number % VMI__WAYS == VMI__RECEIVE ? VMI__VIRTIO_WRITE : 0;
    uint32_t count = 0;

    chain[count].address = vmi__physical(virtio->rooms[number]);
    chain[count].length = HEADER_BYTES;
    chain[count++].flags = flags;
    for (uint32_t i = 0; i < buffer->count; i++, count++) {
        chain[count].address = buffer->segments[i].address;
        chain[count].length = buffer->segments[i].length;
        chain[count].flags = flags;
    }
    vmi__virtio_give(queue, slot, count);
}

static VMI__ADDRESS_TAKEN enum vmi__taken take(struct vmi__device *device, uint32_t number,
                                               struct vmi__ended *ended)
{
    enum vmi__taken taken = vmi__virtio_take(device, number, ended);

    if (taken != VMI__TAKEN_ONE)
        return taken;
    ended->status = VMI_OK;
    if (number % VMI__WAYS == VMI__SEND)
        return taken;
    /* The header is written as well. */
    if (ended->length < HEADER_BYTES)
        return vmi__device_fault(device, VMI_FAULT_LENGTH);
    ended->length -= HEADER_BYTES;
    return taken;
}

const struct vmi__driver vmi__driver_virtio_net;
const struct vmi__driver vmi__driver_virtio_net = {
    .name = "virtio-net",
    .family = &kind,
    .find = vmi__virtio_find,
    .memory = vmi__virtio_memory,
    .start = vmi__virtio_start,
    .stop = vmi__virtio_stop,
    .pass = pass,
    .linked = linked,
    .tell = vmi__virtio_tell,
    .take = take,
    .ask = vmi__virtio_ask,
    .message = vmi__virtio_message,
    .mask = vmi__virtio_mask,
    .acknowledge = vmi__virtio_acknowledge,
};
