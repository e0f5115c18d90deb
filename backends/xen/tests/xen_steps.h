/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What xen_steps.c and xen_steps.S share. Before xen/domain.h, some of whose numbers are others
 * in a process of a 64-bit Linux.
 */
#ifndef XEN_STEPS_H
#define XEN_STEPS_H

/* A descriptor of the process's own, whose limit is the number of the CPU (set_thread_area). */
#define CPU_ENTRY             12
#define VMI__XEN_CPU_SELECTOR (CPU_ENTRY * 8 + 3)

/* __USER32_CS and __USER_DS (arch/x86/include/asm/segment.h). */
#define SELECTOR_USER 0x23
#include <xen/xen.h>
#undef FLAT_KERNEL_DS
#define FLAT_KERNEL_DS 0x2b
/* Ring 1, as it stands in frames: the player makes SELECTOR_USER of it for the processor. */
#define SELECTOR_KERNEL 0x21
/* Names no descriptor. */
#define SELECTOR_GONE 0x3fb

#define FLAG_TRAP 0x100

#define REGISTERS   7 /* eax, ecx, edx, ebx, ebp, esi, edi */
#define REGISTER(n) (0x10203040 + (n))

#endif
