/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Virtio devices on PCI by the legacy interface: those of before VIRTIO 1.0 have no other, and
 * transitional ones have it beside the modern one. Source: VIRTIO 1.2, 4.1.2.3 and 4.1.4.10.
 */
#include "platform.h"
#include "virtio/virtio.h"

#define ID          0x1af4u /* vendor; the device's is one of so many */
#define ID_FIRST    0x1000u
#define IDS         0x40u
#define COMMAND_IO  0x0001u
#define WRITABLE    0xffffu /* of the command; the upper half is status */
#define BAR_IO      0x1u
#define BAR_ADDRESS 0xfffffffcu
#define PORTS       0x14u
#define PORTS_END   0x10000u

#define QUEUE_NOTIFY 0x10
#define CAUSES       0x13 /* reading it lowers the line */

static VMI__ADDRESS_TAKEN void enable(const struct vmi__virtio *virtio, bool on)
{
    vmi__pci_enable(virtio->place, on);
}

static VMI__ADDRESS_TAKEN bool wire(const struct vmi__virtio *virtio, struct vmi__virtqueue *queue)
{
    queue->notify = virtio->common + QUEUE_NOTIFY;
    return true;
}

static VMI__ADDRESS_TAKEN void lower(const struct vmi__virtio *virtio)
{
    vmi__platform_port_read((uint16_t)(uintptr_t)(virtio->common + CAUSES), 1);
}

static const struct vmi__virtio_transport ports = {
    .registers =
        {
            [VMI__VIRTIO_OFFERED] = {0x00, 4},
            [VMI__VIRTIO_ACCEPTED] = {0x04, 4},
            [VMI__VIRTIO_QUEUE_DESCRIPTORS] = {0x08, 4}, /* the number of the ring's first page */
            [VMI__VIRTIO_QUEUE_MOST] = {0x0c, 2},
            [VMI__VIRTIO_QUEUE_SELECT] = {0x0e, 2},
            [VMI__VIRTIO_STATUS] = {0x12, 1},
        },
    .legacy = true,
    .enable = enable,
    .wire = wire,
    .lower = lower,
};

bool vmi__virtio_on_ports(struct vmi__virtio *virtio, uint32_t place, uint32_t type)
{
    uint32_t id = vmi__platform_pci_read(place, VMI__PCI_ID), command, bar;

    if ((id & 0xffff) != ID || (id >> 16) - ID_FIRST >= IDS ||
        vmi__platform_pci_read(place, VMI__PCI_SUBSYSTEM) >> 16 != type)
        return false;
    bar = vmi__platform_pci_read(place, VMI__PCI_BAR0);
    if (!(bar & BAR_IO) || !(bar & BAR_ADDRESS) || (bar & BAR_ADDRESS) > PORTS_END - PORTS)
        return false;
    command = vmi__platform_pci_read(place, VMI__PCI_COMMAND) & WRITABLE;
    vmi__platform_pci_write(place, VMI__PCI_COMMAND, command | COMMAND_IO);
    virtio->common = (volatile char *)(uintptr_t)(bar & BAR_ADDRESS);
    virtio->config = 0;
    virtio->transport = &ports;
    virtio->place = place;
    vmi__pci_enable(place, false);
    return true;
}
