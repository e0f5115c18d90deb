/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The screen as part of the console (screen.c).
 */
#ifndef VMI_NATIVE_SCREEN_H
#define VMI_NATIVE_SCREEN_H

#include "runtime.h"

/* There is a screen, and it is the library's. */
extern bool vmi__native_screen;

/*
 * Looks for a screen and clears it, unless option vmi.screen=off is there; refuses to run for
 * another value. Needs the PAT, and claims memory.
 */
VMI__RUN_ONCE void vmi__native_screen_init(void);

/* Writes UTF-8 on it. The bytes have been touched (vmi__touch). Nothing without a screen. */
void vmi__native_screen_write(const char *from, uint32_t length);

#endif
