/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What MapDevice has mapped, and where the next mapping has room: the part that is the same
 * whoever's page tables these are. Callers hold a lock of their own.
 */
#ifndef VMI_RUNTIME_DEVICE_MAP_H
#define VMI_RUNTIME_DEVICE_MAP_H

#include "runtime.h"

struct vmi__device_mapping {
    uint64_t physical;
    uintptr_t linear, pages; /* no pages: this is free */
    uint32_t cache;
    bool leaving; /* unmapped; other CPUs may still have translations */
    bool kept;    /* the library's own, which no kernel unmaps */
};

/*
 * Are these arguments of MapDevice ones that a processor with physical addresses of so many bits
 * can map: whole pages, none above its last address, a cache type that there is?
 */
bool vmi__device_sound(uint64_t base, uintptr_t size, uint32_t cache, uint32_t physical_bits);

/*
 * Notes a mapping of `pages` at `base`, sound ones, in the window [window, window + size). Linear
 * and guest-physical address agree below `shift` where there is room for that. Returns 0 and
 * *mapping, which is the caller's to map, or to free by pages = 0; or EINVAL for memory, EBUSY for
 * what has another cache type, ENOMEM.
 */
int32_t vmi__device_note(uintptr_t window, uintptr_t size, uint64_t base, uintptr_t pages,
                         uint32_t cache, uint32_t shift, struct vmi__device_mapping **mapping);

/* The mapping that begins at a linear address, or 0. */
struct vmi__device_mapping *vmi__device_noted(uintptr_t linear);

/* Is anything mapped? */
bool vmi__device_any(void);

/* Is the page at a guest-physical address mapped by any? */
bool vmi__device_mapped(uint64_t physical);

#endif
