/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Numbers of i386 and x86-64, for C and assembly. Source: Intel SDM vol. 3A (2.3 EFLAGS, 2.5
 * control registers, 3.4 selectors and descriptors, 4.4 and 4.5 paging, 6.3 vectors, 6.13 error
 * codes), vol. 3B 18.2 (debug registers).
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

/*
 * Control register 3 with CR4_PCIDE: bits 0 to 11 are the identifier. When CR3 is written, the TLB
 * keeps what it has by it (vol. 3A, 4.10.4.1). In 64-bit mode alone.
 */
#ifdef __x86_64__
#define CR3_KEEP (1ull << 63)
#else
#define CR3_KEEP 0
#endif

/* Control register 4. */
#define CR4_PAE        0x00000020
#define CR4_PGE        0x00000080
#define CR4_OSFXSR     0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define CR4_UMIP       0x00000800
#define CR4_LA57       0x00001000
#define CR4_FSGSBASE   0x00010000
#define CR4_PCIDE      0x00020000
#define CR4_OSXSAVE    0x00040000
#define CR4_SMEP       0x00100000
#define CR4_SMAP       0x00200000
#define CR4_CET        0x00800000

#define CPUID_1_ECX_PCID    0x00020000
#define CPUID_1_ECX_XSAVE   0x04000000
#define CPUID_1_ECX_OSXSAVE 0x08000000
#define CPUID_1_EDX_PGE     0x00002000
#define CPUID_LEAF_XSAVE    13

/* Extended control register 0 (vol. 1, 13.3). */
#define XCR0_X87 0x1
#define XCR0_SSE 0x2
#define XCR0_AVX 0x4

#define CPUID_7_EBX_FSGSBASE 0x00000001
#define CPUID_7_EBX_SMEP     0x00000080
#define CPUID_7_EBX_SMAP     0x00100000
#define CPUID_7_ECX_UMIP     0x00000004
#define CPUID_7_ECX_SHSTK    0x00000080
#define CPUID_7_ECX_LA57     0x00010000

/* EFLAGS; bit 1 always reads 1. */
#define EFLAGS_FIXED 0x00000002
#define EFLAGS_TF    0x00000100
#define EFLAGS_IF    0x00000200
#define EFLAGS_RF    0x00010000
#define EFLAGS_AC    0x00040000

/* Entries of page tables. An i386 root entry takes PTE_PRESENT only. */
#define PTE_PRESENT    0x001
#define PTE_WRITE      0x002
#define PTE_USER       0x004
#define PTE_ACCESSED   0x020
#define PTE_DIRTY      0x040
#define PTE_LARGE      0x080 /* above page tables */
#define PTE_GLOBAL     0x100
#define PTE_ENTRIES    512
#define PTE_NO_EXECUTE (1ull << 63) /* where CPUID and EFER have it */

/* Exceptions. */
#define TRAP_DIVIDE             0
#define TRAP_DEBUG              1
#define TRAP_NMI                2
#define TRAP_INVALID_OPCODE     6
#define TRAP_NO_FPU             7
#define TRAP_DOUBLE_FAULT       8
#define TRAP_INVALID_TSS        10
#define TRAP_NO_SEGMENT         11
#define TRAP_STACK              12
#define TRAP_PROTECTION         13
#define TRAP_PAGE_FAULT         14
#define TRAP_ALIGNMENT          17
#define TRAP_MACHINE_CHECK      18
#define TRAP_CONTROL_PROTECTION 21
#define TRAP_VMM_COMMUNICATION  29
#define TRAP_SECURITY           30
#define TRAP_COUNT              256

/* Error code of a page fault. */
#define FAULT_FETCH   0x10 /* with PTE_NO_EXECUTE or CR4_SMEP in use */
#define FAULT_PRESENT 0x1
#define FAULT_WRITE   0x2
#define FAULT_USER    0x4

/* Debug register 7: local enable of breakpoint 0, which waits for an instruction if all else is 0.
 */
/* The same: local enable of breakpoint 0, which waits for writes of 4 bytes. */
#define DR7_LOCAL0   0x00000001
#define DR7_WRITE0   0x00010000
#define DR7_LENGTH40 0x000c0000
/* Debug register 6: breakpoint 0 was met. */
#define DR6_HIT0 0x1

/*
 * The first instruction of what hardware or an indirect branch leads to, in a build with
 * indirect-branch tracking (vol. 1, 17.3): gates and the entry of system calls. Compilers put it
 * into functions by themselves.
 */
#if defined(__CET__) && (__CET__ & 1) && defined(__x86_64__)
#define ENDBR endbr64
#elif defined(__CET__) && (__CET__ & 1)
#define ENDBR endbr32
#else
#define ENDBR
#endif

#include "segments.h"

#endif
