/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What drivers ask for (devices/platform.h) on a PC, also that of the console, which is there
 * without any calls for devices. Source: PCI Local Bus 3.0, 3.2.2.3.2 (configuration by ports).
 */
#include "native.h"
#include <native/routines.h>

#include "platform.h"

#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define PCI_ENABLE  0x80000000u
#define PCI_PLACES  0x10000u /* of the one segment that the ports reach */

static struct vmi__lock pci_lock;
static bool pci_here;

void vmi__native_pci_init(void)
{
    vmi__outl(PCI_ADDRESS, PCI_ENABLE);
    pci_here = vmi__inl(PCI_ADDRESS) == PCI_ENABLE;
}

uint32_t vmi__platform_enter(volatile uint32_t *lock)
{
    return vmi__lock((struct vmi__lock *)(uintptr_t)lock);
}

void vmi__platform_leave(volatile uint32_t *lock, uint32_t flags)
{
    vmi__unlock((struct vmi__lock *)(uintptr_t)lock, flags);
}

void vmi__platform_pause(void)
{
    vmi__pause();
}

void vmi__platform_delay(uint32_t microseconds)
{
    vmi__native_delay(microseconds);
}

/* ---- registers ---- */

uint32_t vmi__platform_pci_read(uint32_t function, uint32_t offset)
{
    uint32_t flags, value;

    if (!pci_here || function >= PCI_PLACES)
        return ~0u;
    flags = vmi__lock(&pci_lock);
    vmi__outl(PCI_ADDRESS, PCI_ENABLE | function << 8 | (offset & 0xfc));
    value = vmi__inl(PCI_DATA);
    vmi__unlock(&pci_lock, flags);
    return value;
}

void vmi__platform_pci_write(uint32_t function, uint32_t offset, uint32_t value)
{
    uint32_t flags;

    if (!pci_here || function >= PCI_PLACES)
        return;
    flags = vmi__lock(&pci_lock);
    vmi__outl(PCI_ADDRESS, PCI_ENABLE | function << 8 | (offset & 0xfc));
    vmi__outl(PCI_DATA, value);
    vmi__unlock(&pci_lock, flags);
}

uint32_t vmi__platform_port_read(uint16_t port, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        return vmi__inb(port);
    case 2:
        return vmi__inw(port);
    default:
        return vmi__inl(port);
    }
}

void vmi__platform_port_write(uint16_t port, uint32_t value, uint32_t bytes)
{
    switch (bytes) {
    case 1:
        vmi__outb(port, (uint8_t)value);
        break;
    case 2:
        vmi__outw(port, (uint16_t)value);
        break;
    default:
        vmi__outl(port, value);
    }
}

volatile void *vmi__platform_map(uint64_t base, uintptr_t size)
{
    void *linear;

    if (vmi__native_map_device(base, size, VMI_CACHE_UNCACHED, &linear) != VMI_OK)
        return 0;
    vmi__native_device_keep(linear);
    return linear;
}
