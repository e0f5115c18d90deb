/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "fpu.h"
#include "x86.h"

void fpu_take(struct fpu_state *state)
{
    vmi_clts();
    if (state->used)
        fpu_restore(&state->registers);
    else
        fpu_reset();
    state->used = true;
    state->live = true;
}

void fpu_init_cpu(void)
{
#ifdef __x86_64__
    /* Every processor has SSE. */
    vmi_set_cr4(vmi_get_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
#endif
    vmi_set_cr0((vmi_get_cr0() & ~(uintptr_t)CR0_EM) | CR0_NE | CR0_MP | CR0_TS);
}

void fpu_leave(struct fpu_state *state)
{
    if (!state->live)
        return;
    fpu_save(&state->registers);
    state->live = false;
    vmi_set_cr0(vmi_get_cr0() | CR0_TS);
}
