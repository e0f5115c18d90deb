/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the hypervisor is told of the partition and of each CPU, and by which numbers it knows them.
 */
#include "hyperv.h"

#define OS_ID                                                                                      \
    (HYPERV__OS_OPEN_SOURCE | (uint64_t)(VMI_API_MAJOR << 16 | VMI_API_MINOR)                      \
                                  << HYPERV__OS_VERSION_SHIFT)

extern const char vmi__hyperv_hypercall_page[]; /* hypercall_page.S */

struct vmi__hyperv_cpu vmi__hyperv_cpus[VMI_BOOT_INFO_MAX_CPUS];

static void give_page(uint32_t index, const void *page)
{
    vmi__wrmsr(index, vmi__physical(page) | HYPERV__ENABLED);
}

void vmi__native_cpu_identified(uint32_t number)
{
    struct vmi__hyperv_cpu *cpu = &vmi__hyperv_cpus[number];

    if (cpu->ready)
        return;
    /* A timer that was set before a reset is none of the CPU's any more. */
    if (vmi__hyperv_uses(HYPERV__DIRECT_TIMER))
        vmi__wrmsr(HYPERV__MSR_TIMER0_CONFIG, 0);
    if (vmi__hyperv_uses(HYPERV__VP_INDEX))
        cpu->index = (uint32_t)vmi__rdmsr(HYPERV__MSR_VP_INDEX);
    if (vmi__hyperv_uses(HYPERV__VP_ASSIST))
        give_page(HYPERV__MSR_VP_ASSIST_PAGE, &vmi__hyperv_assists[number]);
    cpu->ready = true;
}

void vmi__native_cpu_forgotten(uint32_t number)
{
    struct vmi__hyperv_cpu *cpu = &vmi__hyperv_cpus[number];

    cpu->ready = false;
    cpu->alarm_set = false;
    cpu->timer_config = 0;
    cpu->lvtt = VMI__APIC_LVT_MASKED;
}

void vmi__hyperv_partition_init(void)
{
    if (vmi__hyperv_uses(HYPERV__HYPERCALL)) {
        vmi__wrmsr(HYPERV__MSR_GUEST_OS_ID, OS_ID);
        give_page(HYPERV__MSR_HYPERCALL, vmi__hyperv_hypercall_page);
    }
    if (vmi__hyperv_uses(HYPERV__REFERENCE_TSC))
        give_page(HYPERV__MSR_REFERENCE_TSC, &vmi__hyperv_reference_tsc);
    vmi__native_cpu_identified(0);
}

uint64_t vmi__hyperv_processors(uint32_t *mask, uint32_t base)
{
    uint64_t processors = 0;
    uint32_t i;

    for (i = 0; i < 32 && *mask >> i; i++) {
        const struct vmi__hyperv_cpu *cpu = &vmi__hyperv_cpus[base + i];

        if (!(*mask & 1u << i))
            continue;
        if (cpu->ready && cpu->index < HYPERV__MASK_PROCESSORS)
            processors |= 1ull << cpu->index;
        else
            *mask &= ~(1u << i);
    }
    return processors;
}

bool vmi__hyperv_exist(uint32_t mask, uint32_t base)
{
    uint32_t count = vmi__boot.cpu_count;

    if (!mask)
        return true;
    return base < count && (uint64_t)mask << base < 1ull << count;
}
