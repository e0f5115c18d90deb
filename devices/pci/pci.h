/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * PCI for drivers: the functions that there are, their capabilities, registers and MSI-X. What a
 * device says of itself is checked before use. Source: PCI Local Bus 3.0, chapter 6 and 6.8.2.
 */
#ifndef VMI_DEVICES_PCI_H
#define VMI_DEVICES_PCI_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

enum {
    VMI__PCI_ID = 0x00, /* vendor, device */
    VMI__PCI_COMMAND = 0x04,
    VMI__PCI_CLASS = 0x08, /* revision in the low byte */
    VMI__PCI_BAR0 = 0x10,
    VMI__PCI_SUBSYSTEM = 0x2c, /* vendor, device */
    VMI__PCI_INTERRUPT = 0x3c, /* line in the low byte, pin above */
};

/* Calls back for every function that there is, bridges to further buses followed. */
void vmi__pci_each(void (*function)(uint32_t place, void *context), void *context);

/* Bytes of a place in digits, its end included. */
#define VMI__PCI_ADDRESS_BYTES 13

/* A place in hexadecimal digits, as people write it: domain, bus, slot and function. */
void vmi__pci_address(uint32_t place, char to[VMI__PCI_ADDRESS_BYTES]);

/* So many capabilities have room in configuration space behind the header. */
#define VMI__PCI_CAPABILITIES_MAX 48

/*
 * The offset of a capability with that identifier, behind `after` (0: the first); 0 if there is
 * none.
 */
uint32_t vmi__pci_capability(uint32_t place, uint32_t identifier, uint32_t after);

/* 8 bits of configuration space. */
uint32_t vmi__pci_read8(uint32_t place, uint32_t offset);

/*
 * Maps `size` bytes at an offset in the memory that a base address register stands for; 0 if it is
 * none, or not that large.
 */
volatile void *vmi__pci_map(uint32_t place, uint32_t bar, uint32_t offset, uint32_t size);

/*
 * Lets the function answer at its memory, and read and write memory itself or not. It raises no
 * line, which is for whoever handles that to change.
 */
void vmi__pci_enable(uint32_t place, bool on);

/* Lets it raise its line, or not. */
void vmi__pci_let_raise(uint32_t place, bool on);

/* The MSI-X table of a function, in which every entry begins masked. */
struct vmi__msix {
    volatile uint32_t *entries; /* 0: it has none */
    uint32_t count, capability;
    uint32_t first; /* the entry of queue 0; the others' follow */
};

void vmi__msix_find(struct vmi__msix *msix, uint32_t place);
void vmi__msix_enable(const struct vmi__msix *msix, uint32_t place, bool on);

/* Sets what an entry writes, 0 for nothing; and whether it is kept back. */
void vmi__msix_message(const struct vmi__msix *msix, uint32_t entry,
                       const struct vmi_message *message);
void vmi__msix_mask(const struct vmi__msix *msix, uint32_t entry, bool masked);

#endif
