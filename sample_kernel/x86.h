/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Numbers of the i386 architecture, for C and assembly. Source: Intel SDM vol. 3A (2.3 EFLAGS, 2.5
 * control registers, 3.4 selectors and descriptors, 4.4 PAE paging, 6.3 vectors, 6.13 error codes),
 * vol. 3B 18.2 (debug registers).
 */
#ifndef X86_H
#define X86_H

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096

/* Control register 0. */
#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000

/* Control register 4. */
#define CR4_PAE 0x00000020

/* EFLAGS; bit 1 always reads 1. */
#define EFLAGS_FIXED 0x00000002
#define EFLAGS_IF    0x00000200

/* Entries of page tables. A PAE root entry takes PTE_PRESENT only. */
#define PTE_PRESENT  0x001
#define PTE_WRITE    0x002
#define PTE_USER     0x004
#define PTE_ACCESSED 0x020
#define PTE_DIRTY    0x040
#define PTE_ENTRIES  512

/* Exceptions. */
#define TRAP_DIVIDE             0
#define TRAP_DEBUG              1
#define TRAP_INVALID_OPCODE     6
#define TRAP_NO_FPU             7
#define TRAP_DOUBLE_FAULT       8
#define TRAP_INVALID_TSS        10
#define TRAP_NO_SEGMENT         11
#define TRAP_STACK              12
#define TRAP_PROTECTION         13
#define TRAP_PAGE_FAULT         14
#define TRAP_ALIGNMENT          17
#define TRAP_CONTROL_PROTECTION 21
#define TRAP_VMM_COMMUNICATION  29
#define TRAP_SECURITY           30
#define TRAP_COUNT              256

/* Error code of a page fault. */
#define FAULT_PRESENT 0x1
#define FAULT_WRITE   0x2
#define FAULT_USER    0x4

/* Debug register 7: local enable of breakpoint 0, which waits for writes of 4 bytes. */
#define DR7_LOCAL0   0x00000001
#define DR7_WRITE0   0x00010000
#define DR7_LENGTH40 0x000c0000
/* Debug register 6: breakpoint 0 was met. */
#define DR6_HIT0 0x1

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
