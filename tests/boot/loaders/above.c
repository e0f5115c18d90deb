/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Loads the x86-64 kernel that it carries as multiboot does, but tells it of other memory: the
 * first `LOW` bytes, and what lies above 4 GiB. All between them is said to be reserved. A kernel
 * that cuts an address to 32 bits then ends up where it has no memory.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef LOW
#define LOW (8u << 20)
#endif

#define FOUR_GIB (1ull << 32)

#define FLAG_MAP 0x40

struct info {
    uint32_t flags, memory_lower, memory_upper, device, command_line;
    uint32_t module_count, modules, symbols[4], map_length, map;
};

/* `size` does not count itself. */
struct range {
    uint32_t size;
    uint64_t base, length;
    uint32_t kind;
} __attribute__((packed));

struct elf {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, programs, sections;
    uint32_t flags;
    uint16_t size, program_size, program_count;
};

struct program {
    uint32_t type, flags;
    uint64_t offset, linear, physical, file_size, memory_size, align;
};

void load(struct info *info);
void leave(uint32_t entry, const void *info) __attribute__((noreturn));
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);

extern const uint8_t kernel[];

void *memset(void *to, int byte, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = (uint8_t)byte;
    return to;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

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
    const struct elf *elf = (const struct elf *)kernel;
    uint32_t entry = 0;

    for (uint32_t i = 0; i < elf->program_count; i++) {
        const struct program *p =
            (const void *)(kernel + (uint32_t)elf->programs + i * elf->program_size);

        if (p->type != 1)
            continue;
        memset((void *)(uint32_t)p->physical, 0, (uint32_t)p->memory_size);
        memcpy((void *)(uint32_t)p->physical, kernel + (uint32_t)p->offset, (uint32_t)p->file_size);
        if (elf->entry - p->linear < p->memory_size)
            entry = (uint32_t)(elf->entry - p->linear + p->physical);
    }
    change(info);
    leave(entry, info);
}
