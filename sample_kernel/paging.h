/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Page tables and address spaces; how an address space is laid out is said in arch/ARCH/aspace.c.
 *
 * A table is filled by plain stores until vmi_allocate_page() makes it one; from then on it is
 * written by vmi_set_pxe_long() only, with guest-physical frames, and read through
 * vmi_machine_to_physical().
 */
#ifndef PAGING_H
#define PAGING_H

#include <stdbool.h>
#include <stdint.h>
#include <vmi/vmi.h>

#include "no_execute.h"
#include "tables.h"

struct aspace {
    uint32_t root;     /* frame of the root table */
    uint32_t user;     /* x86-64: frame of the process's own root, 0 for none */
    uintptr_t version; /* x86-64: identifiers.h */
};

/* The address space of threads that have no process. */
extern struct aspace kernel_aspace;

/* Builds the kernel's own tables and leaves the boot tables. */
void paging_init(const struct vmi_boot_info *boot);

/* What CR3 has to hold for an address space; and loading it. */
uintptr_t aspace_cr3(const struct aspace *aspace);
void aspace_load(const struct aspace *aspace);

/* A new address space that holds the kernel. False if memory is short. */
bool aspace_create(struct aspace *aspace);
/*
 * Releases its tables and drops a reference to each frame that it maps. No CPU may have it loaded.
 */
void aspace_destroy(struct aspace *aspace);

/*
 * The entry that maps a page, null if there is no table for it; with `create`, null only if memory
 * is short.
 */
uint64_t *aspace_entry(const struct aspace *aspace, uintptr_t address, bool create);

/*
 * Writes the entry that maps `address`; `aspace` tells the library whether that is in the address
 * space in use. The caller flushes the TLB where the old value may be in it and the address space
 * is in use; where it was before, loading it will.
 */
void pte_write(struct aspace *aspace, uint64_t *entry, uintptr_t address, uint64_t value);

/* Calls visit() for each present entry of the process's part. */
typedef void aspace_visitor(uintptr_t address, uint64_t *entry, void *context);
void aspace_visit(const struct aspace *aspace, aspace_visitor *visit, void *context);

/* Maps a frame in the windows of layout.h, or with flags 0 unmaps it. Flushes nothing. */
void window_map(uintptr_t address, uint32_t pfn, uint64_t flags);
/* The flags of a page there that is written to. */
#define WINDOW_PAGE (KERNEL_PAGE | PTE_WRITE)
/* The entry that maps a page of the windows, as it reads. */
uint64_t window_read(uintptr_t address);

/* A page fault of the kernel: maps a zeroed frame if the address is in the demand-zero window. */
bool paging_kernel_fault(uintptr_t address, uint32_t error);
/* Gives back the frame of a page of the demand-zero window. */
void paging_kernel_discard(uintptr_t address);

#endif
