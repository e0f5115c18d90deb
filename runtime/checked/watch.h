/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Tables that are mapped read-only while the kernel runs, so that a store past the interface faults
 * and is named. For C and assembly.
 *
 * The boot tables map memory by pages, not by large ones, so that each page of the linear mapping,
 * and of the image where that is mapped beside it, has an entry; trees that take the boot tables'
 * entries over have the same one. The processor's gate of page faults leads to the library first
 * (watch.S), and what is not the library's goes on to the kernel's handler with the stack as the
 * processor has left it. A table that was stored to is writable until the next call that is
 * checked. For calls that write to tables CR0.WP is off on their CPU, with interrupts masked.
 */
#ifndef VMI_RUNTIME_CHECKED_WATCH_H
#define VMI_RUNTIME_CHECKED_WATCH_H

/* Page-fault handlers that a kernel may have, one for each entry of watch.S. */
#define VMI__FAULT_HANDLERS 8

/* Bytes from one entry to the next. */
#define VMI__WATCH_ENTRY_SIZE 16

#ifndef __ASSEMBLER__

#include "checked.h"

/* watch.S: the entry for each handler. */
extern const char vmi__checked_fault_entries[];

/*
 * Where the entries lead for a store of the kernel's to a page that is read-only. On the stack of
 * the frame: the handler, then what the processor has pushed. The handler becomes 0 where the store
 * can be made now.
 */
VMI__ROUTINE void vmi__checked_page_fault(uint32_t nothing, struct vmi__flavour_frame *frame);

/* Before the kernel begins: makes the boot tables map by pages. */
void vmi__checked_watch_start(void);

/* Whether the functions below have anything to do with a call. */
static inline bool vmi__checked_watched(uint32_t ordinal)
{
    switch (ordinal) {
#ifdef __i386__
    case VMI_ORDINAL_SET_PXE:
    case VMI_ORDINAL_SET_LDT:
    case VMI_ORDINAL_WRITE_LDT_ENTRY:
#endif
    case VMI_ORDINAL_SET_PXE_LONG:
    case VMI_ORDINAL_ALLOCATE_PAGE:
    case VMI_ORDINAL_RELEASE_PAGE:
    case VMI_ORDINAL_SET_GDT:
    case VMI_ORDINAL_SET_IDT:
    case VMI_ORDINAL_SET_TR:
    case VMI_ORDINAL_WRITE_GDT_ENTRY:
    case VMI_ORDINAL_WRITE_IDT_ENTRY:
    case VMI_ORDINAL_SET_INITIAL_AP_STATE:
    case VMI_ORDINAL_STOP_CPU:
        return true;
    default:
        return false;
    }
}

/* How many tables were stored to since they were read-only: all are made so again by the next call
 * that is checked, which is then noted, too. */
extern uint32_t vmi__checked_opened;

/* A call is about to be made, and is remembered already. With the lock. */
void vmi__checked_watch_note(const struct vmi__call *call);

/* Before and after a call, with interrupts masked: the library may write where the kernel must not.
 */
void vmi__checked_watch_enter(const struct vmi__call *call, struct vmi__flavour_frame *frame);
void vmi__checked_watch_leave(struct vmi__flavour_frame *frame);

#endif
#endif
