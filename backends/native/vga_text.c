/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The text mode of a VGA, which draws the characters by itself: a word for each, of the character
 * and its colours. Told by the loader, else by the BIOS's data area, in which nothing is where no
 * VGA BIOS has run. Source: IBM VGA Technical Reference, 2 (CRT controller); Ralf Brown's
 * MEMORY.LST, 0040h:0049h to 0040h:0084h.
 */
#include "canvas.h"
#include "native.h"

#define PAGE 4096u

#define BIOS_AREA 0x400
enum { BIOS_MODE = 0x49, BIOS_COLUMNS = 0x4a, BIOS_CRTC = 0x63, BIOS_LAST_ROW = 0x84, BIOS_SIZE };

#define MODE_GRAY    2 /* with 80 columns */
#define MODE_COLOR   3
#define MODE_COLUMNS 80
#define MODE_ROWS    25

#define MEMORY      0xb8000
#define MEMORY_SIZE 0x8000

#define CRTC      0x3d4 /* index; data is the port behind it */
#define CRTC_DATA 0x3d5
enum { CRTC_START = 0x0c, CRTC_CURSOR = 0x0e }; /* words, the high byte first */

#define GRAY_ON_BLACK 0x0700u

static volatile uint16_t *cells;
static uint32_t row_cells; /* cells of a row */

static void set_word(uint8_t reg, uint32_t value)
{
    vmi__outb(CRTC, reg);
    vmi__outb(CRTC_DATA, (uint8_t)(value >> 8));
    vmi__outb(CRTC, reg + 1);
    vmi__outb(CRTC_DATA, (uint8_t)value);
}

static VMI__ADDRESS_TAKEN void show_word(uint32_t column, uint32_t row, uint8_t character)
{
    cells[row * row_cells + column] = (uint16_t)(GRAY_ON_BLACK | character);
}

static VMI__ADDRESS_TAKEN void cursor(uint32_t column, uint32_t row)
{
    set_word(CRTC_CURSOR, row * row_cells + column);
}

/* A register that keeps what is written. */
static bool has_crtc(void)
{
    vmi__outb(CRTC, CRTC_CURSOR + 1);
    vmi__outb(CRTC_DATA, 0x5a);
    return vmi__inb(CRTC_DATA) == 0x5a;
}

static bool told_by_bios(struct vmi__native_canvas *canvas)
{
    const uint8_t *area;
    uint32_t rows;

    if (vmi__boot.efi_bits)
        return false;
    area = vmi__window_borrow(BIOS_AREA, BIOS_SIZE);
    if (!area || (area[BIOS_MODE] != MODE_COLOR && area[BIOS_MODE] != MODE_GRAY) ||
        area[BIOS_COLUMNS] != MODE_COLUMNS || area[BIOS_COLUMNS + 1] ||
        area[BIOS_CRTC] != (CRTC & 0xff) || area[BIOS_CRTC + 1] != CRTC >> 8)
        return false;
    rows = area[BIOS_LAST_ROW] + 1u;
    canvas->columns = MODE_COLUMNS;
    canvas->rows = rows > MODE_ROWS && rows <= VMI__CANVAS_ROWS ? rows : MODE_ROWS;
    canvas->first = MEMORY;
    row_cells = MODE_COLUMNS;
    return true;
}

static bool told_by_loader(struct vmi__native_canvas *canvas)
{
    const struct vmi_framebuffer *from = vmi__boot.framebuffer;

    if (from->color != VMI_COLOR_TEXT || from->base % PAGE || from->pitch % 2 ||
        from->pitch > MEMORY_SIZE || from->width > VMI__CANVAS_COLUMNS ||
        from->height > VMI__CANVAS_ROWS)
        return false;
    canvas->columns = from->width;
    canvas->rows = from->height;
    canvas->first = from->base;
    row_cells = from->pitch / 2;
    return true;
}

bool vmi__native_vga_text_find(struct vmi__native_canvas *canvas)
{
    void *address;

    if (!(vmi__boot.framebuffer ? told_by_loader(canvas) : told_by_bios(canvas)) ||
        row_cells * canvas->rows * 2 > MEMORY_SIZE || !has_crtc() ||
        vmi_map_device(canvas->first, MEMORY_SIZE, VMI_CACHE_UNCACHED, &address) != VMI_OK)
        return false;
    vmi__native_device_keep(address);
    cells = address;
    set_word(CRTC_START, 0);
    canvas->last = canvas->first + MEMORY_SIZE - 1;
    canvas->show = show_word;
    canvas->cursor = cursor;
    return true;
}
