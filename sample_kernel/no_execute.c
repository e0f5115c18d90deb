/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#include "no_execute.h"

#include "supervisor.h"
#include "x86.h"

#define CPUID_EXTENDED 0x80000000
#define CPUID_FEATURES 0x80000001
#define CPUID_NX       (1u << 20)

uint64_t pte_no_execute;

bool no_execute_there(void)
{
    uint32_t highest, features, ignored;

    vmi_cpuid(CPUID_EXTENDED, 0, &highest, &ignored, &ignored, &ignored);
    if (highest < CPUID_FEATURES)
        return false;
    vmi_cpuid(CPUID_FEATURES, 0, &ignored, &ignored, &ignored, &features);
    return features & CPUID_NX;
}

void paging_use_no_execute(const struct vmi_boot_info *boot)
{
    if (no_execute_there() && !supervisor_left_off(boot, "nx"))
        pte_no_execute = PTE_NO_EXECUTE;
}
