/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A screen as a terminal that only writes: UTF-8, lines, tabs, backspace; escape sequences are
 * passed over. What is to be shown is kept in memory beside what is shown, and only what differs is
 * drawn: so video memory is never read, and a text of many lines scrolls once.
 */
#include "screen.h"

#include "canvas.h"
#include "font.h"
#include "native.h"

#define OPTION "vmi.screen"

#define ESCAPE   0x1b
#define TAB_STOP 8
#define UNKNOWN  '?' /* in place of what the font does not have */

/* With interrupts masked: as much is taken in, or one row is drawn. */
#define PIECE 256u

bool vmi__native_screen;

static struct vmi__native_canvas canvas;
static uint8_t *wanted, *shown;  /* characters by row; none is 0, which stands for: not known */
static uint32_t column, row;     /* of the next character; column may be behind the last */
static uint32_t changed, behind; /* rows from one to before the other may differ */
static uint32_t point,
    missing; /* UTF-8: what has come of a code point, and how many bytes follow */
static enum { TEXT, ESCAPED, SEQUENCE } state;
static struct vmi__lock lock;

/* ---- what is to be shown; under the lock ---- */

static void mark(uint32_t first, uint32_t end)
{
    if (first < changed)
        changed = first;
    if (end > behind)
        behind = end;
}

static void new_line(void)
{
    column = 0;
    if (row + 1 < canvas.rows) {
        row++;
        return;
    }
    memmove(wanted, wanted + canvas.columns, (canvas.rows - 1) * canvas.columns);
    memset(wanted + row * canvas.columns, ' ', canvas.columns);
    mark(0, canvas.rows);
}

static uint8_t character_of(uint32_t code)
{
    if (code < VMI__FONT_UPPER)
        return (uint8_t)code;
    for (uint32_t i = 0; i < 256 - VMI__FONT_UPPER; i++)
        if (vmi__native_font_points[i] == code)
            return (uint8_t)(VMI__FONT_UPPER + i);
    return UNKNOWN;
}

static void put_code(uint32_t code)
{
    if (column == canvas.columns)
        new_line();
    wanted[row * canvas.columns + column++] = character_of(code);
    mark(row, row + 1);
}

static void control(uint8_t byte)
{
    switch (byte) {
    case '\n':
        new_line();
        break;
    case '\r':
        column = 0;
        break;
    case '\b':
        if (column)
            column--;
        break;
    case '\t':
        column = (column | (TAB_STOP - 1)) + 1;
        if (column > canvas.columns)
            column = canvas.columns;
        break;
    case ESCAPE:
        state = ESCAPED;
    }
}

/* Takes a byte of UTF-8 (RFC 3629, 3); what is none is shown as not known. */
static void take_text(uint8_t byte)
{
    if (missing && (byte & 0xc0) == 0x80) {
        point = point << 6 | (byte & 0x3f);
        /* Of those that could be shorter none may be a control character. */
        if (!--missing)
            put_code(point < VMI__FONT_UPPER ? UNKNOWN : point);
        return;
    }
    if (missing)
        put_code(UNKNOWN);
    missing = 0;
    if (byte < ' ' || byte == 0x7f) {
        control(byte);
    } else if (byte < 0x80) {
        put_code(byte);
    } else if (byte < 0xc2 || byte > 0xf4) {
        put_code(UNKNOWN);
    } else {
        missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        point = byte & (0x3fu >> missing);
    }
}

/* Takes a byte of a sequence too: ESC and one more, or ESC [ up to a letter (ECMA-48, 5.4). */
static void take(uint8_t byte)
{
    switch (state) {
    case TEXT:
        take_text(byte);
        break;
    case ESCAPED:
        state = byte == '[' ? SEQUENCE : TEXT;
        break;
    case SEQUENCE:
        if (byte >= 0x40)
            state = TEXT;
    }
}

/* ---- showing it ---- */

/* Draws the first row that may differ; false if there is none. Under the lock. */
static bool show_row(void)
{
    uint32_t at;

    if (changed >= behind) {
        changed = canvas.rows;
        behind = 0;
        return false;
    }
    at = changed * canvas.columns;
    for (uint32_t i = 0; i < canvas.columns; i++, at++) {
        if (shown[at] == wanted[at])
            continue;
        shown[at] = wanted[at];
        canvas.show(i, changed, wanted[at]);
    }
    changed++;
    return true;
}

static void show_all(void)
{
    bool more = true;

    while (more) {
        uint32_t flags = vmi__lock(&lock);

        more = vmi__native_screen && show_row();
        if (!more && vmi__native_screen && canvas.cursor)
            canvas.cursor(column < canvas.columns ? column : column - 1, row);
        vmi__unlock(&lock, flags);
    }
}

void vmi__native_screen_write(const char *from, uint32_t length)
{
    if (!vmi__native_screen)
        return;
    while (length) {
        uint32_t piece = length < PIECE ? length : PIECE, i;
        uint32_t flags = vmi__lock(&lock);

        for (i = 0; i < piece; i++)
            take((uint8_t)from[i]);
        vmi__unlock(&lock, flags);
        from += piece;
        length -= piece;
    }
    show_all();
}

/* A kernel that maps the screen has it for itself from then on. */
static VMI__ADDRESS_TAKEN void mapped(uint64_t first, uint64_t last)
{
    uint32_t flags = vmi__lock(&lock);

    if (first <= canvas.last && last >= canvas.first)
        vmi__native_screen = false;
    vmi__unlock(&lock, flags);
}

void vmi__native_screen_init(void)
{
    uint32_t length, cells;
    const char *value;

    if (vmi__option(OPTION, &value, &length)) {
        if (!vmi__is_word("off", value, length))
            vmi__fatal("option " OPTION "= wants off");
        return;
    }
    if (!vmi__native_pixels_find(&canvas) && !vmi__native_vga_text_find(&canvas))
        return;
    cells = canvas.columns * canvas.rows;
    shown = vmi__memory_table(2, cells);
    if (!shown)
        return;
    wanted = shown + cells;
    memset(wanted, ' ', cells);
    mark(0, canvas.rows);
    vmi__native_screen = true;
    vmi__native_device_mapped = mapped;
    show_all();
}
