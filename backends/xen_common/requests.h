/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside, which a toolstack makes by xenstore. TakeRequest is
 * vmi__xen_common_take_request.
 */
#ifndef VMI_XEN_COMMON_REQUESTS_H
#define VMI_XEN_COMMON_REQUESTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Has xenstore tell of requests, of CPUs that come and go, and of a new target of the balloon, by
 * vmi__xen_common_store_told, which is set already if a request stands there. While one CPU runs
 * with interrupts masked, before the store's port is let in. Is there a store?
 */
bool vmi__xen_common_requests_start(void);

/* Takes all there are and does what is done where no kernel takes them. */
void vmi__xen_common_requests_default(void);

/* Does the toolstack want a VCPU online? It does where nobody says. */
bool vmi__xen_common_cpu_wanted(uint32_t cpu);

/* A request to suspend was taken; whoever has suspended the domain clears it. */
extern bool vmi__xen_common_suspend_asked;

/* ---- defined by each library ---- */

/* Would the kernel take a request to suspend, and be suspended? */
bool vmi__xen_common_suspends(void);

#endif
