/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Bounded reading of what a loader left, and the checks that do not depend on its protocol.
 */
#include "loader.h"

/* Less than this beside the kernel is no machine to run on. */
#define ROOM_MIN (1u << 20)

/* The structures themselves, two strings, and a string for each module. */
#define SPANS_MAX (8 + VMI__MODULES_MAX)

/* The BIOS's area, in which loaders leave things that the memory map need not have. */
#define LOW_END 0x100000

struct span {
    uint32_t start, end;
};

static struct vmi_module modules[VMI__MODULES_MAX];
static char text[VMI__TEXT_MAX];
static uint32_t text_used;
static struct span spans[SPANS_MAX];
static uint32_t spans_count;

const void *vmi__loader_table(const struct vmi__loader_view *view, uint64_t address, uint32_t count,
                              uint32_t size)
{
    uint64_t bytes = (uint64_t)count * size;

    if (bytes > view->size || address > view->size - bytes)
        return 0;
    if (address < view->image_end && address + bytes > view->image_start)
        return 0;
    if (spans_count == SPANS_MAX)
        return 0;
    spans[spans_count].start = (uint32_t)address;
    spans[spans_count].end = (uint32_t)(address + bytes);
    spans_count++;
    return view->base + (uint32_t)address;
}

bool vmi__loader_string(const struct vmi__loader_view *view, uint64_t address, const char **copy)
{
    uint32_t length = 0, room = VMI__TEXT_MAX - text_used, end = view->size;
    const unsigned char *byte;

    *copy = "";
    if (address == 0)
        return true;
    /* The string's end is not known yet: it is looked for as far as memory may be read. */
    if (address < view->image_start)
        end = view->image_start;
    if (address >= end || (address >= view->image_start && address < view->image_end))
        return false;
    if (room > end - (uint32_t)address)
        room = end - (uint32_t)address;
    byte = view->base + (uint32_t)address;
    while (length < room && byte[length])
        length++;
    if (length == room || !vmi__loader_table(view, address, length + 1, 1))
        return false;
    memcpy(text + text_used, byte, length + 1);
    *copy = text + text_used;
    text_used += length + 1;
    return true;
}

const char *vmi__loader_memory(uint64_t base, uint64_t size, uint32_t kind)
{
    if (kind < VMI_MEMORY_USABLE || kind > VMI_MEMORY_UNUSABLE)
        kind = VMI_MEMORY_RESERVED;
    return vmi__memory_add(base, size, kind);
}

const char *vmi__loader_module(const struct vmi__loader_view *view, uint64_t base, uint64_t size,
                               uint64_t line)
{
    struct vmi_module *module = &modules[vmi__boot.module_count];

    if (vmi__boot.module_count == VMI__MODULES_MAX)
        return "more boot modules than the 16 that can be passed on";
    if (base + size < base)
        return "a boot module wraps around the end of memory";
    if (base < view->image_end && base + size > view->image_start)
        return "a boot module overlaps the kernel";
    if (!vmi__loader_string(view, line, &module->command_line))
        return "the command line of a boot module is not terminated inside memory or too long";
    module->base = base;
    module->size = size;
    module->reserved = 0;
    vmi__boot.modules = modules;
    vmi__boot.module_count++;
    return 0;
}

/* Does the published map list every byte of what was read, if it lies above the BIOS's area? */
static bool spans_are_memory(void)
{
    uint32_t i, j;

    for (i = 0; i < spans_count; i++) {
        uint64_t address = spans[i].start;

        if (address < LOW_END)
            address = LOW_END;
        for (j = 0; j < vmi__boot.memory_count && address < spans[i].end; j++) {
            const struct vmi_memory_range *range = &vmi__boot.memory[j];

            if (address >= range->base && address - range->base < range->size)
                address = range->base + range->size;
        }
        if (address < spans[i].end)
            return false;
    }
    return true;
}

/* Modules must be memory that the loader could fill, each its own, before they are claimed. */
static const char *claim_modules(void)
{
    const char *reason;
    uint32_t i, j;

    for (i = 0; i < vmi__boot.module_count; i++) {
        const struct vmi_module *module = &modules[i];

        if (module->size == 0)
            continue;
        if (!vmi__memory_is(module->base, module->size, VMI_MEMORY_USABLE))
            return "a boot module is not in usable memory";
        for (j = 0; j < i; j++) {
            if (module->base < modules[j].base + modules[j].size &&
                modules[j].base < module->base + module->size)
                return "two boot modules overlap";
        }
    }
    for (i = 0; i < vmi__boot.module_count; i++) {
        uint64_t start = modules[i].base & ~0xfffull;
        uint64_t end = (modules[i].base + modules[i].size + 0xfff) & ~0xfffull;

        reason = vmi__memory_add(start, end - start, VMI_MEMORY_MODULE);
        if (reason)
            return reason;
    }
    return 0;
}

/* Highest end of usable memory inside the linear region, and how much of it is usable. */
static void measure(uint64_t *end, uint64_t *room)
{
    uint32_t i;

    *end = 0;
    *room = 0;
    for (i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];
        uint64_t range_end = range->base + range->size;

        if (range->base >= VMI__LINEAR_MAX || range->kind != VMI_MEMORY_USABLE)
            continue;
        if (range_end > VMI__LINEAR_MAX)
            range_end = VMI__LINEAR_MAX;
        *room += range_end - range->base;
        *end = range_end;
    }
}

const char *vmi__loader_finish(const struct vmi__loader_view *view)
{
    uint32_t image_start = view->image_start & ~0xfffu,
             image_end = (view->image_end + 0xfff) & ~0xfffu;
    uint64_t end, room;
    const char *reason;

    reason = vmi__memory_publish();
    if (reason)
        return reason;
    if (!vmi__memory_is(image_start, image_end - image_start, VMI_MEMORY_USABLE))
        return "the memory map does not have the memory that the kernel is in";
    if (!spans_are_memory())
        return "the loader's structures lie where there is no memory";
    measure(&end, &room);
    reason = claim_modules();
    if (reason)
        return reason;
    reason = vmi__memory_add(image_start, image_end - image_start, VMI_MEMORY_IMAGE);
    if (reason)
        return reason;
    /* Interrupt vectors and the BIOS's data area; besides, nobody wants frame 0 from an allocator.
     */
    reason = vmi__memory_add(0, 4096, VMI_MEMORY_RESERVED);
    if (reason)
        return reason;
    reason = vmi__memory_publish();
    if (reason)
        return reason;
    vmi__boot.linear_pages = (uint32_t)(end >> 12);
    vmi__boot.virtual_end = VMI__WINDOW_BASE;
    measure(&end, &room);
    if (room < ROOM_MIN)
        return "less than 1 MiB of memory is left beside the kernel";
    return 0;
}
