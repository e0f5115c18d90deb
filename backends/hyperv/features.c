/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the hypervisor offers, and what of it is used (TLFS, Feature Discovery).
 */
#include "hyperv.h"

/* A feature is used if all of these are there. */
static const struct {
    const char *name;
    uint32_t access;      /* eax of CPUID_FEATURES */
    uint32_t has;         /* edx of CPUID_FEATURES */
    uint32_t recommended; /* eax of CPUID_ENLIGHTMENTS */
    uint32_t needs;       /* other features, which stand before it */
} features[HYPERV__FEATURES] = {
    [HYPERV__HYPERCALL] = {"hypercall", HYPERV__ACCESS_HYPERCALL, 0, 0, 0},
    [HYPERV__VP_INDEX] = {"vp_index", HYPERV__ACCESS_VP_INDEX, 0, 0, 0},
    [HYPERV__REFERENCE_COUNTER] = {"reference_counter", HYPERV__ACCESS_REFERENCE_COUNTER, 0, 0, 0},
    [HYPERV__REFERENCE_TSC] = {"reference_tsc", HYPERV__ACCESS_REFERENCE_TSC, 0, 0,
                               1u << HYPERV__REFERENCE_COUNTER},
    [HYPERV__FREQUENCIES] = {"frequencies", HYPERV__ACCESS_FREQUENCIES, HYPERV__HAS_FREQUENCIES, 0,
                             0},
    [HYPERV__DIRECT_TIMER] = {"direct_timer", HYPERV__ACCESS_SYNTHETIC_TIMERS,
                              HYPERV__HAS_DIRECT_TIMER, 0, 1u << HYPERV__REFERENCE_COUNTER},
    [HYPERV__VP_ASSIST] = {"vp_assist", HYPERV__ACCESS_APIC, 0, 0, 0},
    [HYPERV__APIC_MSRS] = {"apic_msrs", HYPERV__ACCESS_APIC, 0, HYPERV__RECOMMENDS_APIC, 0},
    [HYPERV__CLUSTER_IPI] = {"cluster_ipi", 0, 0, HYPERV__RECOMMENDS_CLUSTER_IPI,
                             1u << HYPERV__HYPERCALL | 1u << HYPERV__VP_INDEX},
    [HYPERV__REMOTE_FLUSH] = {"remote_flush", 0, 0, HYPERV__RECOMMENDS_REMOTE_FLUSH,
                              1u << HYPERV__HYPERCALL | 1u << HYPERV__VP_INDEX},
    [HYPERV__SPARSE_SETS] = {"sparse_sets", 0, 0, HYPERV__RECOMMENDS_SETS,
                             1u << HYPERV__HYPERCALL | 1u << HYPERV__VP_INDEX},
    [HYPERV__SPIN_WAIT] = {"spin_wait", 0, 0, 0, 1u << HYPERV__HYPERCALL},
    [HYPERV__CRASH] = {"crash", 0, HYPERV__HAS_CRASH, 0, 0},
};

uint32_t vmi__hyperv_used, vmi__hyperv_spins;

static bool present;

bool vmi__hyperv_here(void)
{
    return (vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_HYPERVISOR) &&
           vmi__cpuid(HYPERV__CPUID_MAX, 0).eax >= HYPERV__CPUID_LEAST &&
           vmi__cpuid(HYPERV__CPUID_INTERFACE, 0).eax == HYPERV__INTERFACE;
}

void vmi__hyperv_detect(void)
{
    struct vmi__cpuid offered, recommended;
    uint32_t i;

    present = vmi__hyperv_here();
    if (!present)
        return;
    offered = vmi__cpuid(HYPERV__CPUID_FEATURES, 0);
    recommended = vmi__cpuid(HYPERV__CPUID_ENLIGHTMENTS, 0);
    vmi__hyperv_spins = recommended.ebx;
    for (i = 0; i < HYPERV__FEATURES; i++) {
        if ((features[i].access & ~offered.eax) || (features[i].has & ~offered.edx) ||
            (features[i].recommended & ~recommended.eax) ||
            (features[i].needs & ~vmi__hyperv_used) ||
            (i == HYPERV__SPIN_WAIT && recommended.ebx == HYPERV__SPINS_NEVER))
            continue;
        vmi__hyperv_used |= 1u << i;
    }
}

void vmi__hyperv_describe(void)
{
    struct vmi__cpuid id = vmi__cpuid(HYPERV__CPUID_MAX, 0);
    char vendor[13] = {0};
    const char *comma = "";
    uint32_t i;

    if (!present) {
        vmi__print("# hyperv absent=1\r\n");
        return;
    }
    memcpy(vendor, &id.ebx, 4);
    memcpy(vendor + 4, &id.ecx, 4);
    memcpy(vendor + 8, &id.edx, 4);
    vmi__print("# hyperv vendor=\"");
    vmi__print(vendor);
    vmi__print("\" used=");
    for (i = 0; i < HYPERV__FEATURES; i++) {
        if (!vmi__hyperv_uses(i))
            continue;
        vmi__print(comma);
        vmi__print(features[i].name);
        comma = ",";
    }
    vmi__print(*comma ? "\r\n" : "none\r\n");
}
