/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The call Suspend, as far as it is the same in each library: all CPUs come together; the first has
 * Xen suspend the domain, the others spin, and are saved by the toolstack as they are.
 */
#ifndef VMI_XEN_COMMON_SUSPEND_H
#define VMI_XEN_COMMON_SUSPEND_H

#include <stdint.h>

/*
 * On a CPU of that number, with interrupts masked, after a request to suspend was taken
 * (vmi__xen_common_suspend_asked); so many others make the call too. Returns the result of Suspend.
 */
int32_t vmi__xen_common_meet(uint32_t number, uint32_t others);

/* ---- defined by each library ---- */

/* On the first CPU, once all others spin: has Xen suspend the domain, and in one that was restored
 * brings back what is the domain's as a whole. Returns the result of Suspend. */
int32_t vmi__xen_common_stand_still(void);

/* On each CPU of a domain that was restored, once the first has brought it back: what is the CPU's
 * own, and what is due there. */
void vmi__xen_common_cpu_returns(uint32_t number);

/* For the inside of a loop that waits for another CPU; *turns begins with 0. */
void vmi__xen_common_relax(uint32_t *turns);

#endif
