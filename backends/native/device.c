/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * MapDevice and UnmapDevice by the processor's own page tables. Those of the window are the
 * runtime's (runtime/arch/ARCH/window.c), and so is what is mapped where (runtime/device_map.c).
 */
#include "native.h"
#include "device_map.h"
#include <native/routines.h>

#define PAGE_SHIFT 12

void (*vmi__native_device_mapped)(uint64_t first, uint64_t last);

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

/* With the lock held, of arguments that have been found sound. */
static int32_t map(uint64_t base, uintptr_t size, uint32_t cache, void **address)
{
    uintptr_t pages = size >> PAGE_SHIFT;
    struct vmi__device_mapping *mapping;
    int32_t result;

    if (cache != VMI_CACHE_UNCACHED && vmi__window_has(base, base + (size - 1)))
        return VMI_EBUSY;
    result = vmi__device_note(VMI__DEVICE_BASE, VMI__DEVICE_SIZE, base, pages, cache,
                              vmi__devices_shift(pages), &mapping);
    if (result != VMI_OK)
        return result;
    if (!vmi__devices_map(mapping->linear, base, pages, attributes(cache))) {
        mapping->pages = 0;
        return VMI_ENOMEM;
    }
    *address = (void *)mapping->linear;
    if (vmi__native_device_mapped)
        vmi__native_device_mapped(base, base + (size - 1));
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__native_map_device(uint64_t base, uintptr_t size, uint32_t cache,
                                            void **address)
{
    uint32_t flags;
    int32_t result;

    if (!vmi__devices_present())
        return VMI_ENOSYS;
    if (!vmi__device_sound(base, size, cache, vmi__physical_bits()))
        return VMI_EINVAL;
    flags = vmi__lock(&lock);
    result = map(base, size, cache, address);
    vmi__unlock(&lock, flags);
    return result;
}

void vmi__native_device_keep(const volatile void *address)
{
    vmi__device_noted((uintptr_t)address)->kept = true;
}

/* Has the other CPUs drop translations; false if the library cannot. */
static bool flush_others(uintptr_t linear, uintptr_t pages)
{
    return vmi__native_cpus_started == 1 ||
           vmi_flush_remote_tlb(0, VMI_CPUS_ALL_BUT_SELF, linear,
                                pages > UINT32_MAX ? 0 : (uint32_t)pages) == VMI_OK;
}

static int32_t unmap(struct vmi__device_mapping *mapping)
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
    struct vmi__device_mapping *mapping;
    uint32_t flags;
    int32_t result;

    if (!vmi__devices_present())
        return VMI_ENOSYS;
    flags = vmi__lock(&lock);
    mapping = vmi__device_noted(address);
    result = mapping && !mapping->kept ? unmap(mapping) : VMI_EINVAL;
    vmi__unlock(&lock, flags);
    return result;
}
