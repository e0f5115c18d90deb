/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "virtio/virtio.h"

#include "platform.h"
#include "runtime.h"

#define VENDOR           0x1af4u
#define ID_MODERN        0x1040u /* and the type */
#define ID_TRANSITIONAL  0x1000u /* the type is the subsystem's identifier (4.1.2.3) */
#define ID_TRANSITIONALS 0x40u

/* A vendor's capability (4.1.4): type and BAR by byte, then offset and length. */
#define CAPABILITY_VENDOR 0x09
#define CAPABILITY_TYPE   3
#define CAPABILITY_BAR    4
#define CAPABILITY_OFFSET 8
#define CAPABILITY_LENGTH 12
#define CAPABILITY_STEP   16 /* of notifications */
enum { COMMON = 1, NOTIFY = 2, INTERRUPT = 3, CONFIG = 4 };

/* Common configuration (4.1.4.3). */
enum {
    OFFERED_SELECT = 0,
    OFFERED = 4,
    ACCEPTED_SELECT = 8,
    ACCEPTED = 12,
    CONFIG_VECTOR = 16,
    QUEUES = 18,
    STATUS = 20,
    GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY = 30,
    QUEUE_DESCRIPTORS = 32,
    QUEUE_AVAILABLE = 40,
    QUEUE_USED = 48,
    COMMON_BYTES = 56,
};

#define NO_VECTOR 0xffffu

#define STATUS_ACKNOWLEDGE 0x01u
#define STATUS_DRIVER      0x02u
#define STATUS_DRIVER_OK   0x04u
#define STATUS_FEATURES_OK 0x08u

#define DESCRIPTOR_NEXT     1u
#define DESCRIPTOR_INDIRECT 4u
#define USED_NO_NOTIFY      1u

#define RESETS_MAX (1u << 20)
#define READS_MAX  16 /* of what the device may be changing */

#define DESCRIPTOR_BYTES ((uint32_t)sizeof(struct vmi__virtio_descriptor))
#define RING_MAX         0x8000u /* descriptors: no more than indices tell apart */

/* What lies behind a ring is aligned to it. */
#define ROOM_ALIGNMENT 64u

static const struct vmi__virtio_kind *kind_of(const struct vmi__device *device)
{
    return device->driver->family;
}

/* ---- registers ---- */

static uint32_t read8(const struct vmi__virtio *virtio, uint32_t offset)
{
    return *(volatile uint8_t *)(virtio->common + offset);
}

static uint32_t read16(const struct vmi__virtio *virtio, uint32_t offset)
{
    return *(volatile uint16_t *)(virtio->common + offset);
}

static void write8(const struct vmi__virtio *virtio, uint32_t offset, uint32_t value)
{
    *(volatile uint8_t *)(virtio->common + offset) = (uint8_t)value;
}

static void write16(const struct vmi__virtio *virtio, uint32_t offset, uint32_t value)
{
    *(volatile uint16_t *)(virtio->common + offset) = (uint16_t)value;
}

static uint32_t read32(const struct vmi__virtio *virtio, uint32_t offset)
{
    return *(volatile uint32_t *)(virtio->common + offset);
}

static void write32(const struct vmi__virtio *virtio, uint32_t offset, uint32_t value)
{
    *(volatile uint32_t *)(virtio->common + offset) = value;
}

static void write_address(const struct vmi__virtio *virtio, uint32_t offset,
                          const volatile void *linear)
{
    uint64_t address = vmi__physical((const void *)(uintptr_t)linear);

    write32(virtio, offset, (uint32_t)address);
    write32(virtio, offset + 4, (uint32_t)(address >> 32));
}

/* Everything before is seen by the device before anything behind is read. */
static void fence(void)
{
    __sync_synchronize();
}

/* ---- finding ---- */

/* Maps what the first sound capability of a kind leads to; *bytes is its length, `at` its offset.
 */
static volatile void *find_part(uint32_t place, uint32_t kind, uint32_t least, uint32_t *bytes,
                                uint32_t *at)
{
    uint32_t alignment = kind == INTERRUPT ? 1 : kind == NOTIFY ? 2 : 4; /* 4.1.4.3 to 4.1.4.6 */
    uint32_t offset = 0, first;

    /* The list of a device that lies may lead back to itself. */
    for (uint32_t i = 0; i < VMI__PCI_CAPABILITIES_MAX; i++) {
        volatile void *mapped;

        offset = vmi__pci_capability(place, CAPABILITY_VENDOR, offset);
        if (!offset)
            break;

        if (vmi__pci_read8(place, offset + CAPABILITY_TYPE) != kind)
            continue;
        *at = offset;
        *bytes = vmi__platform_pci_read(place, offset + CAPABILITY_LENGTH);
        first = vmi__platform_pci_read(place, offset + CAPABILITY_OFFSET);
        if (*bytes < least || first % alignment)
            continue;
        mapped = vmi__pci_map(place, vmi__pci_read8(place, offset + CAPABILITY_BAR), first, *bytes);
        if (mapped)
            return mapped;
    }
    return 0;
}

/* Is it a virtio device of that type by the modern interface? Then it is ready to be started. */
static bool find_parts(struct vmi__virtio *virtio, uint32_t place, uint32_t type)
{
    uint32_t id = vmi__platform_pci_read(place, VMI__PCI_ID), bytes, at;

    if ((id & 0xffff) != VENDOR)
        return false;
    id >>= 16;
    if (id - ID_TRANSITIONAL < ID_TRANSITIONALS) {
        if (vmi__platform_pci_read(place, VMI__PCI_SUBSYSTEM) >> 16 != type)
            return false;
    } else if (id != ID_MODERN + type) {
        return false;
    }
    virtio->common = find_part(place, COMMON, COMMON_BYTES, &bytes, &at);
    virtio->interrupt = find_part(place, INTERRUPT, 1, &bytes, &at);
    virtio->config = find_part(place, CONFIG, 1, &virtio->config_bytes, &at);
    virtio->notify = find_part(place, NOTIFY, 2, &virtio->notify_bytes, &at);
    if (!virtio->common || !virtio->interrupt || !virtio->notify)
        return false;
    virtio->notify_step = vmi__platform_pci_read(place, at + CAPABILITY_STEP);
    vmi__msix_find(&virtio->msix, place);
    vmi__pci_enable(place, false);
    return true;
}

static bool reset(const struct vmi__virtio *virtio)
{
    write8(virtio, STATUS, 0);
    for (uint32_t polls = 0; polls < RESETS_MAX; polls++) {
        if (!read8(virtio, STATUS))
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
    write8(virtio, STATUS, STATUS_ACKNOWLEDGE);
    write8(virtio, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    write32(virtio, OFFERED_SELECT, 1);
    offered = (uint64_t)read32(virtio, OFFERED) << 32;
    write32(virtio, OFFERED_SELECT, 0);
    offered |= read32(virtio, OFFERED);
    virtio->features = offered & (wanted | VMI__VIRTIO_VERSION_1);
    if (!(virtio->features & VMI__VIRTIO_VERSION_1))
        return false;
    write32(virtio, ACCEPTED_SELECT, 0);
    write32(virtio, ACCEPTED, (uint32_t)virtio->features);
    write32(virtio, ACCEPTED_SELECT, 1);
    write32(virtio, ACCEPTED, (uint32_t)(virtio->features >> 32));
    write8(virtio, STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return read8(virtio, STATUS) & STATUS_FEATURES_OK;
}

uint32_t vmi__virtio_queues(const struct vmi__virtio *virtio)
{
    return read16(virtio, QUEUES);
}

/* How large a queue may be, 0: there is none. Between agreeing and starting. */
static uint32_t queue_size(const struct vmi__virtio *virtio, uint32_t queue)
{
    uint32_t size;

    write16(virtio, QUEUE_SELECT, queue);
    size = read16(virtio, QUEUE_SIZE);
    return size & (size - 1) || size > RING_MAX ? 0 : size; /* a power of 2 (2.7) */
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
        uint32_t generation = read8(virtio, GENERATION);

        value = config_once(virtio, offset, 4);
        value |= (uint64_t)config_once(virtio, offset + 4, 4) << 32;
        if (read8(virtio, GENERATION) == generation)
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

static VMI__ADDRESS_TAKEN void probe(uint32_t place, void *context)
{
    struct vmi__device *device = vmi__device_add(context, place);
    struct vmi__virtio *virtio;

    if (!device)
        return;
    virtio = vmi__virtio_of(device);
    if (!find_parts(virtio, place, kind_of(device)->type))
        return;
    if (agree(virtio, kind_of(device)->features) && kind_of(device)->describe(device) &&
        limit(device))
        vmi__pci_device_keep(device);
    vmi__virtio_stop(device);
}

void vmi__virtio_find(const struct vmi__driver *driver)
{
    vmi__pci_each(probe, (void *)(uintptr_t)driver);
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

/* Bytes of a queue and of what is behind its ring; 0 if its slots are more than a ring takes. */
static uintptr_t queue_bytes(struct vmi__device *device, const struct vmi_device_setup *setup)
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
    return vmi__device_queues(device, setup) * queue_bytes(device, setup);
}

/* Makes a queue known to the device, at zeroed memory. */
static bool open_queue(struct vmi__virtio *virtio, uint32_t number, void *memory, uint32_t slots,
                       uint32_t chain)
{
    struct vmi__virtqueue *queue = &virtio->queues[number];
    uint32_t size = ring_size(virtio, slots, chain), notify;
    char *at = memory;

    if (size > queue_size(virtio, number))
        return false;
    memset(queue, 0, sizeof(*queue));
    queue->size = (uint16_t)size;
    queue->chain = (uint16_t)chain;
    queue->event_index = virtio->features & VMI__VIRTIO_EVENT_IDX;
    queue->descriptors = (void *)at;
    queue->available = (void *)(at + available_at(size));
    queue->used = (void *)(at + used_at(size));
    queue->wanted = (void *)(at + used_at(size) + 4 + 8 * size); /* 2.7.10 */
    if (virtio->features & VMI__VIRTIO_INDIRECT)
        queue->tables = (void *)(at + tables_at(size));
    write16(virtio, QUEUE_SIZE, size);
    write_address(virtio, QUEUE_DESCRIPTORS, queue->descriptors);
    write_address(virtio, QUEUE_AVAILABLE, queue->available);
    write_address(virtio, QUEUE_USED, queue->used);
    notify = read16(virtio, QUEUE_NOTIFY) * virtio->notify_step;
    if (notify > virtio->notify_bytes - 2 || notify % 2)
        return false;
    queue->notify = (volatile uint16_t *)(virtio->notify + notify);
    if (virtio->msix.entries) {
        write16(virtio, QUEUE_VECTOR, number);
        if (read16(virtio, QUEUE_VECTOR) != number)
            return false;
    }
    write16(virtio, QUEUE_ENABLE, 1);
    return true;
}

bool vmi__virtio_start(struct vmi__device *device, void *memory)
{
    const struct vmi_device_setup *setup = &device->setup;
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    uintptr_t each = queue_bytes(device, setup);
    uint64_t features = virtio->features;
    char *at = memory;
    bool same = agree(virtio, kind_of(device)->features) && virtio->features == features;

    /* What is known of the device goes by these, also when it is tried again. */
    virtio->features = features;
    if (!same)
        return false;
    vmi__msix_enable(&virtio->msix, device->place, true);
    for (uint32_t i = 0; i < device->opened; i++, at += each) {
        virtio->rooms[i] = at + each - room_bytes(device, setup);
        if (!open_queue(virtio, i, at, setup->requests, setup->segments + kind_of(device)->extra))
            return false;
    }
    vmi__pci_enable(device->place, true);
    write8(virtio, STATUS,
           STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    return true;
}

void vmi__virtio_stop(struct vmi__device *device)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);

    /* Should it not reset itself: it reaches no memory all the same. */
    reset(virtio);
    vmi__pci_enable(device->place, false);
    vmi__msix_enable(&virtio->msix, device->place, false);
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

void vmi__virtio_tell(struct vmi__device *device, uint32_t number)
{
    struct vmi__virtqueue *queue = &vmi__virtio_of(device)->queues[number];
    uint16_t before = queue->told, now = queue->given;
    bool wanted;

    vmi__compiler_fence();
    queue->available->index = now;
    queue->told = now;
    fence();
    if (queue->event_index) {
        uint16_t event = *queue->wanted;

        wanted = (uint16_t)(now - event - 1) < (uint16_t)(now - before);
    } else {
        wanted = !(queue->used->flags & USED_NO_NOTIFY);
    }
    if (wanted)
        *queue->notify = (uint16_t)number;
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
        (void)*virtio->interrupt;
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
        fence();
    }
    return queue->used->index != queue->taken;
}

/* ---- interrupts ---- */

bool vmi__virtio_acknowledge(struct vmi__device *device)
{
    struct vmi__virtio *virtio = vmi__virtio_of(device);
    bool again = false;

    (void)*virtio->interrupt;
    for (uint32_t i = 0; i < device->opened; i++) {
        struct vmi__virtqueue *queue = &virtio->queues[i];
        uint16_t index = queue->used->index;

        again |= index != queue->noted;
        queue->noted = index;
    }
    return again;
}
