/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The wall clock on the shared page (xen/xen.h, struct shared_info).
 */
#ifndef VMI_XEN_COMMON_WALL_CLOCK_H
#define VMI_XEN_COMMON_WALL_CLOCK_H

#include <stdint.h>

#include <xen/xen.h>

/*
 * Nanoseconds since 1970 at Xen's time 0, or 0 if Xen does not say. Read again while Xen changes
 * it: the version is odd meanwhile, and another one afterwards.
 */
static inline uint64_t vmi__wall_clock_at_zero(const volatile struct shared_info *shared)
{
    uint32_t version, nanoseconds;
    uint64_t seconds;

    do {
        version = shared->wc_version;
        __asm__ volatile("" : : : "memory");
        seconds = (uint64_t)shared->xen_wc_sec_hi << 32 | shared->wc_sec;
        nanoseconds = shared->wc_nsec;
        __asm__ volatile("" : : : "memory");
    } while ((version & 1) || version != shared->wc_version);
    return seconds ? seconds * 1000000000 + nanoseconds : 0;
}

#endif
