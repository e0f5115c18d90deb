/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the start of a further CPU needs of i386.
 */
#include "../../smp.h"

#define EFLAGS_NT 0x00004000u
#define EFLAGS_VM 0x00020000u

/* Nothing of a CPU's is the library's. */
void vmi__native_smp_arch_prepare(const struct vmi_ap_state *state, uint32_t cpu)
{
    (void)state;
    (void)cpu;
}

bool vmi__native_smp_arch_acceptable(const struct vmi_ap_state *state)
{
    return !(state->cr3 & 0x1f) && !(state->eflags & (EFLAGS_NT | EFLAGS_VM));
}
