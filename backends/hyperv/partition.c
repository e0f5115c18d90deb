/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What the hypervisor is told of the partition and of each CPU, and by which numbers it knows them.
 */
#include "hyperv.h"

#define OS_ID                                                                                      \
    (HYPERV__OS_OPEN_SOURCE | (uint64_t)(VMI_API_MAJOR << 16 | VMI_API_MINOR)                      \
                                  << HYPERV__OS_VERSION_SHIFT)

extern const char vmi__hyperv_hypercall_page[]; /* hypercall_page.S */

struct vmi__hyperv_cpu vmi__hyperv_cpus[VMI__CPUS_FEW], *vmi__hyperv_cpus_more;

static void give_page(uint32_t index, const void *page)
{
    vmi__wrmsr(index, vmi__physical(page) | HYPERV__ENABLED);
}

void vmi__native_cpu_identified(uint32_t number)
{
    struct vmi__hyperv_cpu *cpu = vmi__hyperv_cpu(number);

    if (cpu->ready)
        return;
    /* A timer that was set before a reset is none of the CPU's any more. */
    if (vmi__hyperv_uses(HYPERV__DIRECT_TIMER))
        vmi__wrmsr(HYPERV__MSR_TIMER0_CONFIG, 0);
    if (vmi__hyperv_uses(HYPERV__VP_INDEX))
        cpu->index = (uint32_t)vmi__rdmsr(HYPERV__MSR_VP_INDEX);
    if (cpu->assist)
        give_page(HYPERV__MSR_VP_ASSIST_PAGE, cpu->assist);
    cpu->ready = true;
}

void vmi__native_cpu_forgotten(uint32_t number)
{
    struct vmi__hyperv_cpu *cpu = vmi__hyperv_cpu(number);

    cpu->ready = false;
    if (cpu->assist)
        cpu->assist->eoi = 0;
    cpu->alarm_set = false;
    cpu->timer_config = 0;
    cpu->lvtt = VMI__APIC_LVT_MASKED;
}

/* A page for each CPU. Without, a CPU's interrupts end as they do on a PC. */
static void place_assists(void)
{
    struct vmi__hyperv_assist *more =
        vmi__memory_table(vmi__boot.cpu_count - 1, sizeof(struct vmi__hyperv_assist));
    uint32_t i;

    vmi__hyperv_cpu(0)->assist = &vmi__hyperv_first_assist;
    for (i = 1; more && i < vmi__boot.cpu_count; i++)
        vmi__hyperv_cpu(i)->assist = &more[i - 1];
}

void vmi__hyperv_partition_init(void)
{
    vmi__hyperv_cpus_more = vmi__cpu_rows(sizeof(*vmi__hyperv_cpus_more));
    if (vmi__hyperv_uses(HYPERV__VP_ASSIST))
        place_assists();
    if (vmi__hyperv_uses(HYPERV__HYPERCALL)) {
        vmi__wrmsr(HYPERV__MSR_GUEST_OS_ID, OS_ID);
        give_page(HYPERV__MSR_HYPERCALL, vmi__hyperv_hypercall_page);
    }
    if (vmi__hyperv_uses(HYPERV__REFERENCE_TSC))
        give_page(HYPERV__MSR_REFERENCE_TSC, &vmi__hyperv_reference_tsc);
    vmi__native_cpu_identified(0);
}

bool vmi__hyperv_has_place(uint32_t number)
{
    const struct vmi__hyperv_cpu *cpu = vmi__hyperv_cpu(number);

    return cpu->ready &&
           cpu->index < HYPERV__MASK_PROCESSORS *
                            (vmi__hyperv_uses(HYPERV__SPARSE_SETS) ? HYPERV__BANKS : 1u);
}

uint32_t vmi__hyperv_processors(const uint32_t *set, uint32_t bits, uint32_t self,
                                uint64_t banks[HYPERV__BANKS])
{
    uint32_t cpu, index, without = 0;

    memset(banks, 0, HYPERV__BANKS * sizeof(*banks));
    for (cpu = 0; (cpu = vmi__cpu_set_next(set, bits, self, cpu)) < vmi__boot.cpu_count; cpu++) {
        if (!vmi__native_cpu_runs(cpu))
            continue;
        if (!vmi__hyperv_has_place(cpu)) {
            without++;
            continue;
        }
        index = vmi__hyperv_cpu(cpu)->index;
        banks[index / HYPERV__MASK_PROCESSORS] |= 1ull << index % HYPERV__MASK_PROCESSORS;
    }
    return without;
}

void vmi__hyperv_fill_set(struct hyperv__set *set, const uint64_t banks[HYPERV__BANKS])
{
    set->format = 0;
    set->banks_valid = HYPERV__BANKS_VALID;
    memcpy(set->banks, banks, sizeof(set->banks));
}
