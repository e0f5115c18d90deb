/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which parts of Xen's list a domain of 32 bits sees: it lies in the top GiB, and has holes where
 * the machine has.
 */
#ifndef VMI_XEN_ARCH_I386_M2P_H
#define VMI_XEN_ARCH_I386_M2P_H

#include "../../domain.h"

/* Bit n: the n-th 2 MiB of the top GiB are mapped; filled from the builder's tables. */
extern uint32_t vmi__xen_top_present[VMI__XEN_TABLE_ENTRIES / 32];

#endif
