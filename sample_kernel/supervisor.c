/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include <vmi/vmi.h>

#include "supervisor.h"
#include "x86.h"

uintptr_t supervisor_prevention(void)
{
    uint32_t highest, ebx, ignored;
    uintptr_t bits = 0;

#ifndef __x86_64__
    /*
     * A change of CR4.SMEP makes the processor load the four entries of PAE's root again, in which
     * accessed bits are reserved. QEMU sets them there, and KVM below it then refuses the change.
     */
    return 0;
#endif
    vmi_cpuid(0, 0, &highest, &ignored, &ignored, &ignored);
    if (highest < 7)
        return 0;
    vmi_cpuid(7, 0, &ignored, &ebx, &ignored, &ignored);
    if (ebx & CPUID_7_EBX_SMEP)
        bits |= CR4_SMEP;
    if (ebx & CPUID_7_EBX_SMAP)
        bits |= CR4_SMAP;
    return bits;
}

void supervisor_init_cpu(void)
{
    uintptr_t bits = supervisor_prevention();

    if (bits != 0)
        vmi_set_cr4(vmi_get_cr4() | bits);
}
