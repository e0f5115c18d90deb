/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Features of the processor that forms of calls are for (`features` of the specification).
 */
#ifndef VMI_RUNTIME_FEATURE_H
#define VMI_RUNTIME_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

#include <vmi/vmi.h>

#include "endbr.h"

/*
 * Whether bit `bit` of register `number` (0 to 3: eax, ebx, ecx, edx) of a CPUID leaf is set, and
 * the leaf exists: a processor answers a leaf above its last one as if it were that (Intel SDM vol.
 * 2A, CPUID). Asks by the interface's own call, for a hypervisor may hide what the instruction
 * would show. The binder hands it on by its address.
 */
static inline VMI__ADDRESS_TAKEN bool vmi__feature(uint32_t leaf, uint32_t subleaf, uint32_t number,
                                                   uint32_t bit)
{
    uint32_t registers[4];

    vmi_cpuid(leaf & 0x80000000u, 0, &registers[0], &registers[1], &registers[2], &registers[3]);
    if (registers[0] < leaf)
        return false;
    vmi_cpuid(leaf, subleaf, &registers[0], &registers[1], &registers[2], &registers[3]);
    return registers[number] >> bit & 1;
}

#endif
