/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The depth of page tables on i386 (PAE): three levels. */
#ifndef TABLES_ARCH_H
#define TABLES_ARCH_H

#define ROOT_SHIFT 30
#define ROOT_KIND  VMI_PAGE_PDP

#endif
