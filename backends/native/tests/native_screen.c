/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The native library's screen as a Linux process: this file plays the video memory, the VGA's ports
 * and what a loader and a BIOS say, and reads what is on the screen dot by dot.
 */
#include "native/canvas.h"
#include "native/cpu.h"
#include "native/font.h"
#include "native/native.h"
#include "native/screen.h"

/* What a process may not do. */
static uint8_t port_read(uint16_t port);
static void port_write(uint16_t port, uint8_t value);
static int32_t map_device(uint64_t base, uintptr_t size, uint32_t cache, void **address);
#define vmi__inb(port)           port_read(port)
#define vmi__outb(port, value)   port_write(port, (uint8_t)(value))
#define vmi__lock(lock)          ((void)(lock), 0u)
#define vmi__unlock(lock, flags) ((void)(lock), (void)(flags))
#define vmi_map_device           map_device

#include "native/pixels.c"
#include "native/screen.c"
#include "native/vga_text.c"

#include "backends/plain_memory.h"
#include "backends/played.h"

/* ---- the machine ---- */

#define BASE   0xfd000800ull /* not on a page */
#define POISON 0x5c
#define VIDEO  (8u << 20)

static uint8_t video[VIDEO] __attribute__((aligned(4096)));
static uint8_t bios[BIOS_SIZE];
static uint8_t table[1 << 18];
static struct vmi_framebuffer told;

static struct {
    const char *option;
    bool no_memory, no_map, no_crtc;
    uint64_t base, size;
    uint32_t cache, index;
    uint8_t crtc[32];
} machine;

static const char *fatal;
static void *refused[5];

struct vmi_boot_info vmi__boot;
void (*vmi__native_device_mapped)(uint64_t first, uint64_t last);

void vmi__native_device_keep(const volatile void *address)
{
    (void)address;
}

static uint8_t port_read(uint16_t port)
{
    EXPECT(port == CRTC_DATA && machine.index < sizeof(machine.crtc));
    return machine.no_crtc ? 0xff : machine.crtc[machine.index];
}

static void port_write(uint16_t port, uint8_t value)
{
    EXPECT(port == CRTC || (port == CRTC_DATA && machine.index < sizeof(machine.crtc)));
    if (port == CRTC)
        machine.index = value;
    else
        machine.crtc[machine.index] = value;
}

static int32_t map_device(uint64_t base, uintptr_t size, uint32_t cache, void **address)
{
    EXPECT(!(base & 0xfff) && !(size & 0xfff) && size <= VIDEO);
    if (machine.no_map)
        return VMI_ENOMEM;
    machine.base = base;
    machine.size = size;
    machine.cache = cache;
    *address = video;
    return VMI_OK;
}

const void *vmi__window_borrow(uint64_t address, uint32_t size)
{
    EXPECT(address == BIOS_AREA && size <= sizeof(bios));
    return bios;
}

void *vmi__memory_table(uint32_t count, uint32_t size)
{
    EXPECT(count * size <= sizeof(table));
    memset(table, 0, sizeof(table));
    return machine.no_memory ? 0 : table;
}

bool vmi__option(const char *name, const char **value, uint32_t *length)
{
    (void)name;
    if (!machine.option)
        return false;
    for (*length = 0; machine.option[*length];)
        ++*length;
    *value = machine.option;
    return true;
}

void vmi__fatal(const char *reason)
{
    fatal = reason;
    __builtin_longjmp(refused, 1);
}

void *memmove(void *to, const void *from, size_t size)
{
    EXPECT(to <= from);
    return memcpy(to, from, size);
}

/* ---- what a check does ---- */

static const struct vmi_framebuffer usual = {
    .base = BASE,
    .pitch = 640 * 4 + 64,
    .width = 640,
    .height = 100,
    .bits = 32,
    .color = VMI_COLOR_RGB,
    .red_shift = 16,
    .red_bits = 8,
    .green_shift = 8,
    .green_bits = 8,
    .blue_bits = 8,
};

/* The library starts on a machine whose loader tells of this screen, or of none. */
static void start(const struct vmi_framebuffer *from)
{
    memset(video, POISON, sizeof(video));
    vmi__native_screen = false;
    vmi__native_device_mapped = 0;
    canvas = (struct vmi__native_canvas){0};
    column = row = changed = behind = point = missing = 0;
    state = TEXT;
    vmi__boot.framebuffer = 0;
    if (from) {
        told = *from;
        vmi__boot.framebuffer = &told;
    }
    vmi__native_screen_init();
}

static void write(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    vmi__native_screen_write(text, length);
}

static uint64_t pixel(uint32_t x, uint32_t y)
{
    const uint8_t *at = video + (told.base & 0xfff) + (uintptr_t)y * told.pitch + x * bytes;
    uint64_t value = 0;

    for (uint32_t i = bytes; i; i--)
        value = value << 8 | at[i - 1];
    return value;
}

/* The character that is drawn in a cell; 0 if it is none of the font. */
static uint32_t drawn(uint32_t at_column, uint32_t at_row)
{
    for (uint32_t character = VMI__FONT_FIRST; character < 256; character++) {
        const uint8_t *lines = vmi__native_font[character - VMI__FONT_FIRST];
        bool same = true;

        for (uint32_t y = 0; same && y < VMI__FONT_HEIGHT * scale; y++) {
            for (uint32_t x = 0; same && x < VMI__FONT_WIDTH * scale; x++) {
                bool dot = lines[y / scale] & 0x80 >> x / scale;

                same = pixel(at_column * VMI__FONT_WIDTH * scale + x,
                             at_row * VMI__FONT_HEIGHT * scale + y) == (dot ? ink : 0);
            }
        }
        if (same)
            return character;
    }
    return 0;
}

/* Is a row this text, of characters of code page 437, and empty behind it? */
static bool row_is(uint32_t at_row, const char *text)
{
    for (uint32_t i = 0; i < canvas.columns; i++) {
        uint32_t expected = *text ? (uint8_t)*text++ : ' ';

        if (drawn(i, at_row) != expected)
            return false;
    }
    return !*text;
}

/* ---- checks ---- */

static void text_is_drawn_in_any_layout(void)
{
    static const struct vmi_framebuffer layouts[] = {
        {.bits = 32,
         .red_shift = 16,
         .red_bits = 8,
         .green_shift = 8,
         .green_bits = 8,
         .blue_bits = 8},
        {.bits = 32,
         .red_bits = 8,
         .green_shift = 8,
         .green_bits = 8,
         .blue_shift = 16,
         .blue_bits = 8},
        {.bits = 32,
         .red_shift = 20,
         .red_bits = 10,
         .green_shift = 10,
         .green_bits = 10,
         .blue_bits = 10},
        {.bits = 24,
         .red_shift = 16,
         .red_bits = 8,
         .green_shift = 8,
         .green_bits = 8,
         .blue_bits = 8},
        {.bits = 16,
         .red_shift = 11,
         .red_bits = 5,
         .green_shift = 5,
         .green_bits = 6,
         .blue_bits = 5},
        {.bits = 15,
         .red_shift = 10,
         .red_bits = 5,
         .green_shift = 5,
         .green_bits = 5,
         .blue_bits = 5},
        {.bits = 8,
         .red_shift = 5,
         .red_bits = 3,
         .green_shift = 2,
         .green_bits = 3,
         .blue_bits = 2},
        {.bits = 64,
         .red_shift = 32,
         .red_bits = 16,
         .green_shift = 16,
         .green_bits = 16,
         .blue_bits = 16},
    };

    for (uint32_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        struct vmi_framebuffer from = layouts[i];
        uint32_t size = (from.bits + 7u) / 8;

        from.base = BASE;
        from.color = VMI_COLOR_RGB;
        from.width = 203;
        from.height = 39;
        from.pitch = from.width * size + 13;
        start(&from);
        EXPECT(vmi__native_screen && canvas.columns == 25 && canvas.rows == 2);
        EXPECT(machine.cache == VMI_CACHE_WRITE_COMBINING && machine.base == (BASE & ~0xfffull));
        write("Gr\xc3\xbc\xc3\x9f"
              "e\r\n~|{ }");
        EXPECT(row_is(0, "Gr\x81\xe1"
                         "e"));
        EXPECT(row_is(1, "~|{ }"));
        /* Two thirds of each colour, and nothing beside them. */
        EXPECT((ink >> from.green_shift & ((1ull << from.green_bits) - 1)) ==
               0xaaaaaaaaaaaaaaaaull >> (64 - from.green_bits));
        /* Beside and below the cells nothing is written. */
        for (uint32_t y = 0; y < from.height; y++)
            for (uint32_t x = 0; x < from.pitch; x++)
                if (x >= 200 * size || y >= 32)
                    EXPECT(video[(BASE & 0xfff) + y * from.pitch + x] == POISON);
        EXPECT(video[(BASE & 0xfff) - 1] == POISON);
    }
}

static void scrolling_reads_nothing(void)
{
    start(&usual);
    EXPECT(canvas.rows == 6 && canvas.columns == 80);
    write("one\ntwo\nthree\nfour\nfive\nsix");
    EXPECT(row_is(0, "one") && row_is(5, "six"));
    /* Whatever becomes of the video memory, what differs from before is drawn, and nothing else. */
    memset(video, POISON, sizeof(video));
    write("\nseven");
    EXPECT(drawn(0, 0) == 't' && drawn(1, 0) == 'w' && drawn(2, 0) == 'o');
    EXPECT(pixel(3 * VMI__FONT_WIDTH, 0) == 0x5c5c5c5c);
    EXPECT(pixel(0, 5 * VMI__FONT_HEIGHT) == 0x5c5c5c5c); /* of "six" and of "seven" */
    EXPECT(drawn(1, 5) == 'e' && drawn(2, 5) == 'v' && drawn(4, 5) == 'n');
}

static void a_long_text_ends_on_the_screen(void)
{
    static char text[3000];
    uint32_t length = 0;

    start(&usual);
    for (uint32_t line = 0; line < 300; line++) {
        text[length++] = (char)('a' + line % 26);
        text[length++] = '\r';
        text[length++] = '\n';
    }
    vmi__native_screen_write(text, length);
    for (uint32_t i = 0; i < 5; i++)
        EXPECT(drawn(0, i) == 'a' + (295 + i) % 26);
    EXPECT(row_is(5, ""));
}

static void unicode_is_taken_apart(void)
{
    static const char line[] = "\xe2\x95\x94"; /* a corner of two lines, in two pieces */

    start(&usual);
    vmi__native_screen_write(line, 1);
    vmi__native_screen_write(line + 1, 2);
    write("\xc3\xa9|\xe2\x82\xac|\xf0\x9f\x98\x80|"); /* one, and two that the font does not have */
    EXPECT(row_is(0, "\xc9\x82|?|?|"));
    /* No byte of UTF-8; cut off; a line feed in two and in three bytes. */
    write("\r\n\xff|\xc3|\xe2\x95|\xc0\x8a|\xe0\x80\x8a|\x80|");
    EXPECT(row_is(1, "?|?|?|??|?|?|"));
}

static void controls_move(void)
{
    start(&usual);
    write("a\tb\rc\n\x1b[31;1mred\x1b[0m\x1b"
          "c\a");
    EXPECT(row_is(0, "c       b") && row_is(1, "red"));
    write("\rab\b\bx\n");
    EXPECT(row_is(1, "xbd"));
    for (uint32_t i = 0; i < 81; i++)
        write("w");
    EXPECT(drawn(79, 2) == 'w' && row_is(3, "w"));
    write("\r");
    for (uint32_t i = 0; i < 80; i++)
        write("v");
    write("\r\n"); /* behind a full line: no line is left empty */
    write("u");
    EXPECT(drawn(79, 3) == 'v' && row_is(4, "u"));
    write("\r\t\t\t\t\t\t\t\t\t\t\t\tt");
    EXPECT(row_is(5, "t"));
}

static void dots_grow_with_the_screen(void)
{
    struct vmi_framebuffer from = usual;

    from.width = 2560;
    from.pitch = 2560 * 4;
    from.height = 100;
    start(&from);
    EXPECT(scale == 2 && canvas.columns == 160 && canvas.rows == 3);
    write("x\ny");
    EXPECT(row_is(0, "x") && row_is(1, "y"));
}

static void a_kernel_takes_it(void)
{
    start(&usual);
    write("mine");
    vmi__native_device_mapped(machine.base + machine.size, machine.base + machine.size);
    vmi__native_device_mapped(machine.base - 1, machine.base - 1);
    EXPECT(vmi__native_screen);
    vmi__native_device_mapped(machine.base + machine.size - 1, machine.base + machine.size);
    memset(video, POISON, sizeof(video));
    write("\nyours");
    for (uint32_t i = 0; i < VIDEO; i++)
        EXPECT(video[i] == POISON);
}

static void what_cannot_be_used_is_left_alone(void)
{
    struct vmi_framebuffer from = usual;

    machine.no_map = true;
    start(&usual);
    EXPECT(!vmi__native_screen);
    machine.no_map = false;
    machine.no_memory = true;
    start(&usual);
    EXPECT(!vmi__native_screen);
    machine.no_memory = false;
    from.height = VMI__FONT_HEIGHT - 1;
    start(&from);
    EXPECT(!vmi__native_screen);
    from = usual;
    from.width = VMI__FONT_WIDTH - 1;
    start(&from);
    EXPECT(!vmi__native_screen);
    from = usual;
    from.pitch = 1u << 31;
    from.height = UINT32_MAX;
    start(&from);
    EXPECT(!vmi__native_screen);
    machine.option = "off";
    start(&usual);
    EXPECT(!vmi__native_screen && !fatal);
    write("nothing");
    machine.option = "on";
    if (!__builtin_setjmp(refused))
        start(&usual);
    EXPECT(fatal);
    machine.option = 0;
    for (uint32_t i = 0; i < VIDEO; i++)
        EXPECT(video[i] == POISON);
}

static const uint16_t *vga(void)
{
    return (const uint16_t *)video;
}

static void vga_text_by_the_bios(void)
{
    bios[BIOS_MODE] = MODE_COLOR;
    bios[BIOS_COLUMNS] = 80;
    bios[BIOS_CRTC] = 0xd4;
    bios[BIOS_CRTC + 1] = 0x03;
    bios[BIOS_LAST_ROW] = 49;
    machine.crtc[CRTC_START] = 1;
    start(0);
    EXPECT(vmi__native_screen && canvas.columns == 80 && canvas.rows == 50);
    EXPECT(machine.base == 0xb8000 && machine.cache == VMI_CACHE_UNCACHED);
    EXPECT(!machine.crtc[CRTC_START] && !machine.crtc[CRTC_START + 1]);
    EXPECT(vga()[79] == 0x0720 && vga()[50 * 80 - 1] == 0x0720 && vga()[50 * 80] == 0x5c5c);
    write("a\n\xc3\xa4");
    EXPECT(vga()[0] == 0x0761 && vga()[80] == 0x0784);
    EXPECT(machine.crtc[CRTC_CURSOR] == 0 && machine.crtc[CRTC_CURSOR + 1] == 81);
    vmi__boot.efi_bits = 64;
    start(0);
    EXPECT(!vmi__native_screen);
    vmi__boot.efi_bits = 0;
    machine.no_crtc = true;
    start(0);
    EXPECT(!vmi__native_screen);
    machine.no_crtc = false;
    bios[BIOS_MODE] = 0x12;
    start(0);
    EXPECT(!vmi__native_screen);
    memset(bios, 0, sizeof(bios));
    start(0);
    EXPECT(!vmi__native_screen);
}

static void vga_text_by_the_loader(void)
{
    struct vmi_framebuffer from = {.base = 0xb8000,
                                   .pitch = 160,
                                   .width = 80,
                                   .height = 25,
                                   .bits = 16,
                                   .color = VMI_COLOR_TEXT};

    start(&from);
    EXPECT(vmi__native_screen && canvas.rows == 25);
    write("b");
    EXPECT(vga()[0] == 0x0762);
    from.height = 2000;
    start(&from);
    EXPECT(!vmi__native_screen);
    from.height = 25;
    from.pitch = 0x10000;
    start(&from);
    EXPECT(!vmi__native_screen);
}

static const struct played_check checks[] = {
    CHECK(text_is_drawn_in_any_layout),
    CHECK(scrolling_reads_nothing),
    CHECK(a_long_text_ends_on_the_screen),
    CHECK(unicode_is_taken_apart),
    CHECK(controls_move),
    CHECK(dots_grow_with_the_screen),
    CHECK(a_kernel_takes_it),
    CHECK(what_cannot_be_used_is_left_alone),
    CHECK(vga_text_by_the_bios),
    CHECK(vga_text_by_the_loader),
};

PLAY(checks)
