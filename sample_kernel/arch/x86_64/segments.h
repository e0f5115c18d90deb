/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Layout of the GDT on x86-64; for C and assembly. Code and stack selectors are those of
 * boot_info: where a hypervisor has descriptors of its own for them, the kernel's are not used.
 */
#ifndef SEGMENTS_H
#define SEGMENTS_H

#define GDT_KERNEL_CODE 1
#define GDT_KERNEL_DATA 2
#define GDT_USER_CODE32 3 /* SYSRET counts from here */
#define GDT_USER_DATA   4
#define GDT_USER_CODE   5
#define GDT_SCRATCH     6
#define GDT_TSS         8 /* from here on two entries per CPU */

/* In the area that the kernel's GS base names, behind the library's words: the thread's stack. */
#define AREA_KERNEL_STACK VMI_PERCPU_SIZE

#define SELECTOR(index, rpl) ((index) << 3 | (rpl))
#define RPL_MASK             3
#define RPL_USER             3

#define USER_DS SELECTOR(GDT_USER_DATA, RPL_USER)

#endif
