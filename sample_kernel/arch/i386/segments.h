/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Layout of the GDT on i386; for C and assembly. */
#ifndef SEGMENTS_H
#define SEGMENTS_H

/* Layout of the GDT. Kernel selectors get boot_info.kernel_rpl or'ed in at run time. */
#define GDT_KERNEL_CODE 1
#define GDT_KERNEL_DATA 2
#define GDT_USER_CODE   3
#define GDT_USER_DATA   4
#define GDT_SCRATCH     5
#define GDT_LDT         6
#define GDT_TSS         8 /* one per CPU from here on */

#define SELECTOR(index, rpl) ((index) << 3 | (rpl))
#define SELECTOR_LDT         4 /* the descriptor is in the LDT */
#define RPL_MASK             3
#define RPL_USER             3

#define USER_CS SELECTOR(GDT_USER_CODE, RPL_USER)
/*
 * DS and ES hold this in the kernel as well: a data segment of DPL 3 serves every ring, and a
 * return to ring 3 has nothing to load.
 */
#define USER_DS SELECTOR(GDT_USER_DATA, RPL_USER)

#endif
