/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pci/device.h"

#include "platform.h"

#define STEP 10u /* microseconds between two looks */

void vmi__pci_device_keep(struct vmi__device *device)
{
    char address[VMI__PCI_ADDRESS_BYTES];

    vmi__pci_address(device->place, address);
    vmi__device_name(device, "pci", address);
    vmi__device_keep(device);
}

bool vmi__wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value,
                   uint32_t milliseconds)
{
    for (uint32_t left = milliseconds * (1000 / STEP); (*at & mask) != value; left--) {
        if (!left)
            return false;
        vmi__platform_delay(STEP);
    }
    return true;
}

void vmi__pci_device_message(struct vmi__device *device, uint32_t queue,
                             const struct vmi_message *message)
{
    const struct vmi__msix *msix = vmi__msix_of(device);

    vmi__msix_message(msix, msix->first + queue, message);
}

void vmi__pci_device_mask(struct vmi__device *device, uint32_t queue, bool masked)
{
    const struct vmi__msix *msix = vmi__msix_of(device);

    vmi__msix_mask(msix, msix->first + queue, masked);
}
