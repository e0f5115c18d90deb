/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Page tables of four levels (Intel SDM vol. 3A, 4.5), for the parts that write them.
 */
#ifndef VMI_RUNTIME_ARCH_TABLES_H
#define VMI_RUNTIME_ARCH_TABLES_H

#include "runtime.h"

#define PTE_PRESENT       0x001ull
#define PTE_WRITE         0x002ull
#define PTE_WRITE_THROUGH 0x008ull
#define PTE_CACHE_DISABLE 0x010ull
#define PTE_LARGE         0x080ull
#define PTE_GLOBAL        0x100ull
#define PTE_LARGE_PAT     0x1000ull
#define PTE_NO_EXECUTE    (1ull << 63)
#define PTE_FRAME         0x000ffffffffff000ull
#define TABLE             (PTE_PRESENT | PTE_WRITE)

#define ENTRIES       512u
#define LEVEL_BITS    9
#define PAGE_SHIFT    12
#define PAGE          4096ull
#define PAGE_MASK     (PAGE - 1)
#define LARGE_SHIFT   21
#define LARGE         (1ull << LARGE_SHIFT)
#define POINTER_SHIFT 30
#define ROOT_SHIFT    39

/* Index of an address into the table whose entries span 1 << shift bytes. */
#define INDEX(address, shift) ((uint32_t)((address) >> (shift)) & (ENTRIES - 1))

#define MSR_EFER 0xc0000080u
#define EFER_NXE 0x800u

/* The bit that forbids execution, where the entry has turned it on; else 0. */
static inline uint64_t vmi__no_execute(void)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
    return low & EFER_NXE ? PTE_NO_EXECUTE : 0;
}

/* The table that a present entry names, by the direct map. */
static inline uint64_t *vmi__table_at(uint64_t entry)
{
    return vmi__linear(entry & PTE_FRAME);
}

/* Sets an entry by a call, as kernels do; flags are VMI_PAGE_…. */
static inline void vmi__table_set(uint64_t *entry, uint64_t value, uint32_t flags)
{
    vmi_set_pxe_long(value, entry, flags);
}

#endif
