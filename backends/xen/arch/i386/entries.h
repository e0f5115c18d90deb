/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entries of PAE tables, as Xen takes them.
 */
#ifndef VMI_XEN_ARCH_I386_ENTRIES_H
#define VMI_XEN_ARCH_I386_ENTRIES_H

#include "../../domain.h"

/*
 * Bits that Xen refuses or sets itself, dropped silently: they are hints that have no meaning here.
 * PWT, PCD, PAT: caching of RAM is not the guest's; bits 52 to 62.
 */
#define VMI__XEN_PT_DROPPED    0x7ff0000000000098ull
#define VMI__XEN_TABLE_DROPPED 0x7ff0000000000118ull /* PWT, PCD, G */
#define VMI__XEN_ROOT_KEPT     0x000ffffffffffe01ull /* the frame, the kernel's own bits, P */

/*
 * Page tables of the device window, 32 MiB below Xen's part of the linear space, all of them in the
 * top directory from the start.
 */
#define VMI__XEN_DEVICES_KIND  VMI_PAGE_PD
#define VMI__XEN_DEVICES_SHIFT 21
#define VMI__XEN_DEVICE_TABLES 16

/* A word of 64 bits among a hypercall's arguments takes two; the n-th of such. */
#define VMI__XEN_LONG(args, n) ((uint64_t)(args)[2 * (n) + 1] << 32 | (args)[2 * (n)])

/* Is that entry of a table Xen's own, in every tree? */
static inline bool vmi__xen_is_xens(uint32_t kind, uint32_t index)
{
    (void)kind;
    (void)index;
    return false;
}

/* A present entry as the kernel has written it, from what Xen has made of it. */
static inline uint64_t vmi__xen_entry_shown(uint64_t entry)
{
    return entry;
}

/*
 * A page becomes a table with what has been copied there. Xen shows R/W and U/S set in the entries
 * of a root in use and refuses them in one that is new.
 */
static inline void vmi__xen_filled(uint64_t *entries, uint32_t flags)
{
    for (uint32_t i = 0; flags & VMI_PAGE_PDP && i < VMI__XEN_ROOT_ENTRIES; i++)
        if (entries[i] & VMI__PTE_PRESENT)
            entries[i] &= VMI__XEN_ROOT_KEPT;
}

/* Operations of this architecture alone that are kept back: none. */
static inline intptr_t vmi__xen_make_arch(const struct multicall_entry *op)
{
    (void)op;
    return VMI_ENOSYS;
}

#endif
