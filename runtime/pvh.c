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

static const char *read_memory_map(const struct vmi__loader_view *view,
                                   const struct start_info *info)
{
    const struct memory_entry *entry;
    uint32_t i;

    entry = vmi__loader_table(view, info->memory_map, info->memory_map_count, sizeof(*entry));
    if (!entry)
        return "the PVH memory map is outside memory or inside the kernel";
    for (i = 0; i < info->memory_map_count; i++, entry++) {
        const char *reason = vmi__loader_memory(entry->base, entry->size, entry->kind);

        if (reason)
            return reason;
    }
    return 0;
}

static const char *read_modules(const struct vmi__loader_view *view, const struct start_info *info)
{
    const struct module *module;
    uint32_t i;

    module = vmi__loader_table(view, info->modules, info->modules_count, sizeof(*module));
    if (!module)
        return "the PVH module list is outside memory or inside the kernel";
    for (i = 0; i < info->modules_count; i++, module++) {
        const char *reason =
            vmi__loader_module(view, module->base, module->size, module->command_line);

        if (reason)
            return reason;
    }
    return 0;
}

const char *vmi__pvh_read(const struct vmi__loader_view *view, uint32_t address)
{
    const uint32_t head = offsetof(struct start_info, memory_map);
    const void *in_memory;
    struct start_info info;
    const char *reason;

    vmi__boot.protocol = VMI_BOOT_PVH;
    in_memory = vmi__loader_table(view, address, 1, head);
    if (!in_memory)
        return "the PVH start information is outside memory or inside the kernel";
    memcpy(&info, in_memory, head);
    if (info.magic != START_MAGIC)
        return "the PVH start information has a wrong magic number";
    if (!vmi__loader_string(view, info.command_line, &vmi__boot.command_line))
        return "the command line is not terminated inside memory or too long";
    if (info.version == 0)
        return "the loader gave no memory map (PVH start information of version 0)";
    in_memory = vmi__loader_table(view, address, 1, sizeof(info));
    if (!in_memory)
        return "the PVH start information is outside memory or inside the kernel";
    memcpy(&info, in_memory, sizeof(info));

    vmi__rsdp = info.rsdp;
    reason = read_memory_map(view, &info);
    if (!reason && info.modules_count)
        reason = read_modules(view, &info);
    return reason;
}
