/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for virtio share: the interface (interface.c) with the bus below it and a
 * function on it whose registers are plain memory, for drivers write what they then read. The rings
 * are read and written where the driver has told the device that they are.
 */
#ifndef VMI_TESTS_DEVICES_VIRTIO_H
#define VMI_TESTS_DEVICES_VIRTIO_H

#include "devices/played_interface.h"

/* Of the bus and of virtio, by the standards themselves: VIRTIO 1.2, 2.7, 4.1.4; PCI 3.0, 6. */
#define PCI_ID           0x00
#define PCI_COMMAND      0x04
#define PCI_BAR0         0x10
#define PCI_CAPABILITIES 0x34
#define STATUS_LIST      0x00100000u
#define COMMAND_MEMORY   0x0002u
#define COMMAND_MASTER   0x0004u
#define COMMAND_NO_INTX  0x0400u
enum { COMMON = 1, NOTIFY, INTERRUPT, CONFIG };
enum { OFFERED = 4, QUEUES = 18, STATUS = 20, QUEUE_SIZE = 24 };
enum { QUEUE_DESCRIPTORS = 32, QUEUE_AVAILABLE = 40, QUEUE_USED = 48 };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags, next;
};
struct available {
    uint16_t flags, index, ring[];
};
struct used {
    uint16_t flags, index;
    struct {
        uint32_t id, length;
    } ring[];
};

#define PLACE    0x18u /* of the function, by bus, slot and number */
#define BRIDGE   0x28u
#define BAR_SIZE 0x4000u
#define MSIX     0xa0u   /* where its capability is, if it has one */
#define TABLE    0x3800u /* and the table in the BAR */
#define PART     0x1000u /* of the BAR has each of the parts of virtio */

/* ---- the bus ---- */

static uint32_t place = PLACE;
static uint32_t space[64]; /* configuration of the one function */
static uint8_t bar[BAR_SIZE] __attribute__((aligned(4096)));
static bool sizing;

void vmi__platform_pause(void)
{
}

/* The function before one that is not the first of its place, and the bridge to another bus. */
static uint32_t other_function(uint32_t function, uint32_t offset)
{
    bool first = function == (place & ~7u), bridge = place >> 8 && function == BRIDGE;

    if (!first && !bridge)
        return ~0u;
    switch (offset) {
    case PCI_ID:
        return 0x12345678;
    case 0x0c: /* kind of header, and whether there are more functions */
        return first ? 0x00800000 : 0x00010000;
    case 0x18:
        return place >> 8 << 8; /* the bus behind it */
    default:
        return 0;
    }
}

uint32_t vmi__platform_pci_read(uint32_t function, uint32_t offset)
{
    EXPECT(offset < sizeof(space) && offset % 4 == 0);
    EXPECT(locks); /* in a search, too: another CPU may ask at the same time */
    if (function != place)
        return other_function(function, offset);
    if (offset == PCI_BAR0 && sizing)
        return ~(BAR_SIZE - 1) | (space[PCI_BAR0 / 4] & 15);
    return space[offset / 4];
}

void vmi__platform_pci_write(uint32_t function, uint32_t offset, uint32_t value)
{
    EXPECT(function == place);
    if (offset == PCI_BAR0) {
        EXPECT(!(space[1] & COMMAND_MEMORY)); /* not while it answers there */
        sizing = value == ~0u;
        EXPECT(sizing || value == space[PCI_BAR0 / 4]);
    }
    if (offset == MSIX)
        space[MSIX / 4] = value;
    if (offset == PCI_COMMAND)
        space[1] = (space[1] & 0xffff0000u) | (value & 0xffff);
}

volatile void *vmi__platform_map(uint64_t base, uintptr_t size)
{
    uint32_t low = space[PCI_BAR0 / 4];
    uint64_t offset = base - (low & ~15u) - (low & 4 ? (uint64_t)space[PCI_BAR0 / 4 + 1] << 32 : 0);

    EXPECT(!sizing);

    EXPECT(offset <= BAR_SIZE && size <= BAR_SIZE - offset);
    return offset <= BAR_SIZE && size <= BAR_SIZE - offset ? bar + offset : 0;
}

/* ---- the device ---- */

static uint16_t ended_index; /* of the used ring */

static void set(uint32_t part, uint32_t offset, uint32_t value, uint32_t bytes)
{
    memcpy(bar + part * PART + offset, &value, bytes);
}

/* A capability of the vendor's, behind which the next one is. */
static void capability(uint32_t at, uint32_t next, uint32_t kind)
{
    space[at / 4] = 9u | next << 8 | kind << 24;
    space[at / 4 + 1] = 0; /* BAR 0 */
    space[at / 4 + 2] = (kind - 1) * PART;
    space[at / 4 + 3] = PART;
    space[at / 4 + 4] = 0;
}

/* A sound function that nobody has looked at: of that identifier, and what it offers. */
static void plug_virtio(uint32_t identifier, uint32_t features, uint32_t queue_size)
{
    memset(space, 0, sizeof(space));
    memset(bar, 0, sizeof(bar));
    memset(devices, 0, sizeof(devices));
    count = 0;
    found = false;
    unbound = 0;
    ended_index = 0;
    space[PCI_ID / 4] = 0x1af4u | identifier << 16;
    space[PCI_COMMAND / 4] = STATUS_LIST;
    space[PCI_BAR0 / 4] = 0xfe000000u;
    space[PCI_CAPABILITIES / 4] = 0x40;
    capability(0x40, 0x58, COMMON);
    capability(0x58, 0x70, NOTIFY);
    capability(0x70, 0x88, INTERRUPT);
    capability(0x88, 0, CONFIG);
    /* Both halves of the features read the same: bit 0 of the upper one is VERSION_1. */
    set(0, OFFERED, 1 | features, 4);
    set(0, QUEUES, 1, 2);
    set(0, QUEUE_SIZE, queue_size, 2);
}

/* Message-signalled interrupts as well, two of them. */
static inline void plug_msix(void)
{
    capability(0x88, MSIX, CONFIG);
    space[MSIX / 4] = 0x11u | 1u << 16;
    space[MSIX / 4 + 1] = TABLE;
}

/* What DeviceInfo says of it. */
static struct vmi_device_properties look(void)
{
    struct vmi_device_properties info = info_of_first();

    EXPECT(space[1] & COMMAND_NO_INTX); /* its line is for whoever binds an event */
    return info;
}

/* Opens it with memory of the process. */
static int32_t open_with(struct vmi_device_setup setup)
{
    int32_t result = open_first(setup);

    EXPECT(space[1] & COMMAND_NO_INTX);
    EXPECT(result == VMI_EBUSY || !(space[1] & COMMAND_MASTER) == (result != VMI_OK));
    return result;
}

static uint32_t register_of(uint32_t offset)
{
    uint32_t value;

    memcpy(&value, bar + offset, 4);
    return value;
}

static inline void *ring(uint32_t offset)
{
    return (void *)(uintptr_t)register_of(offset);
}

static inline uint32_t ring_entries(void)
{
    return register_of(QUEUE_SIZE) & 0xffff;
}

/* The identifier of the request that was given as that one, from 0. */
static inline uint32_t given(uint32_t number)
{
    return ((struct available *)ring(QUEUE_AVAILABLE))->ring[number % ring_entries()];
}

/* Says that something has ended. */
static inline void say_ended(uint32_t id, uint32_t length)
{
    struct used *used = ring(QUEUE_USED);
    uint32_t size = ring_entries();

    used->ring[ended_index % size].id = id;
    used->ring[ended_index % size].length = length;
    used->index = ++ended_index;
}

/* ---- seeds ---- */

/* Up to four of the device's capabilities and registers are any. */
static inline void say_anything(void)
{
    for (uint32_t i = random() % 4; i < 4; i++) {
        uint32_t at = random();

        if (at % 2)
            space[0x40 / 4 + at / 2 % 24] = random() >> random() % 32;
        else
            bar[at / 2 % 4 * PART + random() % 64] = (uint8_t)random();
    }
}

#endif
