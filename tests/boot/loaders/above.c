/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Loads the x86-64 kernel that it carries as multiboot does, but tells it of other memory: the
 * first `LOW` bytes, and what lies above 4 GiB. All between them is said to be reserved. A kernel
 * that cuts an address to 32 bits then ends up where it has no memory.
 */
#include "multiboot.h"

#ifndef LOW
#define LOW (8u << 20)
#endif

#define FOUR_GIB (1ull << 32)

/* `size` does not count itself. */
struct range {
    uint32_t size;
    uint64_t base, length;
    uint32_t kind;
} __attribute__((packed));

/* Usable memory between the two is reserved; a range across a border is cut there. */
static void change(struct info *info)
{
    static struct range ranges[64];
    uint32_t count = 0, offset = 0;

    while (offset < info->map_length) {
        const struct range *found = (const struct range *)(info->map + offset);
        uint64_t base = found->base, end = base + found->length;

        offset += found->size + sizeof(found->size);
        while (base < end) {
            uint64_t border = base < LOW ? LOW : base < FOUR_GIB ? FOUR_GIB : end;
            uint64_t stop = border < end ? border : end;
            uint32_t kind = base >= LOW && base < FOUR_GIB && found->kind == 1 ? 2 : found->kind;

            ranges[count++] = (struct range){sizeof(struct range) - 4, base, stop - base, kind};
            base = stop;
        }
    }
    info->map = (uint32_t)ranges;
    info->map_length = count * sizeof(struct range);
    info->memory_upper = (LOW >> 10) - 1024;
    info->modules = info->module_count = 0;
}

void load(struct info *info)
{
    uint32_t entry = place();

    change(info);
    leave(entry, info);
}
