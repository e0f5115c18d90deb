/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Frequencies that CPUID tells.
 *
 * Sources: Intel SDM vol. 2A, CPUID leaves 15H and 16H, and vol. 3A, 11.5.4 (the local APIC's timer
 * counts the core crystal clock); for the hypervisors' leaf, "CPUID usage for interaction between
 * Hypervisors and Linux" (LKML, 1 October 2008), which several have taken up.
 */
#include "native.h"

#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_TIMING     0x40000010u /* kHz of the TSC in eax, of the APIC's timer in ebx */
#define LEAF_TSC        0x15u       /* the TSC is the crystal times ebx / eax; its Hz in ecx */
#define LEAF_FREQUENCY  0x16u       /* base frequency of the processor in eax, MHz, rounded */

/* Core crystal clocks there are (Intel SDM vol. 3B, table 19-85, and leaf 15H of processors). */
static const uint32_t crystals[] = {19200000, 24000000, 25000000, 38400000};

/*
 * The crystal of a processor that tells the ratio alone. Its base frequency is the TSC's but for
 * the rounding, which a part of 64 is more than.
 */
static uint32_t crystal_by_base(uint32_t numerator, uint32_t denominator)
{
    uint64_t base = (uint64_t)(vmi__cpuid(LEAF_FREQUENCY, 0).eax & 0xffff) * 1000000;
    uint64_t crystal = vmi__div64(base * denominator, numerator);
    uint32_t i;

    for (i = 0; i < sizeof(crystals) / sizeof(crystals[0]); i++)
        if (crystal + crystals[i] / 64 >= crystals[i] && crystal <= crystals[i] + crystals[i] / 64)
            return crystals[i];
    return 0;
}

/* Leaf 15H; nothing if ratio or crystal are not told. */
static void by_crystal(struct vmi__native_told *told)
{
    uint32_t last = vmi__cpuid(0, 0).eax;
    struct vmi__cpuid id;

    if (last < LEAF_TSC)
        return;
    id = vmi__cpuid(LEAF_TSC, 0);
    if (!id.eax || !id.ebx || id.eax > UINT16_MAX || id.ebx > UINT16_MAX)
        return;
    if (!id.ecx && last >= LEAF_FREQUENCY)
        id.ecx = crystal_by_base(id.ebx, id.eax);
    told->tsc_hz = vmi__div64((uint64_t)id.ecx * id.ebx, id.eax);
    told->apic_timer_hz = id.ecx;
}

struct vmi__native_told vmi__native_told(void)
{
    struct vmi__native_told told = {.trusted =
                                        !(vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_HYPERVISOR)};
    struct vmi__cpuid id;

    if (!told.trusted && vmi__cpuid(LEAF_HYPERVISOR, 0).eax >= LEAF_TIMING) {
        id = vmi__cpuid(LEAF_TIMING, 0);
        told.tsc_hz = (uint64_t)id.eax * 1000;
        if (id.ebx <= UINT32_MAX / 1000)
            told.apic_timer_hz = id.ebx * 1000;
        told.trusted = told.tsc_hz != 0;
    }
    if (!told.tsc_hz)
        by_crystal(&told);
    return told;
}
