/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of console_virtio.c, where a library has a console of its own.
 */
#include "native.h"

void vmi__native_virtio_init(void)
{
}

bool vmi__native_virtio(void)
{
    return false;
}

uint32_t vmi__native_virtio_line(void)
{
    return VMI__ISA_LINES;
}

void vmi__native_virtio_interrupts(void)
{
}

void vmi__native_virtio_drain(void)
{
}

uint32_t vmi__native_virtio_write(const char *from, uint32_t length)
{
    (void)from;
    (void)length;
    return 0;
}

uint32_t vmi__native_virtio_read(char *to, uint32_t length)
{
    (void)to;
    (void)length;
    return 0;
}

void vmi__native_virtio_acknowledge(void)
{
}
