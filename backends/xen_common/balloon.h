/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the balloon's driver asks of each library.
 */
#ifndef VMI_XEN_COMMON_BALLOON_H
#define VMI_XEN_COMMON_BALLOON_H

#include "xenbus.h"

/* Of a frame; the toolstack counts memory in KiB. */
#define VMI__XEN_COMMON_KIB_SHIFT 2

/* Frames that the kernel has while none is away; 0 if nobody says. */
uint64_t vmi__xen_common_balloon_frames(const struct vmi__xen_common_bus *bus);

/* The device is opened: an event of its queue is to tell of new targets. False if it cannot. */
bool vmi__xen_common_balloon_open(struct vmi__xen_common_bus *bus);
void vmi__xen_common_balloon_close(struct vmi__xen_common_bus *bus);

/*
 * Gives frames of usable memory to Xen, or takes them again; `list` has room for as many. Returns
 * how many, from the first on, or why not the first one.
 */
int32_t vmi__xen_common_give_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count);
int32_t vmi__xen_common_take_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count);

#endif
