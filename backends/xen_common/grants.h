/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages lent to other domains by the grant table, version 1 (xen/grant_table.h): frames of entries,
 * shared with Xen, next to each other. A library binds SharePage and UnsharePage to the routines
 * vmi__xen_common_share_page and vmi__xen_common_unshare_page; front ends reserve references once
 * and lend a page by each again and again.
 */
#ifndef VMI_XEN_COMMON_GRANTS_H
#define VMI_XEN_COMMON_GRANTS_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/xen.h>

#include <xen/grant_table.h>

#include "endbr.h"
#include "grant_frames.h"

/* References of a frame, and of all that a library has room for. */
#define VMI__XEN_COMMON_FRAME_GRANTS (4096 / sizeof(struct grant_entry_v1))
#define VMI__XEN_COMMON_GRANTS       (VMI__XEN_COMMON_GRANT_FRAMES * VMI__XEN_COMMON_FRAME_GRANTS)

#define VMI__XEN_COMMON_NO_FRAME 0xffffffffu

/*
 * Takes a table into use, of which the library has so many frames shared with Xen. Without this
 * call there are no references.
 */
void vmi__xen_common_grants_use(struct grant_entry_v1 *table, uint32_t frames);

/* Every reference is free: whom pages were lent to does not know them in a domain that was
 * restored. The table is taken into use anew, and front ends keep theirs before anybody is given
 * one. Returns how many frames of the table were in use. */
uint32_t vmi__xen_common_grants_forget(void);

/* Reserves that reference, which is free; 0 is none. True, as of one of what a front end does with
 * each of its references. */
VMI__ADDRESS_TAKEN bool vmi__xen_common_grant_keep(grant_ref_t *reference);

/*
 * A reference of the caller's own that lends nothing yet, or 0, which none is: then Xen gives no
 * more.
 */
grant_ref_t vmi__xen_common_grant_reserve(void);

/* Lends a frame by a reserved reference, which lends nothing, to a domain. */
void vmi__xen_common_grant_lend(grant_ref_t reference, uint32_t frame, uint32_t peer,
                                bool read_only);

/*
 * Has a reserved reference lend nothing; true if it did not. False while the other domain has the
 * frame mapped: then nothing is changed.
 */
bool vmi__xen_common_grant_end(grant_ref_t reference);

/* Gives back a reserved reference that lends nothing. */
void vmi__xen_common_grant_release(grant_ref_t reference);

/* ---- defined by each library ---- */

/*
 * Has Xen share one more frame of the table, which is in use up to there, at its place; false if
 * there is none. CPUs may ask for the same one at the same time.
 */
bool vmi__xen_common_grants_more(uint32_t frame);

/*
 * The frame by which Xen knows a guest-physical page that may be lent, or VMI__XEN_COMMON_NO_FRAME.
 */
uint32_t vmi__xen_common_frame(uintptr_t pfn);

#endif
