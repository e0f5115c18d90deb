/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * For networks whose device receives a packet in one piece of memory of a fixed size, whatever the
 * kernel's buffer is: a packet goes to the first segment of that if it is as large, else to a
 * bounce buffer, and is copied when it is taken.
 */
#ifndef VMI_DEVICES_BOUNCE_H
#define VMI_DEVICES_BOUNCE_H

#include "driver.h"

#define VMI__BOUNCE_PAGE 4096u

struct vmi__bounce {
    uint32_t bytes;               /* of what the device may write */
    uint32_t each;                /* segments that a slot may have */
    char *buffers;                /* one for each slot, which the device sees */
    struct vmi_segment *segments; /* of each slot; the device does not see them */
};

/* Bytes of what the slots of a setup need: that the device sees, and that it does not see. */
static inline uintptr_t vmi__bounce_shown(const struct vmi_device_setup *setup, uint32_t bytes)
{
    return (uintptr_t)setup->requests * bytes;
}

static inline uintptr_t vmi__bounce_hidden(const struct vmi_device_setup *setup)
{
    return (uintptr_t)setup->requests * setup->segments * sizeof(struct vmi_segment);
}

/* Where in a device's memory what it does not see begins: in pages behind what it sees. */
static inline uintptr_t vmi__bounce_hidden_from(uintptr_t shown_to)
{
    return (shown_to + VMI__BOUNCE_PAGE - 1) & ~(uintptr_t)(VMI__BOUNCE_PAGE - 1);
}

/* Begins, with so much memory. The device's segments keep to the linear mapping from then on. */
void vmi__bounce_begin(struct vmi__bounce *bounce, struct vmi__device *device, uint32_t bytes,
                       char *shown, char *hidden);

/* Notes the buffer of a slot that is to receive. */
void vmi__bounce_keep(const struct vmi__bounce *bounce, uint32_t slot,
                      const struct vmi_net_buffer *buffer);

/* Guest-physical address at which the device is to write what a slot receives. */
uint64_t vmi__bounce_address(const struct vmi__bounce *bounce, uint32_t slot);

/* Brings a packet to the slot's buffer, which has room for it. */
void vmi__bounce_deliver(const struct vmi__bounce *bounce, uint32_t slot, uint32_t bytes);

#endif
