/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * PVH start information. Facts: Xen's public/arch-x86/hvm/start_info.h.
 */
#include "loader.h"

#define START_MAGIC 0x336ec578

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t modules_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    /* From version 1 on: */
    uint64_t memory_map;
    uint32_t memory_map_count;
    uint32_t reserved;
};

/* Entries of lists are packed: a loader may put a list at any address. */
struct module {
    uint64_t base, size, command_line, reserved;
} __attribute__((packed));

/* The kinds are those of VMI_MEMORY_; what is above them is not RAM to this kernel. */
struct memory_entry {
    uint64_t base, size;
    uint32_t kind, reserved;
} __attribute__((packed));

static const char map_outside[] = "the PVH memory map is outside memory or inside the kernel",
                  modules_outside[] = "the PVH module list is outside memory or inside the kernel";

static VMI__ADDRESS_TAKEN const char *next_range(const struct vmi__loader_view *view,
                                                 const struct vmi__loader_map *map,
                                                 uint32_t *offset, struct vmi__loader_range *range)
{
    struct memory_entry entry;

    if (!vmi__loader_copy(view, map->address + *offset, &entry, sizeof(entry)))
        return map_outside;
    *offset += sizeof(entry);
    range->base = entry.base;
    range->size = entry.size;
    range->kind = entry.kind;
    return 0;
}

static const char *read_memory_map(const struct vmi__loader_view *view,
                                   const struct start_info *info)
{
    const uint32_t size = sizeof(struct memory_entry);
    struct vmi__loader_map map = {.address = info->memory_map, .next = next_range};

    if (!vmi__loader_has(view, info->memory_map, info->memory_map_count, size))
        return map_outside;
    map.length = info->memory_map_count * size;
    return vmi__loader_memory(view, &map);
}

static const char *read_modules(const struct vmi__loader_view *view, const struct start_info *info)
{
    struct module module;
    uint32_t i;

    if (!vmi__loader_has(view, info->modules, info->modules_count, sizeof(module)))
        return modules_outside;
    for (i = 0; i < info->modules_count; i++) {
        const char *reason;

        if (!vmi__loader_copy(view, info->modules + i * sizeof(module), &module, sizeof(module)))
            return modules_outside;
        reason = vmi__loader_module(view, module.base, module.size, module.command_line);
        if (reason)
            return reason;
    }
    return 0;
}

const char *vmi__pvh_read(const struct vmi__loader_view *view, uint32_t address)
{
    const uint32_t head = offsetof(struct start_info, memory_map);
    struct start_info info;
    const char *reason;

    vmi__boot.protocol = VMI_BOOT_PVH;
    if (!vmi__loader_has(view, address, 1, head) || !vmi__loader_copy(view, address, &info, head))
        return "the PVH start information is outside memory or inside the kernel";
    if (info.magic != START_MAGIC)
        return "the PVH start information has a wrong magic number";
    if (!vmi__loader_string(view, info.command_line, &vmi__boot.command_line))
        return "the command line is not terminated inside memory or too long";
    if (info.version == 0)
        return "the loader gave no memory map (PVH start information of version 0)";
    if (!vmi__loader_has(view, address, 1, sizeof(info)) ||
        !vmi__loader_copy(view, address, &info, sizeof(info)))
        return "the PVH start information is outside memory or inside the kernel";

    vmi__boot.acpi_root = info.rsdp;
    reason = read_modules(view, &info);
    return reason ? reason : read_memory_map(view, &info);
}
