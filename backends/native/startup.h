/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * How a CPU is woken: by startup.c and its parts in arch/ARCH, or by an inheriting library's own
 * vmi__native_smp_init and vmi__native_smp_start.
 */
#ifndef VMI_NATIVE_STARTUP_H
#define VMI_NATIVE_STARTUP_H

#include "trampoline.h"

/*
 * Wakes a CPU that is to take vmi__native_ap_state, and waits for it to have done so. 0 or an
 * error.
 */
int32_t vmi__native_smp_start(uint32_t cpu);

/*
 * arch/ARCH: fills the trampoline's page at a guest-physical address below 1 MiB; false if there is
 * no memory for what belongs to it.
 */
bool vmi__native_startup_place(uint32_t at);

/* arch/ARCH: fills the tables for the way up, before each start. */
void vmi__native_startup_tables(void);

/*
 * arch/ARCH: CR3 for them. They have the library's code, and none of the kernel's own tables but
 * those that all its roots share.
 */
uintptr_t vmi__native_startup_root(void);

/* i386: fills the trampoline's page: tables for the way up, CR4 and bits of EFER for them. */
void vmi__native_startup_fill(void *page, uint32_t cr3, uint32_t cr4, uint32_t efer);

#endif
