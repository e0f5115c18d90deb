/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Memory balloons by virtio. Source: VIRTIO 1.2, 5.5 (traditional memory balloon device). The
 * device takes lists of frames by inflateq and deflateq, and has answered when it has given a list
 * back, which is waited for. A buffer of statistics is always with it (statsq): it gives that back
 * when somebody asks, and keeps the next one until somebody asks again.
 */
#include "driver.h"
#include "platform.h"
#include "runtime.h"
#include "virtio/device.h"

#define FEATURE_MUST_TELL_HOST (1ull << 0)
#define FEATURE_STATISTICS     (1ull << 1)

/* Configuration (5.5.4). */
enum { CONFIG_TARGET = 0, CONFIG_ACTUAL = 4 };

/* Virtqueues (5.5.2), of which the interface's table has the first. */
enum { INFLATE, DEFLATE, STATISTICS, QUEUES };

/* Tags of statistics (5.5.6.4). */
enum { TAG_MINOR_FAULTS = 3, TAG_FREE = 4, TAG_TOTAL = 5, TAG_AVAILABLE = 6 };
#define TAGS 4u

struct statistic {
    uint16_t tag;
    uint64_t value;
} __attribute__((packed));

/* Rings of one list or buffer. */
static const struct vmi_device_setup one = {.queues = 1, .requests = 1, .segments = 1};

#define LIST_BYTES      (VMI__BALLOON_FRAMES * (uint32_t)sizeof(uint32_t))
#define STATISTIC_BYTES (TAGS * (uint32_t)sizeof(struct statistic))

/* An answer is looked for so often, with that between. */
#define LOOKS             100000u
#define LOOK_MICROSECONDS 10u

struct balloon {
    struct vmi__virtio virtio; /* first: virtio.h */
    struct statistic *statistics;
    uint32_t noted; /* the target when an interrupt ended last */
};
_Static_assert(sizeof(struct balloon) <= VMI__DRIVER_BYTES, "a driver's record has no room for it");

static struct balloon *balloon_of(struct vmi__device *device)
{
    return (struct balloon *)device->own;
}

static bool has_statistics(struct vmi__device *device)
{
    return vmi__virtio_of(device)->features & FEATURE_STATISTICS;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool describe(struct vmi__device *device)
{
    struct vmi_device_properties *info = &device->info;

    info->kind = VMI_DEVICE_BALLOON;
    info->queues = 1;
    info->segments = 1;
    return vmi__virtio_queues(vmi__virtio_of(device)) >=
           (has_statistics(device) ? QUEUES : STATISTICS);
}

static const struct vmi__virtio_kind kind = {
    .type = 5,
    .features = FEATURE_MUST_TELL_HOST | FEATURE_STATISTICS | VMI__VIRTIO_EVENT_IDX,
    .describe = describe,
};

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN uint32_t target(struct vmi__device *device)
{
    return vmi__virtio_config(vmi__virtio_of(device), CONFIG_TARGET, 4);
}

/* ---- starting ---- */

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN uintptr_t memory(struct vmi__device *device,
                                                         const struct vmi_device_setup *setup)
{
    uintptr_t first = vmi__virtio_memory(device, setup),
              each = vmi__virtio_queue_bytes(device, &one);

    return first && each ? first + (QUEUES - 1) * each + LIST_BYTES + STATISTIC_BYTES : 0;
}

/* Gives the device the buffer of a queue that has one, at its slot 0, and says so. */
VMI__RUN_ONCE static void give(struct vmi__device *device, uint32_t number, const void *buffer,
                               uint32_t bytes)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    struct vmi__virtqueue *queue = &virtio->queues[number];
    volatile struct vmi__virtio_descriptor *chain = vmi__virtio_chain(queue, 0);

    chain->address = vmi__physical(buffer);
    chain->length = bytes;
    chain->flags = 0;
    vmi__virtio_give(queue, 0, 1);
    vmi__virtio_notify(virtio, queue);
}

/* The first of them, or all. */
VMI__RUN_ONCE static void give_statistics(struct vmi__device *device,
                                          const struct vmi_balloon_statistics *said, uint32_t tags)
{
    struct balloon *balloon = balloon_of(device);
    const struct statistic all[TAGS] = {{TAG_MINOR_FAULTS, said->faults},
                                        {TAG_FREE, said->free},
                                        {TAG_TOTAL, said->total},
                                        {TAG_AVAILABLE, said->available}};

    memcpy(balloon->statistics, all, sizeof(all));
    give(device, STATISTICS, balloon->statistics, tags * (uint32_t)sizeof(all[0]));
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool start(struct vmi__device *device, void *at)
{
    /* Before somebody asks nothing is known, but a buffer has to say something. */
    static const struct vmi_balloon_statistics nothing;
    struct balloon *balloon = balloon_of(device);
    struct vmi__virtio *virtio = &balloon->virtio;
    uint32_t queues = has_statistics(device) ? QUEUES : STATISTICS;
    uintptr_t each = vmi__virtio_queue_bytes(device, &one);
    char *next = (char *)at + vmi__virtio_memory(device, &device->setup);

    if (!vmi__virtio_begin(device, at))
        return false;
    for (uint32_t i = DEFLATE; i < queues; i++, next += each) {
        struct vmi__virtqueue *queue = &virtio->queues[i];

        *queue = (struct vmi__virtqueue){
            .number = (uint16_t)i,
            .message = i == STATISTICS && device->messages ? 0 : VMI__VIRTIO_NO_MESSAGE,
            .chain = (uint16_t)one.segments,
        };
        if (!vmi__virtio_open(virtio, queue, next, one.requests))
            return false;
    }
    if (device->messages) {
        vmi__virtio_set(virtio, VMI__VIRTIO_CONFIG_MESSAGE, 0);
        if (vmi__virtio_get(virtio, VMI__VIRTIO_CONFIG_MESSAGE))
            return false;
    }
    device->frames = (uint32_t *)next;
    balloon->statistics = (struct statistic *)(next + LIST_BYTES);
    balloon->noted = target(device);
    vmi__virtio_ready(virtio);
    if (queues == QUEUES)
        give_statistics(device, &nothing, 1);
    return true;
}

/* ---- at work ---- */

/*
 * Has the device given back what it was given in a queue, which is one thing? An interrupt line is
 * not lowered for that: it may be up because the target has changed.
 */
VMI__RUN_ONCE static enum vmi__taken taken_back(struct vmi__device *device, uint32_t number)
{
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];
    uint16_t index = queue->used->index;
    struct vmi__ended ended;
    enum vmi__taken taken;

    if (index == queue->taken)
        return VMI__TAKEN_NONE;
    queue->noted = index;
    taken = vmi__virtio_take(device, number, &ended);
    if (taken == VMI__TAKEN_ONE && ended.slot)
        return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
    if (taken == VMI__TAKEN_ONE && ended.length)
        return vmi__device_fault(device, VMI_FAULT_LENGTH);
    return taken;
}

/* Says how many frames there are in the balloon, for the host to see. */
VMI__RUN_ONCE static void tell_actual(struct vmi__device *device, uint32_t held)
{
    const struct vmi__virtio *virtio = vmi__virtio_of(device);

    if (virtio->config_bytes >= CONFIG_ACTUAL + sizeof(held))
        *(volatile uint32_t *)(uintptr_t)(virtio->config + CONFIG_ACTUAL) = held;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN int32_t move(struct vmi__device *device, uint32_t count,
                                                     bool inflate)
{
    uint32_t number = inflate ? INFLATE : DEFLATE;
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];
    enum vmi__taken taken = VMI__TAKEN_NONE;

    /* No event is asked for (2.7.7, 2.7.10): the one behind this answer would be told of. */
    if (queue->event_index)
        queue->available->ring[queue->size] = (uint16_t)(queue->taken - 1);
    else
        queue->available->flags = VMI__VIRTIO_NO_INTERRUPT;
    give(device, number, device->frames, count * (uint32_t)sizeof(*device->frames));
    for (uint32_t looks = 0; looks < LOOKS && taken == VMI__TAKEN_NONE; looks++) {
        taken = taken_back(device, number);
        if (taken == VMI__TAKEN_NONE)
            vmi__platform_delay(LOOK_MICROSECONDS);
    }
    if (taken == VMI__TAKEN_NONE)
        vmi__device_fault(device, VMI_FAULT_SILENT);
    if (taken != VMI__TAKEN_ONE)
        return VMI_EIO;
    tell_actual(device, inflate ? device->held + count : device->held - count);
    return (int32_t)count;
}

VMI__RUN_ONCE static VMI__ADDRESS_TAKEN int32_t
report(struct vmi__device *device, const struct vmi_balloon_statistics *statistics)
{
    struct vmi_balloon_statistics said = *statistics;
    enum vmi__taken taken;

    if (!has_statistics(device))
        return VMI_ENOSYS;
    taken = taken_back(device, STATISTICS);
    if (taken == VMI__TAKEN_NONE && vmi__virtio_ask(device, STATISTICS))
        taken = taken_back(device, STATISTICS);
    if (taken != VMI__TAKEN_ONE)
        return taken == VMI__TAKEN_NONE ? VMI_EAGAIN : VMI_EIO;
    give_statistics(device, &said, TAGS);
    vmi__virtio_ask(device, STATISTICS);
    return VMI_OK;
}

/*
 * The target, or a buffer of statistics that is back, may have come between the handler's look and
 * this. Each is said again once, for the handler may leave it be.
 */
VMI__RUN_ONCE static VMI__ADDRESS_TAKEN bool acknowledge(struct vmi__device *device)
{
    struct balloon *balloon = balloon_of(device);
    bool again = vmi__virtio_acknowledge(device);
    uint32_t now = target(device);
    uint16_t index;

    again |= now != balloon->noted;
    balloon->noted = now;
    if (has_statistics(device)) {
        struct vmi__virtqueue *queue = &balloon->virtio.queues[STATISTICS];

        index = queue->used->index;
        again |= index != queue->noted;
        queue->noted = index;
    }
    return again;
}

static const struct vmi__balloon ways = {
    .target = target,
    .move = move,
    .report = report,
};

const struct vmi__driver vmi__driver_virtio_balloon;
const struct vmi__driver vmi__driver_virtio_balloon = {
    .name = "virtio-balloon",
    .family = &kind,
    .find = vmi__virtio_find,
    .memory = memory,
    .start = start,
    .stop = vmi__virtio_stop,
    .balloon = &ways,
    .message = vmi__pci_device_message,
    .mask = vmi__pci_device_mask,
    .acknowledge = acknowledge,
};
