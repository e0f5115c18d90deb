/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where the builder has put things, and the frames that it has left free.
 */
#include "builder.h"

struct vmi__xen_pool vmi__xen_pools[VMI__XEN_POOLS];
struct vmi__xen_builder vmi__xen_builder;

bool vmi__xen_behind_image(uintptr_t address, uintptr_t size)
{
    uintptr_t start = (uintptr_t)vmi__kernel.image_end;

    return address >= start && size <= VMI__XEN_BUILDER_MAX &&
           address - VMI__IMAGE_BASE <= VMI__XEN_BUILDER_MAX - size;
}

/* A pool with so many frames next to each other, or none. */
static struct vmi__xen_pool *pool_with(uintptr_t count)
{
    for (uint32_t i = 0; i < VMI__XEN_POOLS; i++) {
        struct vmi__xen_pool *pool = &vmi__xen_pools[i];

        if (pool->end - pool->next >= count)
            return pool;
    }
    return 0;
}

bool vmi__xen_pages_left(uintptr_t count)
{
    return pool_with(count);
}

void *vmi__xen_take_pages(uintptr_t count)
{
    struct vmi__xen_pool *pool = pool_with(count);
    void *pages;

    if (!pool)
        vmi__fatal("the domain builder has mapped too little memory");
    pages = vmi__linear(pool->next << VMI__PAGE_SHIFT);
    pool->next += count;
    memset(pages, 0, count << VMI__PAGE_SHIFT);
    return pages;
}

uintptr_t vmi__xen_builder_pfn(uintptr_t mfn)
{
    for (uintptr_t pfn = vmi__xen_builder.start; pfn < vmi__xen_builder.end; pfn++)
        if (vmi__xen_mfn(pfn) == mfn)
            return pfn;
    return VMI__XEN_NO_FRAME;
}
