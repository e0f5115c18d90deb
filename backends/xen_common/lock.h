/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Locks of what libraries share; each library has locks of its own kind, which begin as 0.
 */
#ifndef VMI_XEN_COMMON_LOCK_H
#define VMI_XEN_COMMON_LOCK_H

#include <stdint.h>

/* Defined by each library. Takes a lock, and keeps interrupts of this CPU out; gives it back. */
uint32_t vmi__xen_common_enter(volatile uint32_t *lock);
void vmi__xen_common_leave(volatile uint32_t *lock, uint32_t flags);

#endif
