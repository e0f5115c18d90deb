/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The virtio console: devices/virtio/console.c, for a library whose console may be that.
 */
#include "native.h"

#include "virtio/console.h"

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
    return vmi__virtio_console_line();
}

void vmi__native_virtio_interrupts(void)
{
    vmi__virtio_console_interrupts();
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
