/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The keyboard as part of the console (keyboard.c).
 */
#ifndef VMI_NATIVE_KEYBOARD_H
#define VMI_NATIVE_KEYBOARD_H

#include "runtime.h"

#define VMI__LINE_KEYBOARD 1

/* Looks for a keyboard's controller and sets it up. */
VMI__RUN_ONCE void vmi__native_keyboard_init(void);

bool vmi__native_keyboard_present(void);

/* Lets it raise its line when a key is there. */
void vmi__native_keyboard_interrupts(void);

/* Takes what has been typed, at most so many bytes; returns how many. */
uint32_t vmi__native_keyboard_read(char *to, uint32_t length);

#endif
