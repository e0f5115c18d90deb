/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "fpu.h"
#include "supervisor.h"
#include "x86.h"

/* Parts of CPUID's leaf of XSAVE: the components that there are, and AVX's place. */
#define PART_OF_ALL 0
#define PART_OF_AVX 2
#define XCR0_NUMBER 0

uint32_t fpu_components;

/* Components for which threads have room; XSAVE's plain form has each at its own place. */
void fpu_init(void)
{
    uint32_t there, offset, size, ignored;

    if (!(supervisor_used & CR4_OSXSAVE))
        return;
    vmi_cpuid(CPUID_LEAF_XSAVE, PART_OF_ALL, &there, &ignored, &ignored, &ignored);
    vmi_cpuid(CPUID_LEAF_XSAVE, PART_OF_AVX, &size, &offset, &ignored, &ignored);
    fpu_components = XCR0_X87 | XCR0_SSE;
    if (there & XCR0_AVX && offset < sizeof(struct fpu_registers) &&
        size <= sizeof(struct fpu_registers) - offset)
        fpu_components |= XCR0_AVX;
}

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
    if (fpu_components != 0)
        vmi_xsetbv(XCR0_NUMBER, fpu_components);
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
