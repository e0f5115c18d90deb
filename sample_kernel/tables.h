/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Page tables as such: their entries, and frames that become tables. */
#ifndef TABLES_H
#define TABLES_H

#include <stdint.h>
#include <vmi/vmi.h>

#include "tables_arch.h"

/* Bits of an address that one level resolves; what an entry of a page directory covers. */
#define LEVEL_BITS      9
#define DIRECTORY_SHIFT 21

#define PTE_FRAME 0x000ffffffffff000ull

/* Bits that a present entry of the kernel starts with, so that the processor need not set them. */
#define KERNEL_PAGE (PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

/* Writes an entry; flags: kind of its table and VMI_PXE_ flags. */
static inline void entry_write(uint64_t *entry, uint64_t value, uintptr_t flags)
{
#ifdef __x86_64__
    vmi_set_pxe_long(value, entry, (uint32_t)flags);
#else
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, flags);
#endif
}

/* Reads an entry; the frame is guest-physical. */
uint64_t pte_read(const uint64_t *entry);
/* Frame of an entry that pte_read() returned. */
uint32_t pte_frame(uint64_t pte);
/* An entry's value for a frame. */
uint64_t pte_value(uint32_t pfn, uint64_t flags);
/* Makes a zeroed frame a table; FRAME_NONE if memory is short. And the way back. */
uint32_t new_table(uint32_t kind);
void release_table(uint32_t pfn, uint32_t kind);

/*
 * Releases the page tables of a released directory, and gives back the frames that they map; what
 * the directory holds can still be read.
 */
void aspace_release_tables(uint32_t directory);

uint32_t index_of(uintptr_t address, uint32_t shift);
uint64_t *table_entry(uint32_t pfn, uint32_t index);

#endif
