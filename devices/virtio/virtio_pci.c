/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices on PCI by the modern interface. Source: VIRTIO 1.2, 4.1.
 */
#include "virtio/virtio.h"

#include "platform.h"

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

/* Common configuration (4.1.4.3), beside the registers that other transports have, too. */
#define QUEUE_VECTOR 26
#define QUEUE_NOTIFY 30
#define COMMON_BYTES 56

/* ---- at work ---- */

static VMI__ADDRESS_TAKEN void enable(const struct vmi__virtio *virtio, bool on)
{
    /* Messages are on as long as a device may send any: it would raise its line in their stead. */
    if (on)
        vmi__msix_enable(&virtio->msix, virtio->place, true);
    vmi__pci_enable(virtio->place, on);
    if (!on)
        vmi__msix_enable(&virtio->msix, virtio->place, false);
}

static VMI__ADDRESS_TAKEN bool wire(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue)
{
    volatile uint16_t *vector = (volatile uint16_t *)(virtio->common + QUEUE_VECTOR);
    uint32_t notify =
        *(const volatile uint16_t *)(virtio->common + QUEUE_NOTIFY) * virtio->notify_step;

    if (notify > virtio->notify_bytes - 2 || notify % 2)
        return false;
    queue->notify = virtio->notify + notify;
    if (!virtio->msix.entries)
        return true;
    *vector = queue->message;
    return *vector == queue->message;
}

/* Reading it is enough (4.1.4.5). */
static VMI__ADDRESS_TAKEN void lower(const struct vmi__virtio *virtio)
{
    (void)*virtio->interrupt;
}

static const struct vmi__virtio_transport pci = {
    .registers =
        {
            [VMI__VIRTIO_OFFERED_SELECT] = {0, 4},
            [VMI__VIRTIO_OFFERED] = {4, 4},
            [VMI__VIRTIO_ACCEPTED_SELECT] = {8, 4},
            [VMI__VIRTIO_ACCEPTED] = {12, 4},
            [VMI__VIRTIO_CONFIG_MESSAGE] = {16, 2},
            [VMI__VIRTIO_QUEUES] = {18, 2},
            [VMI__VIRTIO_STATUS] = {20, 1},
            [VMI__VIRTIO_GENERATION] = {21, 1},
            [VMI__VIRTIO_QUEUE_SELECT] = {22, 2},
            [VMI__VIRTIO_QUEUE_MOST] = {24, 2},
            [VMI__VIRTIO_QUEUE_SIZE] = {24, 2},
            [VMI__VIRTIO_QUEUE_ENABLE] = {28, 2},
            [VMI__VIRTIO_QUEUE_DESCRIPTORS] = {32, 4},
            [VMI__VIRTIO_QUEUE_AVAILABLE] = {40, 4},
            [VMI__VIRTIO_QUEUE_USED] = {48, 4},
        },
    .enable = enable,
    .wire = wire,
    .lower = lower,
};

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

bool vmi__virtio_on_pci(struct vmi__virtio *virtio, uint32_t place, uint32_t type)
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
    virtio->transport = &pci;
    virtio->place = place;
    vmi__pci_enable(place, false);
    return true;
}
