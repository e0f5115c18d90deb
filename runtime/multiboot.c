/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Multiboot 1 information. Facts: Multiboot Specification 0.6.96, section 3.3.
 */
#include "loader.h"

#define LOADER_MAGIC 0x2badb002

enum {
    INFO_MEMORY = 1u << 0,
    INFO_COMMAND_LINE = 1u << 2,
    INFO_MODULES = 1u << 3,
    INFO_MEMORY_MAP = 1u << 6,
    INFO_LOADER_NAME = 1u << 9,
    INFO_FRAMEBUFFER = 1u << 12,
};

struct info {
    uint32_t flags;
    uint32_t memory_lower, memory_upper; /* KiB from 0 and from 1 MiB */
    uint32_t boot_device;
    uint32_t command_line;
    uint32_t modules_count, modules;
    uint32_t symbols[4];
    uint32_t memory_map_length, memory_map;
    uint32_t drives_length, drives;
    uint32_t config_table;
    uint32_t loader_name;
};

/* Behind that, if INFO_FRAMEBUFFER says so, at an offset in the same structure. */
#define FRAMEBUFFER_AT 88
struct framebuffer {
    uint64_t base;
    uint32_t pitch, width, height;
    uint8_t bits, kind;
    uint8_t colors[VMI__COLORS];
} __attribute__((packed));

/* Entries of lists are packed: a loader may put a list at any address. */
struct module {
    uint32_t start, end, command_line, reserved;
} __attribute__((packed));

/* `size` counts from the member behind it, is at least 20 and leads to the next entry. */
struct memory_entry {
    uint32_t size;
    uint64_t base, length;
    uint32_t kind;
} __attribute__((packed));

static const char map_outside[] = "the multiboot memory map is outside memory or inside the kernel",
                  modules_outside[] =
                      "the multiboot module list is outside memory or inside the kernel";

static VMI__ADDRESS_TAKEN const char *next_range(const struct vmi__loader_view *view,
                                                 const struct vmi__loader_map *map,
                                                 uint32_t *offset, struct vmi__loader_range *range)
{
    struct memory_entry entry;
    uint32_t left = map->length - *offset;

    if (left < sizeof(entry))
        return "the multiboot memory map ends inside an entry";
    if (!vmi__loader_copy(view, map->address + *offset, &entry, sizeof(entry)))
        return map_outside;
    if (entry.size < sizeof(entry) - 4 || entry.size > left - 4)
        return "the multiboot memory map has an entry of a wrong size";
    *offset += entry.size + 4;
    range->base = entry.base;
    range->size = entry.length;
    range->kind = entry.kind;
    return 0;
}

static const char *read_memory_map(const struct vmi__loader_view *view, const struct info *info)
{
    const struct vmi__loader_map map = {
        .address = info->memory_map, .length = info->memory_map_length, .next = next_range};

    if (!vmi__loader_has(view, map.address, map.length, 1))
        return map_outside;
    return vmi__loader_memory(view, &map);
}

static const char *read_modules(const struct vmi__loader_view *view, const struct info *info)
{
    struct module module;
    uint32_t i;

    if (!vmi__loader_has(view, info->modules, info->modules_count, sizeof(module)))
        return modules_outside;
    for (i = 0; i < info->modules_count; i++) {
        const char *reason;

        if (!vmi__loader_copy(view, info->modules + i * sizeof(module), &module, sizeof(module)))
            return modules_outside;
        if (module.end < module.start)
            return "a boot module ends before it starts";
        reason =
            vmi__loader_module(view, module.start, module.end - module.start, module.command_line);
        if (reason)
            return reason;
    }
    return 0;
}

static void read_framebuffer(const struct vmi__loader_view *view, uint64_t at)
{
    struct framebuffer from;

    if (!vmi__loader_has(view, at, 1, sizeof(from)) ||
        !vmi__loader_copy(view, at, &from, sizeof(from)))
        return;
    vmi__loader_framebuffer(&(struct vmi_framebuffer){.base = from.base,
                                                      .pitch = from.pitch,
                                                      .width = from.width,
                                                      .height = from.height,
                                                      .bits = from.bits,
                                                      .color = from.kind},
                            from.colors);
}

const char *vmi__multiboot_read(const struct vmi__loader_view *view, uint32_t magic,
                                uint32_t address)
{
    struct info info;
    const char *reason = 0;

    vmi__boot.protocol = VMI_BOOT_MULTIBOOT;
    if (magic != LOADER_MAGIC)
        return "the loader is not a multiboot loader";
    if (!vmi__loader_has(view, address, 1, sizeof(info)) ||
        !vmi__loader_copy(view, address, &info, sizeof(info)))
        return "the multiboot information is outside memory or inside the kernel";

    if ((info.flags & INFO_COMMAND_LINE) &&
        !vmi__loader_string(view, info.command_line, &vmi__boot.command_line))
        return "the command line is not terminated inside memory or too long";
    if ((info.flags & INFO_LOADER_NAME) &&
        !vmi__loader_string(view, info.loader_name, &vmi__boot.loader))
        return "the loader's name is not terminated inside memory or too long";

    if (info.flags & INFO_FRAMEBUFFER)
        read_framebuffer(view, (uint64_t)address + FRAMEBUFFER_AT);
    if (info.flags & INFO_MODULES)
        reason = read_modules(view, &info);
    if (reason)
        return reason;
    if (info.flags & INFO_MEMORY_MAP)
        return read_memory_map(view, &info);
    if (!(info.flags & INFO_MEMORY))
        return "the loader gave no memory map";
    reason = vmi__memory_add(0, (uint64_t)info.memory_lower << 10, VMI_MEMORY_USABLE);
    if (!reason)
        reason = vmi__memory_add(1 << 20, (uint64_t)info.memory_upper << 10, VMI_MEMORY_USABLE);
    return reason;
}
