/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers of devices on PCI do alike. The record (`own`) of a device that has messages begins
 * with what there is to know of those.
 */
#ifndef VMI_DEVICES_PCI_DEVICE_H
#define VMI_DEVICES_PCI_DEVICE_H

#include "driver.h"
#include "pci/pci.h"
#include "pci/registers.h"

/* Of two limits the one that holds. */
static inline uint32_t vmi__least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The messages of a device, the first member of its driver's record. */
static inline struct vmi__msix *vmi__msix_of(struct vmi__device *device)
{
    return (struct vmi__msix *)device->own;
}

/*
 * Descriptors of a ring for so many, a power of 2 from `least` on: one is free, for a full ring is
 * not told from an empty one.
 */
static inline uint32_t vmi__ring_size(uint32_t entries, uint32_t least)
{
    uint32_t size = least;

    while (size <= entries)
        size *= 2;
    return size;
}

/* Lets a device, whose MSI-X was looked for, have a message for each of so many, or none at all. */
static inline void vmi__pci_device_messages(struct vmi__device *device, uint32_t wanted)
{
    struct vmi__msix *msix = vmi__msix_of(device);

    if (msix->count < wanted)
        msix->entries = 0;
    device->messages = msix->entries ? wanted : 0;
}

/* Keeps a device that was added, by a name that says where it is. */
void vmi__pci_device_keep(struct vmi__device *device);

/*
 * Waits until those bits of a register, or of memory that a device writes, have that value; false
 * if they have not within the time.
 */
bool vmi__wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value,
                   uint32_t milliseconds);

/* What driver.h says of message and mask. */
VMI__ADDRESS_TAKEN void vmi__pci_device_message(struct vmi__device *device, uint32_t queue,
                                                const struct vmi_message *message);
VMI__ADDRESS_TAKEN void vmi__pci_device_mask(struct vmi__device *device, uint32_t queue,
                                             bool masked);

#endif
