/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * MapDevice and UnmapDevice: which part of the device window is whose. Page tables of the window
 * are the runtime's (runtime/arch/ARCH/window.c).
 */
#include "native.h"
#include <native/routines.h>

#define PAGE_SHIFT 12
#define PAGE_MASK  0xfffull

#define MAPPINGS_MAX 128

struct mapping {
    uint64_t physical;
    uintptr_t linear, pages; /* no pages: this is free */
    uint32_t cache;
    bool leaving; /* unmapped; other CPUs may still have translations */
};

static struct mapping mappings[MAPPINGS_MAX];
static struct vmi__lock lock;

/* Bits of a page's entry for a cache type (pat.c). */
static uint64_t attributes(uint32_t cache)
{
    switch (cache) {
    case VMI_CACHE_WRITE_COMBINING:
        if (vmi__native_pat)
            return VMI__CACHE_PAT | VMI__CACHE_PWT;
        break;
    case VMI_CACHE_WRITE_THROUGH:
        return VMI__CACHE_PWT;
    case VMI_CACHE_WRITE_BACK:
        return 0;
    }
    return VMI__CACHE_PCD | VMI__CACHE_PWT;
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
        const struct mapping *mapping = &mappings[i];

        if (mapping->cache != cache &&
            overlap(first, last, mapping->physical, (uint64_t)mapping->pages << PAGE_SHIFT))
            return VMI_EBUSY;
    }
    return cache != VMI_CACHE_UNCACHED && vmi__window_has(first, last) ? VMI_EBUSY : VMI_OK;
}

/*
 * The lowest place in the window for so many pages, with one before the next that is never mapped;
 * linear and guest-physical address agree below `shift`. 0 if there is none.
 */
static uintptr_t place(uint64_t physical, uintptr_t pages, uint32_t shift)
{
    const uintptr_t end = VMI__DEVICE_BASE + (VMI__DEVICE_SIZE - 1);
    uintptr_t step = (uintptr_t)1 << shift, size = pages << PAGE_SHIFT;
    uintptr_t offset = (uintptr_t)physical & (step - 1), at = VMI__DEVICE_BASE + offset;
    uint32_t i = 0;

    while (i < MAPPINGS_MAX) {
        const struct mapping *other = &mappings[i++];
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

static struct mapping *free_mapping(void)
{
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++)
        if (!mappings[i].pages)
            return &mappings[i];
    return 0;
}

/* With the lock held, of arguments that have been found sound. */
static int32_t map(uint64_t base, uintptr_t pages, uint32_t cache, void **address)
{
    struct mapping *mapping = free_mapping();
    int32_t result = check(base, base + ((uint64_t)pages << PAGE_SHIFT) - 1, cache);
    uintptr_t at;

    if (result != VMI_OK)
        return result;
    if (!mapping || pages > VMI__DEVICE_SIZE >> PAGE_SHIFT)
        return VMI_ENOMEM;
    at = place(base, pages, vmi__devices_shift(pages));
    if (!at)
        at = place(base, pages, PAGE_SHIFT);
    if (!at || !vmi__devices_map(at, base, pages, attributes(cache)))
        return VMI_ENOMEM;
    mapping->physical = base;
    mapping->linear = at;
    mapping->pages = pages;
    mapping->cache = cache;
    mapping->leaving = false;
    *address = (void *)at;
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__native_map_device(uint64_t base, uintptr_t size, uint32_t cache,
                                            void **address)
{
    uint32_t flags;
    int32_t result;

    if (!vmi__devices_present())
        return VMI_ENOSYS;
    if (!size || (base | size) & PAGE_MASK || base + (size - 1) < base ||
        (base + (size - 1)) >> vmi__physical_bits() || cache > VMI_CACHE_WRITE_BACK)
        return VMI_EINVAL;
    flags = vmi__lock(&lock);
    result = map(base, size >> PAGE_SHIFT, cache, address);
    vmi__unlock(&lock, flags);
    return result;
}

/* Has the other CPUs drop translations; false if the library cannot. */
static bool flush_others(uintptr_t linear, uintptr_t pages)
{
    return vmi__native_cpus_started == 1 ||
           vmi_flush_remote_tlb(0, VMI_CPUS_ALL_BUT_SELF, linear,
                                pages > UINT32_MAX ? 0 : (uint32_t)pages) == VMI_OK;
}

static int32_t unmap(struct mapping *mapping)
{
    if (!mapping->leaving) {
        vmi__devices_unmap(mapping->linear, mapping->pages);
        mapping->leaving = true;
        if (!flush_others(mapping->linear, mapping->pages))
            return VMI_EAGAIN;
    }
    mapping->pages = 0;
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__native_unmap_device(uintptr_t address)
{
    int32_t result = VMI_EINVAL;
    uint32_t flags;

    if (!vmi__devices_present())
        return VMI_ENOSYS;
    flags = vmi__lock(&lock);
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++) {
        if (mappings[i].pages && mappings[i].linear == address) {
            result = unmap(&mappings[i]);
            break;
        }
    }
    vmi__unlock(&lock, flags);
    return result;
}
