/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which frames are read-only for the kernel: page tables (frames.h), and descriptor tables that
 * CPUs have loaded. With the lock, but for vmi__table_closed.
 */
#ifndef VMI_RUNTIME_CHECKED_TABLES_H
#define VMI_RUNTIME_CHECKED_TABLES_H

#include "checked.h"

enum vmi__table_kind { VMI__TABLE_GDT, VMI__TABLE_LDT, VMI__TABLE_IDT };

/* A descriptor table that CPUs have loaded, a bit for each. An IDT that was loaded once stays. */
struct vmi__table {
    enum vmi__table_kind kind;
    uintptr_t base, bytes;
    uintptr_t pfn, pages;
    uint64_t cpus;
};

/* The page-table kind of a frame that is one of the kernel's page tables, else 0. */
uint32_t vmi__table_of_pages(uintptr_t pfn);

/* The descriptor table on a frame, 0 if there is none. */
struct vmi__table *vmi__table_on(uintptr_t pfn);

/* Whether a frame is read-only, but for stores since the last call. */
bool vmi__table_closed(uintptr_t pfn);

/* Makes a frame read-only or writable, as it is now. */
void vmi__table_renew(uintptr_t pfn);

/*
 * A CPU is about to load a table in place of the one of that kind which it has; base 0: none. One
 * that cannot be watched is as none: it does not begin on a page, or is in neither the linear
 * mapping nor the image, or has the stack on its page.
 */
void vmi__table_loaded(const struct vmi__call *call, enum vmi__table_kind kind, uintptr_t base,
                       uintptr_t bytes);

/* Watches a table no more, or those of a kind. */
void vmi__table_forget(struct vmi__table *table);
void vmi__tables_forget(enum vmi__table_kind kind);

/* Sets the bit "accessed" of what is a code or data descriptor, for the processor would set it, and
 * fault. */
void vmi__table_accessed(uintptr_t descriptors, uintptr_t bytes);

#endif
