/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the start of a further CPU needs of x86-64: its per-CPU area.
 */
#include "../../smp.h"

#define CR4_PAE   0x20u
#define RFLAGS_NT 0x4000u

void vmi__native_smp_arch_prepare(const struct vmi_ap_state *state, uint32_t cpu)
{
    uint8_t *area = (uint8_t *)state->gs_base;

    vmi__native_ap_gdtr.limit = state->gdtr_limit;
    vmi__native_ap_gdtr.base = state->gdtr_base;
    memset(area, 0, VMI_PERCPU_SIZE);
    *(uint32_t *)(void *)(area + VMI_PERCPU_NUMBER) = cpu;
    *(uint64_t *)(void *)(area + VMI_PERCPU_SELF) = state->gs_base;
}

bool vmi__native_smp_arch_acceptable(const struct vmi_ap_state *state)
{
    return state->cr4 & CR4_PAE && !(state->cr3 & 0xfff) && !(state->rflags & RFLAGS_NT) &&
           state->gs_base && !(state->gs_base & 15);
}
