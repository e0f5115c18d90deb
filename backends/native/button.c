/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ACPI's power button, the one of its fixed hardware: a bit of the PM1 status registers, which is
 * cleared by writing it, and one of the enable registers behind them. What firmware has enabled
 * beside it has no handler here and is turned off. Source: ACPI 6.5, 4.8.3.1.
 */
#include "native.h"
#include <native/routines.h>

#define POWER_BUTTON 0x0100

static struct vmi__lock lock;
static bool watched, pressed;

/* Under the lock. */
static void look_at(uint32_t port)
{
    if (port && vmi__inw((uint16_t)port) & POWER_BUTTON) {
        vmi__outw((uint16_t)port, POWER_BUTTON);
        pressed = true;
    }
}

static void enable(uint32_t port, bool on)
{
    if (port)
        vmi__outw((uint16_t)(port + vmi__native_acpi.event_enable), on ? POWER_BUTTON : 0);
}

void vmi__native_button_look(void)
{
    uint32_t flags = vmi__lock(&lock);

    look_at(vmi__native_acpi.event_a);
    look_at(vmi__native_acpi.event_b);
    vmi__unlock(&lock, flags);
}

void vmi__native_button_watch(bool on)
{
    uint32_t flags = vmi__lock(&lock);

    if (on)
        vmi__native_acpi_enable();
    enable(vmi__native_acpi.event_a, on);
    enable(vmi__native_acpi.event_b, on);
    watched = on;
    vmi__unlock(&lock, flags);
}

VMI__ROUTINE uint32_t vmi__native_take_request(void)
{
    uint32_t flags;
    bool taken;

    if (!watched)
        return VMI_REQUEST_NONE;
    vmi__native_button_look();
    flags = vmi__lock(&lock);
    taken = pressed;
    pressed = false;
    vmi__unlock(&lock, flags);
    return taken ? VMI_REQUEST_POWER_OFF : VMI_REQUEST_NONE;
}
