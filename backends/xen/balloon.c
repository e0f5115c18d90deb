/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the balloon's driver (../xen_common/balloon.c) asks for. Its event is no port's: requests.c
 * raises it.
 */
#include "domain.h"

#include "xen_common/balloon.h"

uint64_t vmi__xen_common_balloon_frames(const struct vmi__xen_common_bus *bus)
{
    (void)bus;
    return vmi__xen_memory.pages;
}

bool vmi__xen_common_balloon_open(struct vmi__xen_common_bus *bus)
{
    (void)bus;
    return true;
}

void vmi__xen_common_balloon_close(struct vmi__xen_common_bus *bus)
{
    (void)bus;
}

int32_t vmi__xen_common_give_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    return vmi__xen_give_frames(frames, list, count);
}

int32_t vmi__xen_common_take_frames(const uint32_t *frames, xen_pfn_t *list, uint32_t count)
{
    return vmi__xen_take_frames(frames, list, count);
}
