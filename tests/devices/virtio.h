/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for virtio share: a function on the bus (played_pci.h) whose registers are
 * plain memory, for drivers write what they then read. The rings are read and written where the
 * driver has told the device that they are.
 */
#ifndef VMI_TESTS_DEVICES_VIRTIO_H
#define VMI_TESTS_DEVICES_VIRTIO_H

#define BAR_SIZE 0x4000u
#define TABLE    0x3800u /* of MSI-X, in the BAR */
#define PART     0x1000u /* of the BAR has each of the parts of virtio */

#include "devices/played_pci.h"
#include "backends/virtio_rings.h"

/* By the standard itself: VIRTIO 1.2, 2.7, 4.1.4. */
enum { COMMON = 1, NOTIFY, INTERRUPT, CONFIG };
enum { OFFERED = 4, QUEUES = 18, STATUS = 20, QUEUE_SIZE = 24 };
enum { QUEUE_DESCRIPTORS = 32, QUEUE_AVAILABLE = 40, QUEUE_USED = 48 };

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
    plug_function(0x1af4u | identifier << 16);
    ended_index = 0;
    space[PCI_COMMAND / 4] = STATUS_LIST;
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
    plug_table(2);
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
