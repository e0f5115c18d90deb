/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "device_map.h"

#define PAGE_SHIFT 12
#define PAGE_MASK  0xfffull

#define MAPPINGS_MAX 128

static struct vmi__device_mapping mappings[MAPPINGS_MAX];

bool vmi__device_sound(uint64_t base, uintptr_t size, uint32_t cache, uint32_t physical_bits)
{
    return size && !((base | size) & PAGE_MASK) && base + (size - 1) >= base &&
           !((base + (size - 1)) >> physical_bits) && cache <= VMI_CACHE_WRITE_BACK;
}

static bool overlap(uint64_t first, uint64_t last, uint64_t base, uint64_t size)
{
    return size && base <= last && base + (size - 1) >= first;
}

/* What is wrong about a range and its cache type, as far as memory and other mappings go; or 0. */
static int32_t check(uint64_t first, uint64_t last, uint32_t cache)
{
    for (uint32_t i = 0; i < vmi__boot.memory_count; i++) {
        const struct vmi_memory_range *range = &vmi__boot.memory[i];

        if (!overlap(first, last, range->base, range->size))
            continue;
        if (range->kind == VMI_MEMORY_USABLE || range->kind >= VMI_MEMORY_IMAGE)
            return VMI_EINVAL;
        if (range->kind != VMI_MEMORY_RESERVED && range->kind != VMI_MEMORY_UNUSABLE &&
            cache != VMI_CACHE_WRITE_BACK)
            return VMI_EBUSY;
    }
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++) {
        const struct vmi__device_mapping *mapping = &mappings[i];

        if (mapping->cache != cache &&
            overlap(first, last, mapping->physical, (uint64_t)mapping->pages << PAGE_SHIFT))
            return VMI_EBUSY;
    }
    return VMI_OK;
}

/*
 * The lowest place in the window for so many pages, with one before the next that is never mapped;
 * linear and guest-physical address agree below `shift`. 0 if there is none.
 */
static uintptr_t place(uintptr_t window, uintptr_t window_size, uint64_t physical, uintptr_t pages,
                       uint32_t shift)
{
    const uintptr_t end = window + (window_size - 1);
    uintptr_t step = (uintptr_t)1 << shift, size = pages << PAGE_SHIFT;
    uintptr_t offset = (uintptr_t)physical & (step - 1), at = window + offset;
    uint32_t i = 0;

    while (i < MAPPINGS_MAX) {
        const struct vmi__device_mapping *other = &mappings[i++];
        uintptr_t behind = other->linear + ((other->pages + 1) << PAGE_SHIFT);

        if (!other->pages || at >= behind || at + size < other->linear)
            continue;
        /* Behind that one, and all others once more. */
        at = ((behind - offset + step - 1) & ~(step - 1)) + offset;
        if (at < behind)
            return 0;
        i = 0;
    }
    return at <= end && size - 1 <= end - at ? at : 0;
}

static struct vmi__device_mapping *free_mapping(void)
{
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (!mappings[i].pages)
            return &mappings[i];
    return 0;
}

int32_t vmi__device_note(uintptr_t window, uintptr_t size, uint64_t base, uintptr_t pages,
                         uint32_t cache, uint32_t shift, struct vmi__device_mapping **mapping)
{
    struct vmi__device_mapping *note = free_mapping();
    int32_t result = check(base, base + ((uint64_t)pages << PAGE_SHIFT) - 1, cache);
    uintptr_t at;

    if (result != VMI_OK)
        return result;
    if (!note || pages > size >> PAGE_SHIFT)
        return VMI_ENOMEM;
    at = place(window, size, base, pages, shift);
    if (!at)
        at = place(window, size, base, pages, PAGE_SHIFT);
    if (!at)
        return VMI_ENOMEM;
    note->physical = base;
    note->linear = at;
    note->pages = pages;
    note->cache = cache;
    note->leaving = false;
    note->kept = false;
    *mapping = note;
    return VMI_OK;
}

struct vmi__device_mapping *vmi__device_noted(uintptr_t linear)
{
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (mappings[i].pages && mappings[i].linear == linear)
            return &mappings[i];
    return 0;
}

bool vmi__device_any(void)
{
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (mappings[i].pages)
            return true;
    return false;
}

bool vmi__device_mapped(uint64_t physical)
{
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (overlap(physical, physical, mappings[i].physical,
                    (uint64_t)mappings[i].pages << PAGE_SHIFT))
            return true;
    return false;
}
