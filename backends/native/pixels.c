/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A linear framebuffer that the loader has left: characters are drawn by the font, larger where
 * pixels are small. It is only ever written. Source: Multiboot2 Specification 2.0, 3.6.12.
 */
#include "canvas.h"
#include "font.h"
#include "native.h"

#define PAGE 4096u

/* A line with so many pixels has its characters twice as large, and so on. */
#define PIXELS_OF_A_SIZE 1280

#define INK                                                                                        \
    0xaaaaaaaaaaaaaaaau /* two thirds of a colour's full brightness, however many its bits */

static volatile uint8_t *place;
static uint32_t line_bytes, bytes,
    scale; /* bytes of a line and of a pixel, pixels of a dot's side */
static uint64_t ink;

static void put_pixel(volatile uint8_t *at, uint64_t pixel)
{
    for (uint32_t i = 0; i < bytes; i++, pixel >>= 8)
        at[i] = (uint8_t)pixel;
}

/* Most screens have such pixels, and a text that scrolls draws millions of them. */
static void put_line_of_words(volatile uint32_t *at, uint32_t dots)
{
    const uint32_t color = (uint32_t)ink;

    for (uint32_t i = 0; i < VMI__FONT_WIDTH; i++, dots <<= 1)
        at[i] = dots & 1u << (VMI__FONT_WIDTH - 1) ? color : 0;
}

static void put_line(volatile uint8_t *at, uint32_t dots)
{
    if (bytes == 4 && scale == 1) {
        put_line_of_words((volatile uint32_t *)at, dots);
        return;
    }
    for (uint32_t dot = 1u << (VMI__FONT_WIDTH - 1); dot; dot >>= 1) {
        for (uint32_t i = 0; i < scale; i++, at += bytes)
            put_pixel(at, dots & dot ? ink : 0);
    }
}

static VMI__ADDRESS_TAKEN void show_pixels(uint32_t column, uint32_t row, uint8_t character)
{
    const uint8_t *lines = vmi__native_font[character - VMI__FONT_FIRST];
    volatile uint8_t *at = place + (uintptr_t)row * VMI__FONT_HEIGHT * scale * line_bytes +
                           (uintptr_t)column * VMI__FONT_WIDTH * scale * bytes;

    for (uint32_t line = 0; line < VMI__FONT_HEIGHT; line++) {
        for (uint32_t i = 0; i < scale; i++, at += line_bytes)
            put_line(at, lines[line]);
    }
}

static uint64_t full(uint32_t shift, uint32_t bits)
{
    return INK >> (64 - bits) << shift;
}

static uint32_t at_most(uint32_t number, uint32_t most)
{
    return number < most ? number : most;
}

bool vmi__native_pixels_find(struct vmi__native_canvas *canvas)
{
    const struct vmi_framebuffer *from = vmi__boot.framebuffer;
    uint64_t first, end;
    void *address;

    if (!from || from->color != VMI_COLOR_RGB)
        return false;
    line_bytes = from->pitch;
    bytes = (from->bits + 7u) / 8;
    scale = from->width < PIXELS_OF_A_SIZE ? 1 : from->width / PIXELS_OF_A_SIZE;
    canvas->columns = at_most(from->width / (VMI__FONT_WIDTH * scale), VMI__CANVAS_COLUMNS);
    canvas->rows = at_most(from->height / (VMI__FONT_HEIGHT * scale), VMI__CANVAS_ROWS);
    if (!canvas->columns || !canvas->rows)
        return false;
    first = from->base & ~(uint64_t)(PAGE - 1);
    end = from->base + (uint64_t)line_bytes * VMI__FONT_HEIGHT * scale * canvas->rows;
    end = (end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    if (end - first > VMI__DEVICE_SIZE ||
        vmi_map_device(first, (uintptr_t)(end - first), VMI_CACHE_WRITE_COMBINING, &address) !=
            VMI_OK)
        return false;
    vmi__native_device_keep(address);
    place = (volatile uint8_t *)address + (from->base - first);
    ink = full(from->red_shift, from->red_bits) | full(from->green_shift, from->green_bits) |
          full(from->blue_shift, from->blue_bits);
    canvas->first = first;
    canvas->last = end - 1;
    canvas->show = show_pixels;
    return true;
}
