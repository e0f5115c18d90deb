/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way up by STARTUP on i386: tables that have the bottom of memory at its own address.
 */
#include "../../startup.h"

#define CR4_PAE 0x00000020u

#define CPUID_EXTENDED_1    0x80000001u
#define CPUID_EXTENDED_1_NX (1u << 20) /* of edx */
#define MSR_EFER            0xc0000080u
#define EFER_NXE            0x800u

#define PDE_LOW_MEMORY 0x83 /* 2 MiB from 0, present, writable */

/* The boot tables, and the bottom 2 MiB at their own addresses. */
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t low_pd[512] __attribute__((aligned(4096)));

/* The boot tables forbid execution, where the first CPU has been told to heed that. */
static uint32_t efer(void)
{
    if (vmi__cpuid(0x80000000u, 0).eax < CPUID_EXTENDED_1 ||
        !(vmi__cpuid(CPUID_EXTENDED_1, 0).edx & CPUID_EXTENDED_1_NX))
        return 0;
    return (uint32_t)vmi__rdmsr(MSR_EFER) & EFER_NXE;
}

bool vmi__native_startup_place(uint32_t at)
{
    vmi__native_startup_fill(vmi__linear(at), vmi__physical(pdpt), CR4_PAE, efer());
    return true;
}

/*
 * Before each start, for a walk through the tables may have marked the root's entries as accessed
 * (QEMU 7.2 does), and that bit is reserved there when a hypervisor that looks loads them for the
 * next CPU.
 */
void vmi__native_startup_tables(void)
{
    low_pd[0] = PDE_LOW_MEMORY;
    pdpt[0] = vmi__physical(low_pd) | 1;
    pdpt[3] = vmi__physical(vmi__pc_tables.pd) | 1;
}

uintptr_t vmi__native_startup_root(void)
{
    return vmi__physical(pdpt);
}

void vmi__native_startup_fill(void *page, uint32_t cr3, uint32_t cr4, uint32_t efer_bits)
{
    char *to = page;

    memcpy(to, vmi__native_trampoline,
           (size_t)(vmi__native_trampoline_end - vmi__native_trampoline));
    *(uint32_t *)(void *)(to + (vmi__native_trampoline_cr3 - vmi__native_trampoline)) = cr3;
    *(uint32_t *)(void *)(to + (vmi__native_trampoline_cr4 - vmi__native_trampoline)) = cr4;
    *(uint32_t *)(void *)(to + (vmi__native_trampoline_efer - vmi__native_trampoline)) = efer_bits;
}
