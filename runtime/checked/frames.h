/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the flavour `checked` knows of frames: which are page tables, which are named by entries of
 * tables, and which are mapped writable by tables of the kernel's. As Xen keeps types and counts
 * (xen/xen.h, HYPERVISOR_mmu_update): a frame is a page table or mapped writable, never both. The
 * linear mapping does not count. All of it under the flavour's lock.
 */
#ifndef VMI_RUNTIME_CHECKED_FRAMES_H
#define VMI_RUNTIME_CHECKED_FRAMES_H

#include "checked.h"

/* Memory above is not watched. */
#define VMI__FRAMES     (1u << 18)
#define VMI__FRAME_NONE UINTPTR_MAX

/* Of a table that the boot tables consist of, beside VMI_PAGE_…. */
#define VMI__FRAME_BOOT 0x80u

/* The kinds of page tables, of which a table's flags have one. */
#define VMI__FRAME_KINDS (VMI_PAGE_PT | VMI_PAGE_PD | VMI_PAGE_PDP | VMI_PAGE_PML4)

/* Where the linear mapping that the kernel was started with has a frame. */
static inline uintptr_t vmi__frame_address(uintptr_t pfn)
{
    return vmi__boot.linear_base + (pfn << VMI__FRAME_SHIFT);
}

/* Looks at the boot tables. */
void vmi__frames_start(void);

/* What a frame is: 0 for plain memory, VMI_PAGE_… as AllocatePage was told, VMI__FRAME_BOOT. */
uint32_t vmi__frame_kind(uintptr_t pfn);

/* The frame at an address of a linear mapping, VMI__FRAME_NONE if it is in none. */
uintptr_t vmi__frame_at(uintptr_t address);

/* SetLinearMapping. */
void vmi__frames_linear(uint32_t slot, uintptr_t address, uintptr_t pages, uintptr_t pfn);

/* AllocatePage and ReleasePage. */
void vmi__frames_allocate(uintptr_t pfn, uint32_t flags);
void vmi__frames_release(uintptr_t pfn);

/* An entry of 4 or 8 bytes of a table is about to get a value; or was written in place. Nothing is
 * read where no table is. */
void vmi__frames_entry(uintptr_t entry, uint32_t bytes, uint64_t value);
void vmi__frames_entry_written(uintptr_t entry, uint32_t bytes);

/* What an entry of one of the kernel's tables makes of the frame *pfn with a value: VMI_PAGE_PT and
 * its kin, the table that it names; VMI__FRAME_WRITABLE, mapped so outside the linear mapping; 0,
 * neither. */
#define VMI__FRAME_WRITABLE 0x100u
uint32_t vmi__frame_used_as(uintptr_t entry, uint64_t value, uintptr_t *pfn);

/* The entry that maps a frame writable, or that names it as a table; 0 if there is none. */
uintptr_t vmi__frame_writable_by(uintptr_t pfn);
uintptr_t vmi__frame_named_by(uintptr_t pfn);

#endif
