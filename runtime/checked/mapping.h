/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the boot tables say of whether a page can be written: by pages of 4 KiB, also where the
 * image is mapped beside the linear mapping (x86-64), so that each has an entry of its own. Trees
 * that take the boot tables' entries over have the same one.
 */
#ifndef VMI_RUNTIME_CHECKED_MAPPING_H
#define VMI_RUNTIME_CHECKED_MAPPING_H

#include "checked.h"

/* Before the kernel begins. False: there is no memory to map by pages, and nothing is watched. */
bool vmi__checked_mapping_start(void);

/* Whether an address can be read, as far as the current tree's tables tell. */
bool vmi__checked_is_mapped(uintptr_t address);

/* The frame at an address of the linear mapping or of the image; VMI__FRAME_NONE if it is of
 * neither. */
uintptr_t vmi__checked_frame_at(uintptr_t address);

/*
 * Makes a frame writable for the kernel, or not, wherever the boot tables map it. Others of the
 * CPUs that have the page in their TLB may store there for a while longer, or fault once for
 * nothing.
 */
void vmi__checked_let(uintptr_t pfn, bool may);

/* What a store that has faulted is, by the current tree and the boot tables. */
enum vmi__fault_kind {
    VMI__FAULT_OTHER,   /* the kernel's own affair */
    VMI__FAULT_CLOSED,  /* the boot tables have the page read-only: *pfn */
    VMI__FAULT_WRITABLE /* it could be made by now */
};
enum vmi__fault_kind vmi__checked_fault_kind(uintptr_t address, uintptr_t *pfn);

/* Drops the translation of an address on this CPU. */
static inline void vmi__checked_drop(uintptr_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Control registers as they were. */
struct vmi__control {
    uintptr_t cr0, cr4;
};

/*
 * Lets this CPU write what is read-only, until the registers are as they were. As ../writable.h,
 * whose calls would lead through the flavour. Interrupts are masked.
 */
struct vmi__control vmi__checked_write_anything(void);
void vmi__checked_as_before(struct vmi__control control);

#endif
