/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The way of a further CPU from its start to the kernel: arch/ARCH/trampoline.S, which startup.c
 * fills.
 */
#ifndef VMI_NATIVE_TRAMPOLINE_H
#define VMI_NATIVE_TRAMPOLINE_H

#include "native.h"

/* The trampoline, to be copied to a page below 1 MiB, and its variables. */
extern const char vmi__native_trampoline[], vmi__native_trampoline_end[],
    vmi__native_trampoline_cr3[], vmi__native_trampoline_cr4[], vmi__native_trampoline_efer[];

extern struct vmi_ap_state vmi__native_ap_state;
#ifdef __x86_64__
extern struct vmi_dtr vmi__native_ap_gdtr;
#endif
extern struct vmi_dtr vmi__native_ap_idtr;
extern uint32_t vmi__native_ap_sets_efer;
extern volatile char *vmi__native_ap_apic;  /* 0: not to be touched */
extern volatile uint32_t vmi__native_ap_up; /* set once the CPU has taken all of the above */

#ifdef __x86_64__
/*
 * Where a CPU goes on that is in long mode, with its root loaded (vmi__native_ap_state): without a
 * stack, with flat or null data segments.
 */
extern const char vmi__native_ap_entry[];
#endif

/* Waits for a CPU to have taken that, so many times 100 us; false if it does not in time. */
#define VMI__NATIVE_UP_POLLS 10000 /* for one that must come */
bool vmi__native_smp_comes_up(uint32_t polls);

#endif
