/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Fuzz target: what a loader left is taken apart, as runtime/pc_loader.c does it.
 *
 * An input is what tests/runtime/harness.c reads: in words protocol, magic number, address of the
 * structure, start and end of the image, size of memory, number of pieces (the last four are not
 * used here), then of each piece address, size, bytes. Memory is always the same size and the image
 * at the same place; neither the image nor what lies around memory can be touched.
 */
#include <sys/mman.h>

/* Their static variables are cleared for each input. */
#include "loader.c"
#include "memory_map.c"

#include "fuzz.h"

#define PAGE        4096u
#define SIZE        (4u << 20)
#define IMAGE_START (1u << 20)
#define IMAGE_END   (IMAGE_START + 0x40000)

#define HEAD_WORDS 7

struct vmi_boot_info vmi__boot;

static unsigned char *memory;

static void reserve(void)
{
    unsigned char *all = mmap(0, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    HOLDS(all != MAP_FAILED);
    memory = all + PAGE;
    HOLDS(!mprotect(memory, IMAGE_START, PROT_READ | PROT_WRITE));
    HOLDS(!mprotect(memory + IMAGE_END, SIZE - IMAGE_END, PROT_READ | PROT_WRITE));
}

/* Puts the pieces of an input into memory, or zeroes in their place. */
static void put_pieces(const uint8_t *data, size_t size, bool zero)
{
    size_t next = HEAD_WORDS * 4;

    while (next + 8 <= size) {
        uint32_t address = read_word(data + next), length = read_word(data + next + 4);

        next += 8;
        if (length > size - next)
            length = (uint32_t)(size - next);
        if (address <= SIZE && length <= SIZE - address &&
            (address + length <= IMAGE_START || address >= IMAGE_END)) {
            if (zero)
                memset(memory + address, 0, length);
            else
                memcpy(memory + address, data + next, length);
        }
        next += length;
    }
}

static void clear(void)
{
    if (claims != few_claims)
        memset(ranges, 0, vmi__memory_room(claims_max - CLAIMS_OWN));
    claims = few_claims;
    ranges = few_ranges;
    claims_max = CLAIMS_FEW;
    claims_count = 0;
    spans_count = 0;
    text_used = 0;
    memset(&vmi__boot, 0, sizeof(vmi__boot));
    vmi__boot.loader = vmi__boot.command_line = "";
}

/* A string is empty, or in the runtime's own buffer. */
static void hold_string(const char *string)
{
    if (string >= text && string < text + sizeof(text))
        HOLDS(memchr(string, 0, (size_t)(text + sizeof(text) - string)));
    else
        HOLDS(!*string);
}

static uint32_t kind_of(uint64_t address)
{
    for (uint32_t i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (address >= range->base && address - range->base < range->size)
            return range->kind;
    }
    return 0;
}

static void hold_map(void)
{
    uint64_t end = 0;

    for (uint32_t i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        /* The last one may end at 2^64. */
        HOLDS(range->size && range->base + (range->size - 1) >= range->base);
        HOLDS(range->base >= end && (end || !i));
        end = range->base + range->size;
        HOLDS(range->kind != VMI_MEMORY_USABLE || !((range->base | range->size) & (PAGE - 1)));
    }
    for (uint32_t address = IMAGE_START; address < IMAGE_END; address += PAGE)
        HOLDS(kind_of(address) == VMI_MEMORY_IMAGE);
    HOLDS(kind_of(0) != VMI_MEMORY_USABLE);
    for (uint32_t i = 0; i < vmi__boot.module_count; i++) {
        const struct vmi_module *module = &vmi__boot.modules[i];

        hold_string(module->command_line);
        if (module->size) {
            HOLDS(kind_of(module->base) == VMI_MEMORY_MODULE);
            HOLDS(kind_of(module->base + module->size - 1) == VMI_MEMORY_MODULE);
        }
    }
    /* The map itself, if it is a long one. */
    if (claims != few_claims)
        for (uint32_t at = 0; at < vmi__memory_room(claims_max - CLAIMS_OWN); at += PAGE)
            HOLDS(kind_of((uint64_t)((unsigned char *)ranges - memory) + at) == VMI_MEMORY_BOOT);
    if (vmi__boot.framebuffer) {
        const struct vmi_framebuffer *screen = vmi__boot.framebuffer;
        uint64_t end = screen->base + (uint64_t)screen->pitch * screen->height;

        HOLDS(screen->base && end > screen->base && screen->width && screen->height);
        HOLDS((uint64_t)screen->width * screen->bits <= (uint64_t)screen->pitch * 8);
        HOLDS(screen->color == VMI_COLOR_TEXT || screen->color == VMI_COLOR_RGB);
        HOLDS(kind_of(screen->base) != VMI_MEMORY_USABLE && kind_of(end - 1) != VMI_MEMORY_USABLE);
    }
    HOLDS(!vmi__boot.efi_system_table == !vmi__boot.efi_bits);
    HOLDS(vmi__boot.linear_pages && vmi__boot.linear_pages <= VMI__LINEAR_MAX / PAGE);
}

static void hold_options(void)
{
    static const char *const names[] = {"quiet", "vmi.provider", "vmi.debug_exit", ""};
    const char *value, *line = vmi__boot.command_line;
    uint32_t length, number;

    for (uint32_t i = 0; i < COUNT(names); i++)
        if (vmi__option(names[i], &value, &length)) {
            HOLDS(value >= line && value + length <= line + strlen(line));
            HOLDS(!memchr(value, ' ', length) && !memchr(value, '\t', length));
            vmi__parse_u32(value, length, &number);
        }
    if (!vmi__options())
        HOLDS(vmi__boot.debug_exit <= 0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmi__loader_view view = {0, SIZE, IMAGE_START, IMAGE_END, 0, 0};
    const char *reason;
    uint32_t claim;

    if (size < HEAD_WORDS * 4)
        return 0;
    if (!memory)
        reserve();
    view.base = memory;
    clear();
    put_pieces(data, size, false);
    reason = vmi__loader_read(&view, read_word(data), read_word(data + 4), read_word(data + 8));
    put_pieces(data, size, true);
    hold_string(vmi__boot.command_line);
    hold_string(vmi__boot.loader);
    hold_options();
    if (!reason) {
        hold_map();
        claim = vmi__memory_claim(5000, 0xa0000);
        if (claim) {
            HOLDS(!(claim & (PAGE - 1)) && claim + 8192 <= 0xa0000);
            HOLDS(kind_of(claim) == VMI_MEMORY_LIBRARY &&
                  kind_of(claim + 8191) == VMI_MEMORY_LIBRARY);
            hold_map();
        }
    }
    return 0;
}

/* A word of one of the pieces becomes another; their places and sizes stay, for the most part. */
static void mutate_piece(uint8_t *data, size_t size, uint32_t *state)
{
    static const uint32_t words[] = {0,       1,       2,           24,        0x9000,   0x9100,
                                     0x9800,  0xa000,  0x100,       PAGE,      SIZE,     0x4000,
                                     0x9fc00, 0xf0000, IMAGE_START, IMAGE_END, 64u << 20};
    size_t next = HEAD_WORDS * 4, start, length;
    uint32_t piece = below(state, 6);

    do {
        if (next + 8 > size)
            return;
        length = read_word(data + next + 4);
        start = next + 8;
        if (length > size - start)
            length = size - start;
        next = start + length;
    } while (piece--);
    if (length >= 4) {
        start += below(state, (uint32_t)length / 4) * 4;
        write_word(data + start,
                   odd_word(state, read_word(data + start), words, (uint32_t)COUNT(words)));
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    uint32_t state = seed | 1, rounds = 1 + below(&state, 4);

    while (rounds--) {
        if (size < HEAD_WORDS * 4 || !below(&state, 4))
            size = LLVMFuzzerMutate(data, size, room);
        else
            mutate_piece(data, size, &state);
    }
    return size;
}
