/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What checks of drivers for devices on PCI share: the interface (interface.c) with the bus below
 * it and a function on it, whose one BAR is memory of the process. The process has, before it
 * includes this: BAR_SIZE, and TABLE, where in the BAR the table of MSI-X is; and BAR, if it is not
 * the first one.
 */
#ifndef VMI_TESTS_DEVICES_PLAYED_PCI_H
#define VMI_TESTS_DEVICES_PLAYED_PCI_H

#include "devices/played_interface.h"

/* By the standard itself: PCI 3.0, 6. */
#define PCI_ID           0x00
#define PCI_COMMAND      0x04
#define PCI_BAR0         0x10
#define PCI_CAPABILITIES 0x34
#define STATUS_LIST      0x00100000u
#define COMMAND_MEMORY   0x0002u
#define COMMAND_MASTER   0x0004u
#define COMMAND_NO_INTX  0x0400u

#ifndef BAR
#define BAR 0u
#endif
#define PCI_BAR (PCI_BAR0 + 4 * BAR)

#define PLACE  0x18u /* of the function, by bus, slot and number */
#define BRIDGE 0x28u
#define MSIX   0xa0u /* where its capability is, if it has one */
#define MSI    0xb0u /* and that of MSI */

/* By 6.8.1. */
#define MSI_ENABLE  0x00010000u
#define MSI_SEVERAL 0x00700000u
#define MSI_WIDE    0x00800000u

static uint32_t place = PLACE;
static uint32_t space[64]; /* configuration of the one function */
static uint8_t bar[BAR_SIZE] __attribute__((aligned(4096)));
static bool sizing;

void vmi__platform_pause(void)
{
}

/* What the device does while the driver waits. */
static void (*while_waiting)(void);

void vmi__platform_delay(uint32_t microseconds)
{
    (void)microseconds;
    if (while_waiting)
        while_waiting();
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
    ALWAYS(offset < sizeof(space) && offset % 4 == 0);
    ALWAYS(locks); /* in a search, too: another CPU may ask at the same time */
    if (function != place)
        return other_function(function, offset);
    if (offset == PCI_BAR && sizing)
        return ~(BAR_SIZE - 1) | (space[PCI_BAR / 4] & 15);
    return space[offset / 4];
}

void vmi__platform_pci_write(uint32_t function, uint32_t offset, uint32_t value)
{
    ALWAYS(function == place);
    if (offset == PCI_BAR) {
        EXPECT(!(space[1] & COMMAND_MEMORY)); /* not while it answers there */
        sizing = value == ~0u;
        EXPECT(sizing || value == space[PCI_BAR / 4]);
    }
    if (offset == MSIX)
        space[MSIX / 4] = value;
    if (offset >= MSI && offset < MSI + 16) {
        EXPECT(offset == MSI || !(space[MSI / 4] & MSI_ENABLE)); /* not while it may be sent */
        space[offset / 4] = value;
    }
    if (offset == PCI_COMMAND)
        space[1] = (space[1] & 0xffff0000u) | (value & 0xffff);
}

volatile void *vmi__platform_map(uint64_t base, uintptr_t size)
{
    uint32_t low = space[PCI_BAR / 4];
    uint64_t offset = base - (low & ~15u) - (low & 4 ? (uint64_t)space[PCI_BAR / 4 + 1] << 32 : 0);

    EXPECT(!sizing);

    EXPECT(offset <= BAR_SIZE && size <= BAR_SIZE - offset);
    return offset <= BAR_SIZE && size <= BAR_SIZE - offset ? bar + offset : 0;
}

/* A function with that vendor and device, that nobody has looked at; its registers are 0. */
static void plug_function(uint32_t id)
{
    memset(space, 0, sizeof(space));
    memset(bar, 0, sizeof(bar));
    forget_devices();
    space[PCI_ID / 4] = id;
    space[PCI_BAR / 4] = 0xfe000000u;
}

/* So many message-signalled interrupts; the list of capabilities leads there, or is to. */
static inline void plug_table(uint32_t messages)
{
    space[MSIX / 4] = 0x11u | (messages - 1) << 16;
    space[MSIX / 4 + 1] = TABLE;
}

/* The same, and no other capability. */
static inline void plug_messages(uint32_t messages)
{
    space[PCI_COMMAND / 4] = STATUS_LIST;
    space[PCI_CAPABILITIES / 4] = MSIX;
    plug_table(messages);
}

/* One by MSI, for several of which it is, as firmware has left it; and no other capability. */
static inline void plug_message(bool wide)
{
    space[PCI_COMMAND / 4] = STATUS_LIST;
    space[PCI_CAPABILITIES / 4] = MSI;
    space[MSI / 4] = 0x05u | MSI_SEVERAL | (wide ? MSI_WIDE : 0);
    space[MSI / 4 + 2] = space[MSI / 4 + 3] = 0x12345678u;
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

#endif
