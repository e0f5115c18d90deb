/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Pages lent to other domains by the grant table, version 1 (xen/grant_table.h): one page of
 * entries, shared with Xen. A library binds SharePage and UnsharePage to the routines
 * vmi__xen_common_share_page and vmi__xen_common_unshare_page.
 */
#ifndef VMI_XEN_COMMON_GRANTS_H
#define VMI_XEN_COMMON_GRANTS_H

#include <stdint.h>

#include <xen/xen.h>

#include <xen/grant_table.h>

#define VMI__XEN_COMMON_GRANTS (4096 / sizeof(struct grant_entry_v1))

#define VMI__XEN_COMMON_NO_FRAME 0xffffffffu

/*
 * Takes the page of VMI__XEN_COMMON_GRANTS entries into use, once the library has it shared with
 * Xen. Without this call SharePage returns ENOMEM.
 */
void vmi__xen_common_grants_use(struct grant_entry_v1 *table);

/*
 * Defined by each library: the frame by which Xen knows a guest-physical page that may be lent, or
 * VMI__XEN_COMMON_NO_FRAME.
 */
uint32_t vmi__xen_common_frame(uintptr_t pfn);

#endif
