/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Multiboot 2 information. Facts: Multiboot2 Specification 2.0, section 3.6.
 */
#include "loader.h"

#define LOADER_MAGIC 0x36d76289

#define TAG_ALIGN 8u

enum {
    TAG_END = 0,
    TAG_COMMAND_LINE = 1,
    TAG_LOADER_NAME = 2,
    TAG_MODULE = 3,
    TAG_MEMORY_MAP = 6,
    TAG_FRAMEBUFFER = 8,
    TAG_EFI_32 = 11, /* addresses of UEFI's system table */
    TAG_EFI_64 = 12,
    TAG_ACPI_OLD = 14, /* a copy of the RSDP of ACPI 1.0 */
    TAG_ACPI_NEW = 15,
};

struct head {
    uint32_t total_size, reserved;
};

struct tag {
    uint32_t kind, size; /* its own 8 bytes included, padding behind it not */
};

struct module {
    uint32_t start, end;
};

/* Followed by what the colour's kind needs. */
struct framebuffer {
    uint64_t base;
    uint32_t pitch, width, height;
    uint8_t bits, kind;
    uint16_t reserved;
} __attribute__((packed));

struct map_head {
    uint32_t entry_size, entry_version;
};

struct map_entry {
    uint64_t base, length;
    uint32_t kind, reserved;
} __attribute__((packed));

/* The memory map's entries may be longer than those that are known. */
static uint32_t entry_size;

static VMI__ADDRESS_TAKEN const char *next_range(const struct vmi__loader_view *view,
                                                 const struct vmi__loader_map *map,
                                                 uint32_t *offset, struct vmi__loader_range *range)
{
    struct map_entry entry;

    if (map->length - *offset < entry_size)
        return "the multiboot2 memory map ends inside an entry";
    if (!vmi__loader_copy(view, map->address + *offset, &entry, sizeof(entry)))
        return "the multiboot2 memory map cannot be reached";
    *offset += entry_size;
    range->base = entry.base;
    range->size = entry.length;
    range->kind = entry.kind;
    return 0;
}

static const char *read_module(const struct vmi__loader_view *view, uint64_t at, uint32_t size)
{
    struct module module;

    if (size <= sizeof(module) || !vmi__loader_copy(view, at, &module, sizeof(module)))
        return "a multiboot2 module tag is too short";
    if (module.end < module.start)
        return "a boot module ends before it starts";
    return vmi__loader_module(view, module.start, module.end - module.start, at + sizeof(module));
}

static void read_framebuffer(const struct vmi__loader_view *view, uint64_t at, uint32_t size)
{
    struct framebuffer from;
    uint8_t colors[VMI__COLORS] = {0};

    if (size < sizeof(from) || !vmi__loader_copy(view, at, &from, sizeof(from)))
        return;
    if (from.kind == VMI_COLOR_RGB &&
        (size < sizeof(from) + sizeof(colors) ||
         !vmi__loader_copy(view, at + sizeof(from), colors, sizeof(colors))))
        return;
    vmi__loader_framebuffer(&(struct vmi_framebuffer){.base = from.base,
                                                      .pitch = from.pitch,
                                                      .width = from.width,
                                                      .height = from.height,
                                                      .bits = from.bits,
                                                      .color = from.kind},
                            colors);
}

/* Takes the address of UEFI's system table, of so many bits. */
static void read_efi(const struct vmi__loader_view *view, uint64_t at, uint32_t size, uint32_t bits)
{
    uint64_t address = 0;

    if (size < bits / 8 || !vmi__loader_copy(view, at, &address, bits / 8))
        return;
    vmi__boot.efi_system_table = address;
    vmi__boot.efi_bits = bits;
}

/* What one tag's content, at an address, says. The memory map is left for the end. */
static const char *read_tag(const struct vmi__loader_view *view, uint32_t kind, uint64_t at,
                            uint32_t size, struct vmi__loader_map *map)
{
    struct map_head head;

    switch (kind) {
    case TAG_COMMAND_LINE:
        return vmi__loader_string(view, at, &vmi__boot.command_line)
                   ? 0
                   : "the command line is not terminated inside memory or too long";
    case TAG_LOADER_NAME:
        return vmi__loader_string(view, at, &vmi__boot.loader)
                   ? 0
                   : "the loader's name is not terminated inside memory or too long";
    case TAG_MODULE:
        return read_module(view, at, size);
    case TAG_ACPI_OLD:
        if (!vmi__boot.acpi_root)
            vmi__boot.acpi_root = at;
        return 0;
    case TAG_ACPI_NEW:
        vmi__boot.acpi_root = at;
        return 0;
    case TAG_FRAMEBUFFER:
        read_framebuffer(view, at, size);
        return 0;
    case TAG_EFI_32:
        read_efi(view, at, size, 32);
        return 0;
    case TAG_EFI_64:
        read_efi(view, at, size, 64);
        return 0;
    case TAG_MEMORY_MAP:
        if (size < sizeof(head) || !vmi__loader_copy(view, at, &head, sizeof(head)) ||
            head.entry_size < sizeof(struct map_entry) || head.entry_size % TAG_ALIGN ||
            head.entry_size > VMI__LIST_MAX)
            return "the multiboot2 memory map has entries of a wrong size";
        entry_size = head.entry_size;
        map->address = at + sizeof(head);
        map->length = (size - (uint32_t)sizeof(head)) / entry_size * entry_size;
        map->next = next_range;
        return 0;
    default:
        return 0;
    }
}

const char *vmi__multiboot2_read(const struct vmi__loader_view *view, uint32_t magic,
                                 uint32_t address)
{
    struct vmi__loader_map map = {0};
    struct head head;
    struct tag tag;
    uint64_t at, end;

    vmi__boot.protocol = VMI_BOOT_MULTIBOOT2;
    if (magic != LOADER_MAGIC)
        return "the loader is not a multiboot2 loader";
    if (!vmi__loader_has(view, address, 1, sizeof(head)) ||
        !vmi__loader_copy(view, address, &head, sizeof(head)))
        return "the multiboot2 information is outside memory or inside the kernel";
    if (head.total_size < sizeof(head) || head.total_size > VMI__LIST_MAX ||
        !vmi__loader_has(view, address, head.total_size, 1))
        return "the multiboot2 information is outside memory or inside the kernel";
    end = (uint64_t)address + head.total_size;
    for (at = (uint64_t)address + sizeof(head);;
         at += (tag.size + TAG_ALIGN - 1) & ~(TAG_ALIGN - 1)) {
        const char *reason;

        if (end - at < sizeof(tag) || at > end)
            return "the multiboot2 information has no end tag";
        if (!vmi__loader_copy(view, at, &tag, sizeof(tag)))
            return "the multiboot2 information cannot be reached";
        if (tag.kind == TAG_END)
            break;
        if (tag.size < sizeof(tag) || tag.size > end - at)
            return "the multiboot2 information has a tag of a wrong size";
        reason = read_tag(view, tag.kind, at + sizeof(tag), tag.size - (uint32_t)sizeof(tag), &map);
        if (reason)
            return reason;
    }
    return map.next ? vmi__loader_memory(view, &map) : "the loader gave no memory map";
}
