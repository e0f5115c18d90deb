/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What this CPU's TLB has, dropped by the CPU itself.
 */
#ifndef VMI_TLB_H
#define VMI_TLB_H

#include <stdbool.h>
#include <stdint.h>

#define VMI__CR4_PGE   ((uintptr_t)0x80)
#define VMI__CR4_PCIDE ((uintptr_t)0x20000)

static inline uintptr_t vmi__tlb_cr4(void)
{
    uintptr_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return cr4;
}

/*
 * Drops all translations but global ones, or these too; `cr4` is what CR4 has. Where a kernel has
 * process-context identifiers in use, each has its own, and a load of CR3 drops one's: then by a
 * change of CR4.PGE, which drops everything (Intel SDM vol. 3A, 4.10.4.1).
 */
static inline void vmi__tlb_drop_all(uintptr_t cr4, bool global)
{
    uintptr_t cr3;

    if (cr4 & VMI__CR4_PCIDE || (global && (cr4 & VMI__CR4_PGE))) {
        __asm__ volatile("mov %0, %%cr4; mov %1, %%cr4"
                         :
                         : "r"(cr4 ^ VMI__CR4_PGE), "r"(cr4)
                         : "memory");
    } else {
        __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
        __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
    }
}

#endif
