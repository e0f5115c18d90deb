/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between smp.c, its parts in arch/ARCH and published.c.
 */
#ifndef VMI_NATIVE_SMP_H
#define VMI_NATIVE_SMP_H

#include "trampoline.h"

/* The command that starts a CPU at a page below 1 MiB, whose number is or'ed in. */
#define VMI__ICR_STARTUP 0x4600 /* asserted */

/*
 * Of the architecture: fills the trampoline's page at a guest-physical address below 1 MiB, false
 * if there is no memory for what belongs to it; makes ready for one start; whether a CPU could
 * start in the state, as far as that is the architecture's.
 */
bool vmi__native_smp_arch_place(uint32_t at);
void vmi__native_smp_arch_prepare(const struct vmi_ap_state *state, uint32_t cpu);
bool vmi__native_smp_arch_acceptable(const struct vmi_ap_state *state);

/* i386: fills the trampoline's page: tables for the way up, CR4 and bits of EFER for them. */
void vmi__native_smp_place(void *page, uint32_t cr3, uint32_t cr4, uint32_t efer);

/* Could a CPU start in this state, but for the kind of its page tables? */
bool vmi__native_smp_acceptable(const struct vmi_ap_state *state);

/* Leaves a state for the CPU that is started next. */
void vmi__native_smp_leave(const struct vmi_ap_state *state);

/* Waits for it to have taken that, so many times 100 us; false if it does not in time. */
bool vmi__native_smp_comes_up(uint32_t polls);

#endif
