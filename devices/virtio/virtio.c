/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "virtio/virtio.h"

#include "pci/registers.h"
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

#define LEGACY_PAGE 4096u /* 2.7.2 */

#define DESCRIPTOR_BYTES ((uint32_t)sizeof(struct vmi__virtio_descriptor))

/* What lies behind a ring is aligned to it. */
#define RING_ALIGNMENT 64u

/* ---- registers ---- */

static volatile char *place_of(const struct vmi__virtio *virtio, enum vmi__virtio_register which)
{
    return virtio->common + virtio->transport->registers[which].offset;
}

uint32_t vmi__virtio_get(const struct vmi__virtio *virtio, enum vmi__virtio_register which)
{
    const volatile char *at = place_of(virtio, which);
    uint32_t bytes = virtio->transport->registers[which].bytes;

    if (virtio->transport->legacy)
        return vmi__platform_port_read((uint16_t)(uintptr_t)at, bytes);
    switch (bytes) {
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
    uint32_t bytes = virtio->transport->registers[which].bytes;

    if (virtio->transport->legacy) {
        vmi__platform_port_write((uint16_t)(uintptr_t)at, value, bytes);
        return;
    }
    switch (bytes) {
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

bool vmi__virtio_reset(const struct vmi__virtio *virtio)
{
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, 0);
    for (uint32_t polls = 0; polls < RESETS_MAX; polls++) {
        if (!vmi__virtio_get(virtio, VMI__VIRTIO_STATUS))
            return true;
        vmi__platform_pause();
    }
    return false;
}

static uint64_t offered(const struct vmi__virtio *virtio)
{
    uint64_t upper;

    /* Without more to select from. */
    if (virtio->transport->legacy)
        return vmi__virtio_get(virtio, VMI__VIRTIO_OFFERED);
    vmi__virtio_set(virtio, VMI__VIRTIO_OFFERED_SELECT, 1);
    upper = (uint64_t)vmi__virtio_get(virtio, VMI__VIRTIO_OFFERED) << 32;
    vmi__virtio_set(virtio, VMI__VIRTIO_OFFERED_SELECT, 0);
    return upper | vmi__virtio_get(virtio, VMI__VIRTIO_OFFERED);
}

bool vmi__virtio_agree(struct vmi__virtio *virtio, uint64_t wanted)
{
    if (!vmi__virtio_reset(virtio))
        return false;
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, STATUS_ACKNOWLEDGE);
    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    virtio->features = offered(virtio) & (wanted | VMI__VIRTIO_VERSION_1);
    if (virtio->transport->legacy) {
        vmi__virtio_set(virtio, VMI__VIRTIO_ACCEPTED, (uint32_t)virtio->features);
        return true;
    }
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

uint32_t vmi__virtio_queue_most(const struct vmi__virtio *virtio, uint32_t queue)
{
    uint32_t size;

    vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_SELECT, queue);
    size = vmi__virtio_get(virtio, VMI__VIRTIO_QUEUE_MOST);
    return size & (size - 1) || size > VMI__VIRTIO_RING_MAX ? 0 : size; /* a power of 2 (2.7) */
}

uint32_t vmi__virtio_queues(const struct vmi__virtio *virtio)
{
    uint32_t queues = 0;

    if (virtio->transport->registers[VMI__VIRTIO_QUEUES].bytes)
        return vmi__virtio_get(virtio, VMI__VIRTIO_QUEUES);
    while (queues < QUEUES_MOST && vmi__virtio_queue_most(virtio, queues))
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

/* ---- queues ---- */

/*
 * Size of a ring for so many slots, a power of 2, also where a queue may not have that; by the
 * legacy interface all of `most`, for that is what it has.
 */
static uint32_t ring_size(const struct vmi__virtio *virtio, uint32_t most, uint32_t slots,
                          uint32_t chain)
{
    uint32_t least = virtio->features & VMI__VIRTIO_INDIRECT ? slots : slots * chain, size = 2;

    while (size < least)
        size *= 2;
    return virtio->transport->legacy && size <= most ? most : size;
}

/*
 * Where the parts of a queue begin (2.7: descriptors by 16 bytes, available by 2, used by 4; on a
 * page by the legacy interface).
 */
static uint32_t available_at(uint32_t size)
{
    return DESCRIPTOR_BYTES * size;
}

static uint32_t used_at(const struct vmi__virtio *virtio, uint32_t size)
{
    uint32_t alignment = virtio->transport->legacy ? LEGACY_PAGE : 4;

    return (available_at(size) + 2 * (3 + size) + alignment - 1) & ~(alignment - 1);
}

static uint32_t tables_at(const struct vmi__virtio *virtio, uint32_t size)
{
    return (used_at(virtio, size) + 8 * size + 6 + 15) & ~15u;
}

uintptr_t vmi__virtio_ring_bytes(const struct vmi__virtio *virtio, uint32_t most, uint32_t slots,
                                 uint32_t chain)
{
    uint32_t size = ring_size(virtio, most, slots, chain);
    uint32_t tables =
        virtio->features & VMI__VIRTIO_INDIRECT ? slots * chain * DESCRIPTOR_BYTES : 0;

    return size > most
               ? 0
               : (tables_at(virtio, size) + tables + RING_ALIGNMENT - 1) & ~(RING_ALIGNMENT - 1);
}

static void set_addresses(const struct vmi__virtio *virtio, const struct vmi__virtqueue *queue,
                          uint32_t size)
{
    if (virtio->transport->legacy) {
        /* One page number, which also enables the queue. */
        uint64_t address = vmi__physical((const void *)(uintptr_t)queue->descriptors);

        vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_DESCRIPTORS, (uint32_t)(address / LEGACY_PAGE));
        return;
    }
    vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_SIZE, size);
    set_address(virtio, VMI__VIRTIO_QUEUE_DESCRIPTORS, queue->descriptors);
    set_address(virtio, VMI__VIRTIO_QUEUE_AVAILABLE, queue->available);
    set_address(virtio, VMI__VIRTIO_QUEUE_USED, queue->used);
}

bool vmi__virtio_open(struct vmi__virtio *virtio, struct vmi__virtqueue *queue, void *memory,
                      uint32_t slots)
{
    uint32_t most = vmi__virtio_queue_most(virtio, queue->number);
    uint32_t size = ring_size(virtio, most, slots, queue->chain);
    char *at = memory;

    if (size > most)
        return false;
    queue->size = (uint16_t)size;
    queue->event_index = virtio->features & VMI__VIRTIO_EVENT_IDX;
    queue->descriptors = (void *)at;
    queue->available = (void *)(at + available_at(size));
    queue->used = (void *)(at + used_at(virtio, size));
    queue->wanted = (void *)(at + used_at(virtio, size) + 4 + 8 * size); /* 2.7.10 */
    if (virtio->features & VMI__VIRTIO_INDIRECT)
        queue->tables = (void *)(at + tables_at(virtio, size));
    set_addresses(virtio, queue, size);
    if (!virtio->transport->wire(virtio, queue))
        return false;
    if (!virtio->transport->legacy)
        vmi__virtio_set(virtio, VMI__VIRTIO_QUEUE_ENABLE, 1);
    return true;
}

void vmi__virtio_ready(const struct vmi__virtio *virtio)
{
    uint32_t agreed = virtio->transport->legacy ? 0 : STATUS_FEATURES_OK;

    vmi__virtio_set(virtio, VMI__VIRTIO_STATUS,
                    STATUS_ACKNOWLEDGE | STATUS_DRIVER | agreed | STATUS_DRIVER_OK);
}

void vmi__virtio_shut(const struct vmi__virtio *virtio)
{
    /* Should it not reset itself: it reaches no memory all the same. */
    vmi__virtio_reset(virtio);
    virtio->transport->enable(virtio, false);
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
    if (virtio->transport->legacy)
        vmi__platform_port_write((uint16_t)(uintptr_t)queue->notify, queue->number, 2);
    else if (virtio->transport->wide)
        *(volatile uint32_t *)queue->notify = queue->number;
    else
        *(volatile uint16_t *)queue->notify = queue->number;
}

uint32_t vmi__virtio_next(struct vmi__virtqueue *queue, uint16_t index, uint32_t *slot,
                          uint32_t *length)
{
    uint16_t waiting = (uint16_t)(index - queue->taken);
    uint32_t id;

    if (waiting > (uint16_t)(queue->told - queue->taken))
        return VMI_FAULT_COUNT;
    vmi__compiler_fence();
    id = queue->used->ring[queue->taken & (queue->size - 1)].id;
    *length = queue->used->ring[queue->taken & (queue->size - 1)].length;
    queue->taken++;
    *slot = queue->tables ? id : id / queue->chain;
    return !queue->tables && id % queue->chain ? VMI_FAULT_IDENTIFIER : VMI_FAULT_NONE;
}
