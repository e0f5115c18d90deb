/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The depth of page tables on x86-64: four levels. */
#ifndef TABLES_ARCH_H
#define TABLES_ARCH_H

#define ROOT_SHIFT 39
#define ROOT_KIND  VMI_PAGE_PML4

#endif
