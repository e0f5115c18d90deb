/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console: the 16550, or the virtio console where option vmi.console=virtio asks for it and
 * there is one. Should that fail later, the 16550 takes over. A machine with a screen shows all on
 * it as well, and its keyboard is read too.
 */
#include "keyboard.h"
#include "native.h"
#include "screen.h"
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

void vmi__native_console_screen_init(void)
{
    vmi__native_screen_init();
    if (vmi__native_screen)
        vmi__native_keyboard_init();
}

bool vmi__native_console_present(void)
{
    return vmi__native_virtio() || vmi__native_uart_present() || vmi__native_screen ||
           vmi__native_keyboard_present();
}

uint32_t vmi__native_console_line(void)
{
    if (vmi__native_virtio())
        return vmi__native_virtio_line();
    if (vmi__native_uart_present())
        return VMI__LINE_UART;
    return vmi__native_keyboard_present() ? VMI__LINE_KEYBOARD : VMI__ISA_LINES;
}

void vmi__native_console_interrupts(void)
{
    if (vmi__native_virtio())
        vmi__native_virtio_interrupts();
    else if (vmi__native_uart_present())
        vmi__native_uart_interrupts();
    else
        vmi__native_keyboard_interrupts();
}

void vmi__native_console_drain(void)
{
    vmi__native_virtio_drain();
    vmi__native_uart_drain();
}

/* Writes on what is no screen. */
static int32_t send(const char *from, uint32_t length)
{
    uint32_t done = 0;
    int32_t rest;

    if (vmi__native_virtio()) {
        done = vmi__native_virtio_write(from, length);
        if (done == length)
            return (int32_t)done;
    }
    rest = vmi__native_uart_write(from + done, length - done);
    return rest < 0 && done ? (int32_t)done : rest + (int32_t)done;
}

VMI__ROUTINE int32_t vmi__native_console_write(const void *from, uint32_t length)
{
    int32_t done;

    vmi__touch(from, length);
    done = send(from, length);
    if (!vmi__native_screen)
        return done;
    /* What has not been sent will be written again, unless nothing ever is. */
    if (done < 0)
        done = (int32_t)length;
    vmi__native_screen_write(from, (uint32_t)done);
    return done;
}

VMI__ROUTINE int32_t vmi__native_console_read(void *to, uint32_t length)
{
    int32_t done;

    vmi__touch(to, length);
    done = vmi__native_virtio() ? (int32_t)vmi__native_virtio_read(to, length)
                                : vmi__native_uart_read(to, length);
    if (done <= 0 && vmi__native_keyboard_present())
        done = (int32_t)vmi__native_keyboard_read(to, length);
    return done;
}
