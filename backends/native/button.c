/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * ACPI's power button, the one of its fixed hardware: a bit of the PM1 status registers, which is
 * cleared by writing it, and one of the enable registers behind them. What firmware has enabled
 * beside it has no handler here and is turned off. Source: ACPI 6.5, 4.8.3.1.
 *
 * Where no kernel watches it nobody takes ACPI's interrupt, for all vectors are the kernel's: it
 * stays masked, and the library looks at the button now and then when an alarm is set.
 */
#include "native.h"
#include <native/routines.h>

#define POWER_BUTTON 0x0100

#define LOOKS_SHIFT 2 /* four in a second, for each may leave a guest */

static struct vmi__lock lock;
static bool watched, pressed;
static bool enabled;    /* pressing it sets the bit */
static bool left;       /* the kernel's own affair */
static uint64_t looked; /* when, if it is not watched; of the TSC */

/* Under the lock. */
static void look_at(uint32_t port)
{
    if (port && vmi__inw((uint16_t)port) & POWER_BUTTON) {
        vmi__outw((uint16_t)port, POWER_BUTTON);
        pressed = true;
    }
}

/* What was pressed before is how the machine was switched on. */
static void enable_at(uint32_t port, bool on)
{
    if (!port)
        return;
    if (!enabled)
        vmi__outw((uint16_t)port, POWER_BUTTON);
    vmi__outw((uint16_t)(port + vmi__native_acpi.event_enable), on ? POWER_BUTTON : 0);
}

/* Under the lock. */
static void enable(bool on)
{
    if (on)
        vmi__native_acpi_enable();
    enable_at(vmi__native_acpi.event_a, on);
    enable_at(vmi__native_acpi.event_b, on);
    enabled = on;
}

/* Under the lock. */
static void look(void)
{
    look_at(vmi__native_acpi.event_a);
    look_at(vmi__native_acpi.event_b);
}

void vmi__native_button_look(void)
{
    uint32_t flags = vmi__lock(&lock);

    look();
    vmi__unlock(&lock, flags);
}

void vmi__native_button_watch(bool on)
{
    uint32_t flags = vmi__lock(&lock);

    enable(on);
    watched = on;
    left = false;
    vmi__unlock(&lock, flags);
}

void vmi__native_button_leave(void)
{
    left = true;
}

void vmi__native_button_unwatched(void)
{
    uint64_t now;
    uint32_t flags;
    bool asked;

    if (!vmi__native_acpi.event_a || watched || left || vmi__native_published)
        return;
    /* The TSC of another machine may be behind. */
    now = vmi__rdtsc();
    if (enabled && now - looked < vmi__native_tsc_hz >> LOOKS_SHIFT)
        return;
    flags = vmi__lock(&lock);
    looked = now;
    if (!enabled)
        enable(true);
    look();
    asked = pressed && !watched;
    vmi__unlock(&lock, flags);
    if (asked)
        vmi__request_default(VMI_REQUEST_POWER_OFF);
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
