/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What loaders that are started by multiboot, and start the kernel that they carry by it, have in
 * common. Each is one C file beside multiboot.S.
 */
#ifndef LOADERS_MULTIBOOT_H
#define LOADERS_MULTIBOOT_H

#include <stddef.h>
#include <stdint.h>

struct info {
    uint32_t flags, memory_lower, memory_upper, device, command_line;
    uint32_t module_count, modules, symbols[4], map_length, map;
};

/* The kernel is x86-64's or i386's. */
#ifdef WIDE
typedef uint64_t word;
#else
typedef uint32_t word;
#endif

struct elf {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    word entry, programs, sections;
    uint32_t flags;
    uint16_t size, program_size, program_count;
};

#ifdef WIDE
struct program {
    uint32_t type, flags;
    uint64_t offset, linear, physical, file_size, memory_size, align;
};
#else
struct program {
    uint32_t type, offset, linear, physical, file_size, memory_size, flags, align;
};
#endif

/* multiboot.S calls it with the loader's structure. */
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

/* Puts the kernel where it belongs; its entry's physical address. */
static inline uint32_t place(void)
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
    return entry;
}

#endif
