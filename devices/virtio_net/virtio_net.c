/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by virtio. Source: VIRTIO 1.2, 5.1 (network device). Queue n of the interface's table is
 * virtqueue n: receiveq1 is 0, transmitq1 is 1 (5.1.2). The control queue, which is behind those of
 * all pairs that the device has, is there while more than one pair is used; it has one command.
 */
#include "driver.h"
#include "runtime.h"
#include "virtio/device.h"

#define FEATURE_MTU     (1ull << 3)
#define FEATURE_ADDRESS (1ull << 5)
#define FEATURE_STATUS  (1ull << 16)
#define FEATURE_CONTROL (1ull << 17)
#define FEATURE_PAIRS   (1ull << 22)
/* No offloads: packets are as they are on the wire, and each is in one buffer. */
#define FEATURES                                                                                   \
    (FEATURE_MTU | FEATURE_ADDRESS | FEATURE_STATUS | FEATURE_CONTROL | FEATURE_PAIRS |            \
     VMI__VIRTIO_INDIRECT | VMI__VIRTIO_EVENT_IDX)

/* Configuration (5.1.4). */
enum { CONFIG_ADDRESS = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10 };
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

/* A command (5.1.6.5.5): how many pairs are used. It is behind its ring, where others have headers.
 */
struct command {
    uint8_t class, command;
    uint16_t pairs;
    uint8_t answer;
};
#define CLASS_PAIRS         4
#define COMMAND_SET         0
#define ANSWER_OK           0
#define ANSWER_NONE         0xff
#define ANSWER_MILLISECONDS 1000

/* The ring of commands: one, and its answer in place of a header. */
static const struct vmi_device_setup commands = {.queues = 1, .requests = 1, .segments = 1};
#define ANSWER_AT 4u

/* Pairs that the device has. */
static uint32_t pairs_of(const struct vmi__virtio *virtio)
{
    const uint64_t both = FEATURE_CONTROL | FEATURE_PAIRS;

    return (virtio->features & both) == both ? vmi__virtio_config(virtio, CONFIG_PAIRS, 2) : 1;
}

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
    info->queues = vmi__least(pairs_of(virtio), VMI__QUEUES_MAX / VMI__WAYS);
    if (virtio->msix.entries && virtio->msix.count >= VMI__WAYS)
        info->queues = vmi__least(info->queues, virtio->msix.count / VMI__WAYS);
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

/* ---- starting ---- */

static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                           const struct vmi_device_setup *setup)
{
    uintptr_t bytes = vmi__virtio_memory(device, setup);

    return bytes && setup->queues > 1 ? bytes + vmi__virtio_queue_bytes(device, &commands) : bytes;
}

/* Has the device use as many pairs as it was opened with; false if it does not say that it does. */
static bool set_pairs(struct vmi__device *device, struct vmi__virtqueue *queue,
                      volatile struct command *command)
{
    volatile struct vmi__virtio_descriptor *chain = vmi__virtio_chain(queue, 0);
    uint64_t at = vmi__physical((const void *)(uintptr_t)command);

    command->class = CLASS_PAIRS;
    command->command = COMMAND_SET;
    command->pairs = (uint16_t)device->setup.queues;
    command->answer = ANSWER_NONE;
    chain[0].address = at;
    chain[0].length = ANSWER_AT;
    chain[0].flags = 0;
    chain[1].address = at + ANSWER_AT;
    chain[1].length = 1;
    chain[1].flags = VMI__VIRTIO_WRITE;
    vmi__virtio_give(queue, 0, 2);
    vmi__virtio_notify(vmi__virtio_of(device), queue);
    /* The index is the upper half of the word that the used ring begins with. */
    return vmi__wait_for((const volatile uint32_t *)queue->used, 0xffff0000, 1u << 16,
                         ANSWER_MILLISECONDS) &&
           command->answer == ANSWER_OK;
}

static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    char *ring = (char *)at + vmi__virtio_memory(device, &device->setup);
    char *behind = ring + vmi__virtio_queue_bytes(device, &commands);
    struct vmi__virtqueue control = {
        .number = (uint16_t)(VMI__WAYS * pairs_of(virtio)),
        .message = VMI__VIRTIO_NO_MESSAGE,
        .chain = (uint16_t)(commands.segments + 1),
    };

    if (device->setup.queues == 1)
        return vmi__virtio_start(device, at);
    if (!vmi__virtio_begin(device, at) ||
        !vmi__virtio_open(virtio, &control, ring, commands.requests))
        return false;
    vmi__virtio_ready(virtio);
    return set_pairs(device, &control, (struct command *)(behind - HEADER_ROOM));
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
    .memory = memory,
    .start = start,
    .stop = vmi__virtio_stop,
    .pass = pass,
    .linked = linked,
    .tell = vmi__virtio_tell,
    .take = take,
    .ask = vmi__virtio_ask,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = vmi__virtio_acknowledge,
};
