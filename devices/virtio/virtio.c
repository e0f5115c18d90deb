/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "virtio/virtio.h"

#include "platform.h"
#include "runtime.h"

#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER      0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u

#define DESCRIPTOR_NEXT     1u
#define DESCRIPTOR_INDIRECT 4u
#define USED_NO_NOTIFY      1u

#define QUEUES_MOST 256u /* that are looked for where no register counts them */
#define RESETS_MAX  (1u << 20)
#define READS_MAX   16 /* of what the device may be changing */

#define DESCRIPTOR_BYTES ((uint32_t)sizeof(struct vmi__virtio_descriptor))
#define RING_MAX         0x8000u /* descriptors: no more than indices tell apart */

/* What lies behind a ring is aligned to it. */
#define ROOM_ALIGNMENT 64u

static const struct vmi__virtio_kind *kind_of(const struct vmi__device *device)
{
    return device->driver->family;
}

/* ---- registers ---- */

static volatile char *place_of(const struct vmi__virtio *virtio, enum vmi__virtio_register which)
{
    return virtio->common + virtio->transport->registers[which].offset;
}

uint32_t vmi__virtio_get(const struct vmi__virtio *virtio, enum vmi__virtio_register which)
{
    const volatile char *at = place_of(virtio, which);

    switch (virtio->transport->registers[which].bytes) {
    case 1:
        return *(const volatile uint8_t *)at;
    case 2:
        return *(const volatile uint16_t *)at;
    default:
        return *(const volatile uint32_t *)at;
    }
}

void vmi__virtio_set(const struct vmi__virtio *virtio, enum vmi__virtio_register which,
                     uint32_t value)
{
    volatile char *at = place_of(virtio, which);

    switch (virtio->transport->registers[which].bytes) {
    case 1:
        *(volatile uint8_t *)at = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)at = (uint16_t)value;
        break;
    default:
        *(volatile uint32_t *)at = value;
    }
}

/* The upper half of an address is behind the lower one. */
static void set_address(const struct vmi__virtio *virtio, enum vmi__virtio_register which,
                        const volatile void *linear)
{
    uint64_t address = vmi__physical((const void *)(uintptr_t)linear);
    volatile uint32_t *at = (volatile uint32_t *)place_of(virtio, which);

    at[0] = (uint32_t)address;
    at[1] = (uint32_t)(address >> 32);
}

/* ---- finding ---- */

static bool reset(const struct vmi__virtio *virtio)
{
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, 0);
    for (uint32_t polls = 0; polls < RESETS_MAX; polls++) {
        if (!vmi__virtio_get(virtio, VMI__VIRTIO_STATUS))
            return true;
        vmi__platform_pause();
    }
    return false;
}

/* Resets it and agrees on what it offers of `wanted`, VERSION_1 among it; false if it does not. */
static bool agree(struct vmi__virtio *virtio, uint64_t wanted)
{
    uint64_t offered;

    if (!reset(virtio))
        return false;
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, STATUS_ACKNOWLEDGE);
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    vmi__virtio_set(virtio, VMI__VIRTIO_OFFERED_SELECT, 1);
    offered = (uint64_t)vmi__virtio_get(virtio, VMI__VIRTIO_OFFERED) << 32;
    vmi__virtio_set(virtio, VMI__VIRTIO_OFFERED_SELECT, 0);
    offered |= vmi__virtio_get(virtio, VMI__VIRTIO_OFFERED);
    virtio->features = offered & (wanted | VMI__VIRTIO_VERSION_1);
    if (!(virtio->features & VMI__VIRTIO_VERSION_1))
        return false;
    vmi__virtio_set(virtio, VMI__VIRTIO_ACCEPTED_SELECT, 0);
    vmi__virtio_set(virtio, VMI__VIRTIO_ACCEPTED, (uint32_t)virtio->features);
    vmi__virtio_set(virtio, VMI__VIRTIO_ACCEPTED_SELECT, 1);
    vmi__virtio_set(virtio, VMI__VIRTIO_ACCEPTED, (uint32_t)(virtio->features >> 32));
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS,
                    STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return vmi__virtio_get(virtio, VMI__VIRTIO_STATUS) & STATUS_FEATURES_OK;
}

/* How large a queue may be, 0: there is none. Between agreeing and starting. */
static uint32_t queue_size(const struct vmi__virtio *virtio, uint32_t queue)
{
    uint32_t size;

    vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_SELECT, queue);
    size = vmi__virtio_get(virtio, VMI__VIRTIO_QUEUE_MOST);
    return size & (size - 1) || size > RING_MAX ? 0 : size; /* a power of 2 (2.7) */
}

uint32_t vmi__virtio_queues(const struct vmi__virtio *virtio)
{
    uint32_t queues = 0;

    if (virtio->transport->registers[VMI__VIRTIO_QUEUES].bytes)
        return vmi__virtio_get(virtio, VMI__VIRTIO_QUEUES);
    while (queues < QUEUES_MOST && queue_size(virtio, queues))
        queues++;
    return queues;
}

static uint32_t config_once(const struct vmi__virtio *virtio, uint32_t offset, uint32_t bytes)
{
    if (!virtio->config || offset + bytes > virtio->config_bytes)
        return 0;
    switch (bytes) {
    case 1:
        return *(const volatile uint8_t *)(virtio->config + offset);
    case 2:
        return *(const volatile uint16_t *)(virtio->config + offset);
    default:
        return *(const volatile uint32_t *)(virtio->config + offset);
    }
}

uint32_t vmi__virtio_config(const struct vmi__virtio *virtio, uint32_t offset, uint32_t bytes)
{
    return config_once(virtio, offset, bytes);
}

/* Two reads of one value: of the same generation (2.5.1). */
uint64_t vmi__virtio_config64(const struct vmi__virtio *virtio, uint32_t offset)
{
    uint64_t value = 0;

    for (uint32_t i = 0; i < READS_MAX; i++) {
        uint32_t generation = vmi__virtio_get(virtio, VMI__VIRTIO_GENERATION);

        value = config_once(virtio, offset, 4);
        value |= (uint64_t)config_once(virtio, offset + 4, 4) << 32;
        if (vmi__virtio_get(virtio, VMI__VIRTIO_GENERATION) == generation)
            break;
    }
    return value;
}

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
    virtio->most = RING_MAX;
    for (uint32_t i = 0; i < queues; i++)
        virtio->most = vmi__least(virtio->most, queue_size(virtio, i));
    info->requests = vmi__least(virtio->most / chain, VMI__REQUESTS_MAX);
    return info->requests;
}

bool vmi__virtio_look(struct vmi__device *device)
{
    bool sound = agree(vmi__virtio_of(device), kind_of(device)->features) &&
                 kind_of(device)->describe(device) && limit(device);

    vmi__virtio_stop(device);
    return sound;
}

/* ---- queues ---- */

/* Size of a ring for so many slots, a power of 2. */
static uint32_t ring_size(const struct vmi__virtio *virtio, uint32_t slots, uint32_t chain)
{
    uint32_t least = virtio->features & VMI__VIRTIO_INDIRECT ? slots : slots * chain, size = 2;

    while (size < least)
        size *= 2;
    return size;
}

/* Where the parts of a queue begin (2.7: descriptors by 16 bytes, available by 2, used by 4). */
static uint32_t available_at(uint32_t size)
{
    return DESCRIPTOR_BYTES * size;
}

static uint32_t used_at(uint32_t size)
{
    return (available_at(size) + 2 * (3 + size) + 3) & ~3u;
}

static uint32_t tables_at(uint32_t size)
{
    return (used_at(size) + 8 * size + 6 + 15) & ~15u;
}

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
    uint32_t size = ring_size(virtio, setup->requests, chain);
    uint32_t tables =
        virtio->features & VMI__VIRTIO_INDIRECT ? setup->requests * chain * DESCRIPTOR_BYTES : 0;
    uintptr_t ring = (tables_at(size) + tables + ROOM_ALIGNMENT - 1) & ~(ROOM_ALIGNMENT - 1);

    return size > virtio->most ? 0 : ring + room_bytes(device, setup);
}

uintptr_t vmi__virtio_memory(struct vmi__device *device, const struct vmi_device_setup *setup)
{
    return vmi__device_queues(device, setup) * vmi__virtio_queue_bytes(device, setup);
}

bool vmi__virtio_open(struct vmi__virtio *virtio, struct vmi__virtqueue *queue, void *memory,
                      uint32_t slots)
{
    uint32_t size = ring_size(virtio, slots, queue->chain);
    char *at = memory;

    if (size > queue_size(virtio, queue->number))
        return false;
    queue->size = (uint16_t)size;
    queue->event_index = virtio->features & VMI__VIRTIO_EVENT_IDX;
    queue->descriptors = (void *)at;
    queue->available = (void *)(at + available_at(size));
    queue->used = (void *)(at + used_at(size));
    queue->wanted = (void *)(at + used_at(size) + 4 + 8 * size); /* 2.7.10 */
    if (virtio->features & VMI__VIRTIO_INDIRECT)
        queue->tables = (void *)(at + tables_at(size));
    vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_SIZE, size);
    set_address(virtio, VMI__VIRTIO_QUEUE_DESCRIPTORS, queue->descriptors);
    set_address(virtio, VMI__VIRTIO_QUEUE_AVAILABLE, queue->available);
    set_address(virtio, VMI__VIRTIO_QUEUE_USED, queue->used);
    if (!virtio->transport->wire(virtio, queue))
        return false;
    vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_ENABLE, 1);
    return true;
}

bool vmi__virtio_begin(struct vmi__device *device, void *memory)
{
    const struct vmi_device_setup *setup = &device->setup;
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    uintptr_t each = vmi__virtio_queue_bytes(device, setup);
    uint64_t features = virtio->features;
    char *at = memory;
    bool same = agree(virtio, kind_of(device)->features) && virtio->features == features;

    /* What is known of the device goes by these, also when it is tried again. */
    virtio->features = features;
    if (!same)
        return false;
    virtio->transport->enable(device, true);
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

void vmi__virtio_ready(const struct vmi__virtio *virtio)
{
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS,
                    STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
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
    struct vmi__virtio *virtio = vmi__virtio_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    reset(virtio);
    virtio->transport->enable(device, false);
}

volatile struct vmi__virtio_descriptor *vmi__virtio_chain(struct vmi__virtqueue *queue,
                                                          uint32_t slot)
{
    return (queue->tables ? queue->tables : queue->descriptors) + slot * queue->chain;
}

void vmi__virtio_give(struct vmi__virtqueue *queue, uint32_t slot, uint32_t count)
{
    volatile struct vmi__virtio_descriptor *chain = vmi__virtio_chain(queue, slot);
    uint32_t first = queue->tables ? 0 : slot * queue->chain;
    uint32_t head = queue->tables ? slot : first;

    for (uint32_t i = 0; i + 1 < count; i++) {
        chain[i].flags |= DESCRIPTOR_NEXT;
        chain[i].next = (uint16_t)(first + i + 1);
    }
    if (queue->tables) {
        volatile struct vmi__virtio_descriptor *one = &queue->descriptors[head];

        one->address = vmi__physical((const void *)(uintptr_t)chain);
        one->length = count * DESCRIPTOR_BYTES;
        one->flags = DESCRIPTOR_INDIRECT;
        one->next = 0;
    }
    queue->available->ring[queue->given & (queue->size - 1)] = (uint16_t)head;
    queue->given++;
}

void vmi__virtio_notify(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue)
{
    uint16_t before = queue->told, now = queue->given;
    bool wanted;

    vmi__compiler_fence();
    queue->available->index = now;
    queue->told = now;
    vmi__platform_fence();
    if (queue->event_index) {
        uint16_t event = *queue->wanted;

        wanted = (uint16_t)(now - event - 1) < (uint16_t)(now - before);
    } else {
        wanted = !(queue->used->flags & USED_NO_NOTIFY);
    }
    if (!wanted)
        return;
    if (virtio->transport->wide)
        *(volatile uint32_t *)queue->notify = queue->number;
    else
        *(volatile uint16_t *)queue->notify = queue->number;
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
    uint16_t index = queue->used->index, waiting;
    uint32_t id;

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
    waiting = (uint16_t)(index - queue->taken);
    if (waiting > (uint16_t)(queue->told - queue->taken))
        return vmi__device_fault(device, VMI_FAULT_COUNT);
    vmi__compiler_fence();
    id = queue->used->ring[queue->taken & (queue->size - 1)].id;
    ended->length = queue->used->ring[queue->taken & (queue->size - 1)].length;
    queue->taken++;
    ended->slot = queue->tables ? id : id / queue->chain;
    if (!queue->tables && id % queue->chain)
        return vmi__device_fault(device, VMI_FAULT_IDENTIFIER);
    return VMI__TAKEN_ONE;
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
