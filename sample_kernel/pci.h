/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Configuration space of PCI's first bus, by the two ports of a PC (PCI Local Bus 3.0, 3.2.2.3.2).
 */
#ifndef PCI_H
#define PCI_H

#include <stdint.h>
#include <vmi/vmi.h>

/* A device by its place: bus in bits 8-15, device in 3-7, function in 0-2. */
#define PCI_NONE UINT32_MAX

/* Registers, by offset; those of a PCI header are in chapter 6. */
#define PCI_ID             0x00
#define PCI_COMMAND        0x04
#define PCI_COMMAND_MEMORY 0x2
#define PCI_COMMAND_MASTER 0x4
#define PCI_BAR0           0x10
#define PCI_CAPABILITIES   0x34
#define PCI_INTERRUPT      0x3c /* line, as firmware has wired it, and pin */

/* The first device on bus 0 with that identifier (device in bits 16-31, vendor below). */
uint32_t pci_find(uint32_t id);

uint32_t pci_read(uint32_t device, uint32_t offset);
void pci_write(uint32_t device, uint32_t offset, uint32_t value);

/* Has a device that can signal by message write this one; null: it uses its line. */
void pci_message(uint32_t device, const struct vmi_message *message);

#endif
