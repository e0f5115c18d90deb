/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Page tables (PAE) and address spaces.
 *
 * The root has four entries of 1 GiB. Entry 0 leads to what belongs to a process, entry 3 to the
 * kernel. Each address space has a directory of its own for the top GiB, cloned from the kernel's,
 * for a hypervisor may insist on that; the tables below it are shared, so a kernel mapping that is
 * made once is there in all address spaces.
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

struct aspace {
    uint32_t root; /* frame of the page-directory-pointer table */
};

/* The address space of threads that have no process. */
extern struct aspace kernel_aspace;

/* Builds the kernel's own tables and leaves the boot tables. */
void paging_init(const struct vmi_boot_info *boot);

/* What CR3 has to hold for an address space. */
uint32_t aspace_cr3(const struct aspace *aspace);

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
uint64_t *aspace_entry(const struct aspace *aspace, uint32_t address, bool create);

/* Reads an entry; the frame is guest-physical. */
uint64_t pte_read(const uint64_t *entry);
/* Frame of an entry that pte_read() returned. */
uint32_t pte_frame(uint64_t pte);
/* An entry's value for a frame. */
uint64_t pte_value(uint32_t pfn, uint32_t flags);
/*
 * Writes the entry that maps `address`; `aspace` tells the library whether that is in the address
 * space in use. The caller flushes the TLB where the old value may be in it.
 */
void pte_write(const struct aspace *aspace, uint64_t *entry, uint32_t address, uint64_t value);

/* Calls visit() for each present entry of the process's part. */
typedef void aspace_visitor(uint32_t address, uint64_t *entry, void *context);
void aspace_visit(const struct aspace *aspace, aspace_visitor *visit, void *context);

/* Maps a frame in the windows of layout.h, or with flags 0 unmaps it. Flushes nothing. */
void window_map(uint32_t address, uint32_t pfn, uint32_t flags);
/* The entry that maps a page of the windows, as it reads. */
uint64_t window_read(uint32_t address);

/* A page fault of the kernel: maps a zeroed frame if the address is in the demand-zero window. */
bool paging_kernel_fault(uint32_t address, uint32_t error);
/* Gives back the frame of a page of the demand-zero window. */
void paging_kernel_discard(uint32_t address);

#endif
