/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * PAE page tables (Intel SDM vol. 3A, 4.4), for the parts that write them.
 */
#ifndef VMI_RUNTIME_ARCH_TABLES_H
#define VMI_RUNTIME_ARCH_TABLES_H

#include "runtime.h"

#define PTE_PRESENT       0x001u
#define PTE_WRITE         0x002u
#define PTE_WRITE_THROUGH 0x008u
#define PTE_CACHE_DISABLE 0x010u
#define PTE_LARGE         0x080u
#define PTE_GLOBAL        0x100u
#define PTE_NO_EXECUTE    (1ull << 63)
#define PTE_FRAME         0x000ffffffffff000ull
#define TABLE             (PTE_PRESENT | PTE_WRITE)

#define ENTRIES     512u
#define LEVEL_BITS  9
#define PAGE        4096u
#define PAGE_SHIFT  12
#define PAGE_MASK   0xfffull
#define LARGE_SHIFT 21
#define LARGE       (1u << LARGE_SHIFT)
#define ROOT_SHIFT  30

#define CPUID_EXTENDED      0x80000000u
#define CPUID_EXTENDED_1    0x80000001u
#define CPUID_EXTENDED_1_NX (1u << 20) /* of edx */
#define CPUID_ADDRESS_SIZES 0x80000008u
#define CPUID_1_EDX_PSE36   (1u << 17)

#define MSR_EFER 0xc0000080u
#define EFER_NXE 0x800u

/* Does the processor have an extended leaf of CPUID? Then *eax and *edx are what it says. */
static inline bool vmi__extended(uint32_t leaf, uint32_t *eax, uint32_t *edx)
{
    uint32_t ebx, ecx;

    *eax = CPUID_EXTENDED;
    __asm__("cpuid" : "+a"(*eax), "=b"(ebx), "=c"(ecx), "=d"(*edx));
    if (*eax < leaf)
        return false;
    *eax = leaf;
    __asm__("cpuid" : "+a"(*eax), "=b"(ebx), "=c"(ecx), "=d"(*edx));
    return true;
}

/* The bit that forbids execution, where the entry has turned it on; else 0. */
static inline uint64_t vmi__no_execute(void)
{
    uint32_t low, high;

    if (!vmi__extended(CPUID_EXTENDED_1, &low, &high) || !(high & CPUID_EXTENDED_1_NX))
        return 0;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    return low & EFER_NXE ? PTE_NO_EXECUTE : 0;
}

/* Sets an entry by a call, as kernels do; flags are VMI_PAGE_…. */
static inline void vmi__table_set(uint64_t *entry, uint64_t value, uint32_t flags)
{
    vmi_set_pxe_long((uint32_t)value, (uint32_t)(value >> 32), entry, flags);
}

#endif
