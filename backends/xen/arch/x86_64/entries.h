/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Entries of page tables of four levels, as Xen takes them. The kernel is in ring 3: Xen sets U/S
 * in all entries, and in those of pages that are the kernel's a bit of its own (x86:
 * _PAGE_GUEST_KERNEL in xen/arch/x86/include/asm/x86_64/page.h); those of a process's pages it
 * makes global.
 */
#ifndef VMI_XEN_ARCH_X86_64_ENTRIES_H
#define VMI_XEN_ARCH_X86_64_ENTRIES_H

#include "../../domain.h"

#define VMI__XEN_PTE_KERNEL 0x0010000000000000ull

/*
 * Bits that Xen refuses or sets itself, dropped silently: they are hints that have no meaning here.
 * PWT, PCD, PAT: caching of RAM is not the guest's; G; bits 52 to 62.
 */
#define VMI__XEN_PT_DROPPED    0x7ff0000000000198ull
#define VMI__XEN_TABLE_DROPPED 0x7ff0000000000118ull
#define VMI__XEN_ROOT_KEPT     (~0x7ff0000000000198ull)

/*
 * Tables of the device window, a root slot: its pointers are there from the start, these are made
 * when they are needed. With one directory they map 64 MiB.
 */
#define VMI__XEN_DEVICES_KIND  VMI_PAGE_PDP
#define VMI__XEN_DEVICES_SHIFT 30
#define VMI__XEN_DEVICE_TABLES 33

/* A word of 64 bits among a hypercall's arguments; the n-th. */
#define VMI__XEN_LONG(args, n) ((args)[n])

/* Is that entry of a table Xen's own, in every tree? */
static inline bool vmi__xen_is_xens(uint32_t kind, uint32_t index)
{
    return kind & VMI_PAGE_PML4 && index >= VMI__XEN_SLOTS_START && index < VMI__XEN_SLOTS_END;
}

/* A present entry as the kernel has written it, from what Xen has made of it. */
static inline uint64_t vmi__xen_entry_shown(uint64_t entry)
{
    entry &= ~(uint64_t)VMI__PTE_GLOBAL;
    return entry & VMI__XEN_PTE_KERNEL ? entry & ~(VMI__XEN_PTE_KERNEL | VMI__PTE_USER) : entry;
}

/* A page becomes a table with what has been copied there: entries that Xen has made its own. */
static inline void vmi__xen_filled(uint64_t *entries, uint32_t flags)
{
    for (uint32_t i = 0;
         (flags & (VMI_PAGE_PT | VMI_PAGE_CLONE)) == (VMI_PAGE_PT | VMI_PAGE_CLONE) &&
         i < VMI__XEN_TABLE_ENTRIES;
         i++)
        if (entries[i] & VMI__PTE_PRESENT)
            entries[i] = vmi__xen_entry_shown(entries[i]);
}

/* Operations of this architecture alone that are kept back. */
static inline intptr_t vmi__xen_make_arch(const struct multicall_entry *op)
{
    if (op->op == __HYPERVISOR_set_segment_base)
        return vmi__xen_hypercall_set_segment_base((uint32_t)op->args[0], op->args[1]);
    return VMI_ENOSYS;
}

#endif
