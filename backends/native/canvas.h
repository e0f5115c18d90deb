/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What can show characters (pixels.c, vga_text.c) for screen.c, which knows what is to be shown.
 */
#ifndef VMI_NATIVE_CANVAS_H
#define VMI_NATIVE_CANVAS_H

#include "runtime.h"

struct vmi__native_canvas {
    uint64_t first, last;   /* guest-physical addresses that it is drawn at */
    uint32_t columns, rows; /* at most VMI__CANVAS_COLUMNS and VMI__CANVAS_ROWS, at least 1 */
    /* Shows a character of the font in a cell, from the top left; and, if not 0, the cursor there.
     */
    void (*show)(uint32_t column, uint32_t row, uint8_t character);
    void (*cursor)(uint32_t column, uint32_t row);
};

#define VMI__CANVAS_COLUMNS 320
#define VMI__CANVAS_ROWS    200

/*
 * Each fills the canvas if the machine has such a screen, as the loader or the BIOS tells, and maps
 * it. False if it has none, or there is no room to map it. Needs the PAT.
 */
VMI__RUN_ONCE bool vmi__native_pixels_find(struct vmi__native_canvas *canvas);
VMI__RUN_ONCE bool vmi__native_vga_text_find(struct vmi__native_canvas *canvas);

#endif
