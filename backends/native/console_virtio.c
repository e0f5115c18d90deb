/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The virtio console (devices/virtio/console.c) and its interrupt line.
 */
#include "native.h"

#include "pci/pci.h"
#include "virtio/console.h"

#define PCI_INTERRUPT 0x3c /* line in the low byte */

void vmi__native_virtio_init(void)
{
    vmi__native_pci_init();
    vmi__virtio_console_find();
}

bool vmi__native_virtio(void)
{
    return vmi__virtio_console;
}

uint32_t vmi__native_virtio_line(void)
{
    return vmi__pci_read8(vmi__virtio_console_place(), PCI_INTERRUPT);
}

void vmi__native_virtio_interrupts(void)
{
    vmi__virtio_console_interrupts();
    vmi__native_pci_let_raise(vmi__virtio_console_place(), true);
}

void vmi__native_virtio_drain(void)
{
    vmi__virtio_console_drain();
}

uint32_t vmi__native_virtio_write(const char *from, uint32_t length)
{
    return vmi__virtio_console_write(from, length);
}

uint32_t vmi__native_virtio_read(char *to, uint32_t length)
{
    return vmi__virtio_console_read(to, length);
}

void vmi__native_virtio_acknowledge(void)
{
    vmi__virtio_console_acknowledge();
}
