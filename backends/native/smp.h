/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Between smp.c, its parts in arch/ARCH and published.c.
 */
#ifndef VMI_NATIVE_SMP_H
#define VMI_NATIVE_SMP_H

#include "trampoline.h"

/*
 * arch/ARCH: makes ready for the start of a CPU; whether one could start in the state, as far as
 * that is the architecture's.
 */
void vmi__native_smp_arch_prepare(const struct vmi_ap_state *state, uint32_t cpu);
bool vmi__native_smp_arch_acceptable(const struct vmi_ap_state *state);

/* Could a CPU start in this state, but for the kind of its page tables? */
bool vmi__native_smp_acceptable(const struct vmi_ap_state *state);

/* Leaves a state for the CPU that is started next. */
void vmi__native_smp_leave(const struct vmi_ap_state *state);

#endif
