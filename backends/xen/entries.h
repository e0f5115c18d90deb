/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What entries of page tables are to Xen on each architecture, for mmu.c.
 */
#ifndef VMI_XEN_ENTRIES_H
#define VMI_XEN_ENTRIES_H

#ifdef __x86_64__
#include "arch/x86_64/entries.h"
#else
#include "arch/i386/entries.h"
#endif

#endif
