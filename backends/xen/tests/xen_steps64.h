/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What xen_steps64.c and xen_steps64.S share. Before xen/domain.h: selectors are those of a process
 * of Linux (__USER_CS and __USER_DS, arch/x86/include/asm/segment.h).
 */
#ifndef XEN_STEPS64_H
#define XEN_STEPS64_H

#include <xen/xen.h>

#undef FLAT_KERNEL_CS
#undef FLAT_KERNEL_SS
#define FLAT_KERNEL_CS 0x33
#define FLAT_KERNEL_SS 0x2b
/* As they stand in frames of the kernel's. */
#define SELECTOR_KERNEL (FLAT_KERNEL_CS & ~3)
#define SELECTOR_GONE   0x3fb

#define FLAG_TRAP 0x100

/* rax, rcx, r11, then those that all keep: rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r12 to r15. */
#define REGISTERS   15
#define REGISTER(n) (0x10203040 + (n))

#endif
