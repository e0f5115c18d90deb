/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console: the 16550, or the virtio console where option vmi.console=virtio asks for it and
 * there is one. Should that fail later, the 16550 takes over.
 */
#include "native.h"
#include <native/routines.h>

#define OPTION "vmi.console"

void vmi__native_console_init(void)
{
    const char *value;
    uint32_t length;

    vmi__native_uart_init();
    if (!vmi__option(OPTION, &value, &length) || vmi__is_word("16550", value, length))
        return;
    if (!vmi__is_word("virtio", value, length))
        vmi__fatal("option " OPTION "= wants 16550 or virtio");
    vmi__native_virtio_init();
}

bool vmi__native_console_present(void)
{
    return vmi__native_virtio || vmi__native_uart_present();
}

uint32_t vmi__native_console_line(void)
{
    return vmi__native_virtio ? vmi__native_virtio_line() : VMI__LINE_UART;
}

void vmi__native_console_interrupts(void)
{
    if (vmi__native_virtio)
        vmi__native_virtio_interrupts();
    else
        vmi__native_uart_interrupts();
}

void vmi__native_console_drain(void)
{
    vmi__native_virtio_drain();
    vmi__native_uart_drain();
}

VMI__ROUTINE int32_t vmi__native_console_write(const void *from, uint32_t length)
{
    uint32_t done = 0;
    int32_t rest;

    vmi__touch(from, length);
    if (vmi__native_virtio) {
        done = vmi__native_virtio_write(from, length);
        if (done == length)
            return (int32_t)done;
    }
    rest = vmi__native_uart_write((const char *)from + done, length - done);
    return rest < 0 && done ? (int32_t)done : rest + (int32_t)done;
}

VMI__ROUTINE int32_t vmi__native_console_read(void *to, uint32_t length)
{
    vmi__touch(to, length);
    if (vmi__native_virtio)
        return (int32_t)vmi__native_virtio_read(to, length);
    return vmi__native_uart_read(to, length);
}
