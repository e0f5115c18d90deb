/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "pci.h"

#include <stddef.h>

#define ADDRESS        0xcf8
#define DATA           0xcfc
#define ADDRESS_ENABLE 0x80000000u

#define DEVICES       32
#define FUNCTION_BITS 3

/* The capability of message-signalled interrupts (PCI Local Bus 3.0, 6.8.1). */
#define CAPABILITY_MSI   0x05
#define CAPABILITIES_MAX 48
#define MSI_ADDRESS      4
#define MSI_DATA_32      8
#define MSI_DATA_64      12          /* behind the upper half of the address */
#define MSI_ENABLE       0x00010000u /* in the capability's first word */
#define MSI_64           0x00800000u

uint32_t pci_read(uint32_t device, uint32_t offset)
{
    vmi_outl(ADDRESS_ENABLE | device << 8 | offset, ADDRESS);
    return vmi_inl(DATA);
}

void pci_write(uint32_t device, uint32_t offset, uint32_t value)
{
    vmi_outl(ADDRESS_ENABLE | device << 8 | offset, ADDRESS);
    vmi_outl(value, DATA);
}

uint32_t pci_find(uint32_t id)
{
    for (uint32_t number = 0; number < DEVICES; number++)
        if (pci_read(number << FUNCTION_BITS, PCI_ID) == id)
            return number << FUNCTION_BITS;
    return PCI_NONE;
}

/* Offset of the capability, 0 if the device has none. */
static uint32_t find_msi(uint32_t device)
{
    uint32_t offset = pci_read(device, PCI_CAPABILITIES) & 0xfc;

    for (uint32_t i = 0; i < CAPABILITIES_MAX && offset != 0; i++) {
        uint32_t head = pci_read(device, offset);
        if ((head & 0xff) == CAPABILITY_MSI)
            return offset;
        offset = head >> 8 & 0xfc;
    }
    return 0;
}

void pci_message(uint32_t device, const struct vmi_message *message)
{
    uint32_t at = find_msi(device);
    uint32_t head = pci_read(device, at);

    if (at == 0)
        return;
    pci_write(device, at, head & ~MSI_ENABLE);
    if (message == NULL)
        return;
    pci_write(device, at + MSI_ADDRESS, (uint32_t)message->address);
    if (head & MSI_64)
        pci_write(device, at + MSI_ADDRESS + 4, (uint32_t)(message->address >> 32));
    pci_write(device, at + (head & MSI_64 ? MSI_DATA_64 : MSI_DATA_32), message->data);
    pci_write(device, at, head | MSI_ENABLE);
}
