/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * In place of the screen and the keyboard, for libraries whose images have no room for them.
 */
#include "keyboard.h"
#include "screen.h"

bool vmi__native_screen;

void vmi__native_screen_init(void)
{
}

void vmi__native_screen_write(const char *from, uint32_t length)
{
    (void)from;
    (void)length;
}

void vmi__native_keyboard_init(void)
{
}

bool vmi__native_keyboard_present(void)
{
    return false;
}

void vmi__native_keyboard_interrupts(void)
{
}

uint32_t vmi__native_keyboard_read(char *to, uint32_t length)
{
    (void)to;
    (void)length;
    return 0;
}
