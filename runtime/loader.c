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

#define PAGE 4096u

struct span {
    uint64_t start, end;
};

static struct vmi_module modules[VMI__MODULES_MAX];
static char text[VMI__TEXT_MAX];
static uint32_t text_used;
static struct span spans[SPANS_MAX];
static uint32_t spans_count;

/* ---- reading ---- */

/* Bytes that are readable until the next call; 0 if they are not. */
static const unsigned char *reach(const struct vmi__loader_view *view, uint64_t address,
                                  uint32_t size)
{
    if (address < view->size && size <= view->size - address)
        return view->base + (uint32_t)address;
    return view->borrow ? view->borrow(address, size) : 0;
}

bool vmi__loader_has(const struct vmi__loader_view *view, uint64_t address, uint32_t count,
                     uint32_t size)
{
    uint64_t bytes = (uint64_t)count * size, end = address + bytes;

    if (!bytes)
        return true;
    if (bytes > VMI__LIST_MAX || end < address || (end > view->size && !view->borrow))
        return false;
    if (address < view->image_end && end > view->image_start)
        return false;
    if (spans_count == SPANS_MAX)
        return false;
    spans[spans_count].start = address;
    spans[spans_count].end = end;
    spans_count++;
    return true;
}

bool vmi__loader_copy(const struct vmi__loader_view *view, uint64_t address, void *to,
                      uint32_t size)
{
    const unsigned char *from = reach(view, address, size);

    if (!from)
        return false;
    memcpy(to, from, size);
    return true;
}

bool vmi__loader_string(const struct vmi__loader_view *view, uint64_t address, const char **copy)
{
    char *to = text + text_used;
    uint32_t length = 0, room = VMI__TEXT_MAX - text_used, i;

    *copy = "";
    if (address == 0)
        return true;
    /* The string's end is not known yet: it is looked for page by page. */
    while (length < room) {
        uint64_t at = address + length;
        uint32_t size = PAGE - ((uint32_t)at & (PAGE - 1));
        const unsigned char *bytes;

        if (size > room - length)
            size = room - length;
        if (at < view->size && size > view->size - at)
            size = (uint32_t)(view->size - at);
        if (at < view->image_start && size > view->image_start - at)
            size = (uint32_t)(view->image_start - at);
        if (at < address || (at >= view->image_start && at < view->image_end))
            return false;
        bytes = reach(view, at, size);
        if (!bytes)
            return false;
        for (i = 0; i < size && bytes[i]; i++)
            to[length++] = (char)bytes[i];
        if (i == size)
            continue;
        to[length++] = 0;
        if (!vmi__loader_has(view, address, length, 1))
            return false;
        *copy = to;
        text_used += length;
        return true;
    }
    return false;
}

/* ---- the memory map ---- */

/* What no address of the processor's reaches is no memory: an emulator's may have too few bits. */
static const char *add(const struct vmi__loader_view *view, const struct vmi__loader_range *range,
                       bool own)
{
    uint64_t size = range->size, end = view->bits ? 1ull << view->bits : 0;
    uint64_t last = range->base + (size - 1);
    uint32_t kind = range->kind;

    if (kind == VMI_MEMORY_USABLE && end && size && last >= range->base && last >= end)
        size = range->base < end ? end - range->base : 0;
    if ((kind < VMI_MEMORY_USABLE || kind > VMI_MEMORY_UNUSABLE) &&
        !(own && kind == VMI_MEMORY_BOOT))
        kind = VMI_MEMORY_RESERVED;
    return vmi__memory_add(range->base, size, kind);
}

static bool overlap(uint64_t start, uint64_t end, uint64_t other, uint64_t size)
{
    return size && start <= other + (size - 1) && other < end;
}

/*
 * Where something lies that is in the way of a place from start to end; `end` if nothing is. The
 * map has been gone through once and is sound.
 */
static uint64_t obstacle(const struct vmi__loader_view *view, const struct vmi__loader_map *map,
                         uint64_t start, uint64_t end)
{
    struct vmi__loader_range range;
    uint32_t offset = 0, i;

    if (overlap(start, end, view->image_start, view->image_end - view->image_start))
        return view->image_start;
    for (i = 0; i < vmi__boot.module_count; i++)
        if (overlap(start, end, modules[i].base, modules[i].size))
            return modules[i].base;
    for (i = 0; i < spans_count; i++)
        if (overlap(start, end, spans[i].start, spans[i].end - spans[i].start))
            return spans[i].start;
    while (offset < map->length && !map->next(view, map, &offset, &range))
        if (range.kind != VMI_MEMORY_USABLE && overlap(start, end, range.base, range.size))
            return range.base;
    return end;
}

/* The highest place of a usable range in the linear region that nothing else has; 0 if none. */
static uint32_t place_in(const struct vmi__loader_view *view, const struct vmi__loader_map *map,
                         const struct vmi__loader_range *range, uint32_t size)
{
    uint64_t end = view->size < VMI__LINEAR_BOOT ? view->size : VMI__LINEAR_BOOT, found;
    uint64_t first = range->base < LOW_END ? LOW_END : range->base;

    if (range->base < end && range->size < end - range->base)
        end = range->base + range->size;
    for (;;) {
        uint64_t start;

        end &= ~(uint64_t)(PAGE - 1);
        if (end < size || end - size < first)
            return 0;
        start = end - size;
        found = obstacle(view, map, start, end);
        if (found == end)
            return (uint32_t)start;
        end = found;
    }
}

static const char *make_room(const struct vmi__loader_view *view, const struct vmi__loader_map *map,
                             uint32_t count)
{
    uint64_t room = vmi__memory_room(count);
    struct vmi__loader_range range;
    uint32_t size = (uint32_t)((room + PAGE - 1) & ~(uint64_t)(PAGE - 1)), offset = 0, place;

    if (!room)
        return 0;
    while (room < VMI__LINEAR_BOOT && offset < map->length) {
        const char *reason = map->next(view, map, &offset, &range);

        if (reason)
            return reason;
        if (range.kind != VMI_MEMORY_USABLE || range.size < size)
            continue;
        place = place_in(view, map, &range, size);
        if (!place)
            continue;
        vmi__memory_move((void *)(uintptr_t)(view->base + place), count);
        return vmi__memory_add(place, size, VMI_MEMORY_BOOT);
    }
    return "the memory map is too long for the memory there is below 256 MiB";
}

const char *vmi__loader_memory(const struct vmi__loader_view *view,
                               const struct vmi__loader_map *map)
{
    struct vmi__loader_range range;
    uint32_t offset, count = 0;
    const char *reason;

    for (offset = 0; offset < map->length; count++) {
        reason = map->next(view, map, &offset, &range);
        if (reason)
            return reason;
    }
    reason = make_room(view, map, count);
    for (offset = 0; !reason && offset < map->length;) {
        reason = map->next(view, map, &offset, &range);
        if (!reason)
            reason = add(view, &range, map->own);
    }
    return reason;
}

/* ---- modules ---- */

const char *vmi__loader_take_module(const struct vmi__loader_view *view, uint64_t base,
                                    uint64_t size, const char *line)
{
    struct vmi_module *module = &modules[vmi__boot.module_count];

    if (vmi__boot.module_count == VMI__MODULES_MAX)
        return "there are more than 16 boot modules, the limit (docs/architecture.md, \"Limits\")";
    if (base + size < base)
        return "a boot module wraps around the end of memory";
    if (base < view->image_end && base + size > view->image_start)
        return "a boot module overlaps the kernel";
    module->command_line = line;
    module->base = base;
    module->size = size;
    module->reserved = 0;
    vmi__boot.modules = modules;
    vmi__boot.module_count++;
    return 0;
}

const char *vmi__loader_module(const struct vmi__loader_view *view, uint64_t base, uint64_t size,
                               uint64_t line)
{
    const char *copy;

    if (!vmi__loader_string(view, line, &copy))
        return "the command line of a boot module is not terminated inside memory or too long";
    return vmi__loader_take_module(view, base, size, copy);
}

/* ---- screen and firmware ---- */

static struct vmi_framebuffer framebuffer;

/* A colour's lowest bit and how many, inside a pixel. */
static bool color_fits(uint32_t shift, uint32_t count, uint32_t bits)
{
    return count && shift + count <= bits;
}

void vmi__loader_framebuffer(const struct vmi_framebuffer *found, const uint8_t colors[VMI__COLORS])
{
    uint32_t bytes = (found->bits + 7u) / 8;
    uint64_t end;

    vmi__boot.framebuffer = 0;
    framebuffer = *found;
    if (found->color == VMI_COLOR_TEXT) {
        bytes = 2;
        framebuffer.bits = 16;
    } else if (found->color != VMI_COLOR_RGB || found->bits < 8 || found->bits > 64 ||
               !color_fits(colors[0], colors[1], found->bits) ||
               !color_fits(colors[2], colors[3], found->bits) ||
               !color_fits(colors[4], colors[5], found->bits)) {
        return;
    } else {
        framebuffer.red_shift = colors[0];
        framebuffer.red_bits = colors[1];
        framebuffer.green_shift = colors[2];
        framebuffer.green_bits = colors[3];
        framebuffer.blue_shift = colors[4];
        framebuffer.blue_bits = colors[5];
    }
    /* A product of 32-bit numbers, for the whole must end in 64 bits. */
    end = found->base + (uint64_t)found->pitch * found->height;
    if (!found->base || !found->width || !found->height ||
        (uint64_t)found->width * bytes > found->pitch || end <= found->base)
        return;
    vmi__boot.framebuffer = &framebuffer;
}

/* A screen is no memory that the kernel is given. */
static void check_framebuffer(void)
{
    uint64_t size = (uint64_t)framebuffer.pitch * framebuffer.height;
    uint32_t i;

    for (i = 0; vmi__boot.framebuffer && i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if ((range->kind == VMI_MEMORY_USABLE || range->kind >= VMI_MEMORY_IMAGE) &&
            overlap(framebuffer.base, framebuffer.base + size, range->base, range->size))
            vmi__boot.framebuffer = 0;
    }
}

/* Does the published map list every byte, with a kind other than `but`? */
static bool listed(uint64_t start, uint64_t end, uint32_t but)
{
    uint32_t i;

    for (i = 0; i < vmi__boot.memory_count && start < end; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (start < range->base || start - range->base >= range->size)
            continue;
        if (range->kind == but)
            return false;
        if (end - range->base <= range->size)
            return true;
        start = range->base + range->size;
    }
    return start >= end;
}

/* UEFI's system table begins with a signature (UEFI 2.10, 4.3). */
static void check_efi(const struct vmi__loader_view *view)
{
    static const char signature[8] = "IBI SYST";
    char found[sizeof(signature)];
    uint64_t at = vmi__boot.efi_system_table, end = at + sizeof(found);

    if (at && at < end && listed(at, end, 0) &&
        !overlap(at, end, view->image_start, view->image_end - view->image_start) &&
        vmi__loader_copy(view, at, found, sizeof(found)) &&
        memcmp(found, signature, sizeof(found)) == 0)
        return;
    vmi__boot.efi_system_table = 0;
    vmi__boot.efi_bits = 0;
}

/* ---- the whole ---- */

/* Is there memory wherever something was read, if it lies above the BIOS's area? */
static bool spans_are_memory(void)
{
    uint32_t i;

    for (i = 0; i < spans_count; i++)
        if (!listed(spans[i].start < LOW_END ? LOW_END : spans[i].start, spans[i].end, 0))
            return false;
    return true;
}

/*
 * Modules must be memory that the loader could fill, each its own, before they are claimed. A
 * loader may have marked them as taken.
 */
static const char *claim_modules(void)
{
    const char *reason;
    uint32_t i, j;

    for (i = 0; i < vmi__boot.module_count; i++) {
        const struct vmi_module *module = &modules[i];

        if (module->size == 0)
            continue;
        if (!listed(module->base, module->base + module->size, VMI_MEMORY_UNUSABLE))
            return "a boot module lies where there is no memory, or faulty memory";
        for (j = 0; j < i; j++) {
            if (module->base < modules[j].base + modules[j].size &&
                modules[j].base < module->base + module->size)
                return "two boot modules overlap";
        }
    }
    for (i = 0; i < vmi__boot.module_count; i++) {
        uint64_t start = modules[i].base & ~0xfffull;
        uint64_t end = (modules[i].base + modules[i].size + 0xfff) & ~0xfffull;

        reason = modules[i].size ? vmi__memory_add(start, end - start, VMI_MEMORY_MODULE) : 0;
        if (reason)
            return reason;
    }
    return 0;
}

/*
 * Highest end inside the linear region of memory that the kernel uses, and how much of that is of a
 * kind.
 */
static uint64_t measure(uint64_t *end, uint32_t kind)
{
    uint64_t room = 0;
    uint32_t i;

    *end = 0;
    for (i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];
        uint64_t size = range->size;

        if (range->base >= VMI__LINEAR_MAX ||
            (range->kind != VMI_MEMORY_USABLE && range->kind < VMI_MEMORY_IMAGE))
            continue;
        if (size > VMI__LINEAR_MAX - range->base)
            size = VMI__LINEAR_MAX - range->base;
        if (range->kind == kind)
            room += size;
        *end = range->base + size;
    }
    return room;
}

const char *vmi__loader_finish(const struct vmi__loader_view *view)
{
    uint64_t image_start = view->image_start & ~0xfffull,
             image_end = (view->image_end + 0xfff) & ~0xfffull;
    const char *reason;
    uint64_t end, room;

    reason = vmi__memory_publish();
    if (reason)
        return reason;
    if (!listed(image_start, image_end, VMI_MEMORY_UNUSABLE))
        return "the memory map does not have the memory that the kernel is in, or has it as faulty";
    if (!spans_are_memory())
        return "the loader's structures lie where there is no memory";
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
    check_framebuffer();
    check_efi(view);
    room = measure(&end, VMI_MEMORY_USABLE);
    vmi__boot.linear_pages = (uintptr_t)((end + PAGE - 1) >> 12);
    vmi__boot.virtual_end = VMI__DEVICE_BASE;
    if (room >= ROOM_MIN)
        return 0;
    if (room + measure(&end, VMI_MEMORY_MODULE) >= ROOM_MIN)
        return "boot modules leave less than 1 MiB of the memory below 256 MiB, which is what is "
               "mapped";
    return "less than 1 MiB of memory is left beside the kernel";
}
