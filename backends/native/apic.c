/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The local APIC, by its page or, in x2APIC mode, by MSRs. Source: Intel SDM vol. 3A, 11.4 to 11.6
 * and 11.12.
 */
#include "native.h"

#define CPUID_1_EDX_APIC       (1u << 9)
#define CPUID_1_EBX_APIC_SHIFT 24 /* the identifier that the APIC had at reset */

#define LVT_NMI     0x400
#define ICR_PENDING 0x1000

/* Polls after which a command that does not leave is given up. */
#define POLLS_MAX (1u << 20)

volatile char *vmi__native_apic = (volatile char *)(VMI__WINDOW_BASE + VMI__APIC_SLOT * 4096);
bool vmi__native_x2apic;

const struct vmi__native_published *vmi__native_published;

uint32_t vmi__native_cpus_started = 1;

static bool runs[VMI__CPUS_FEW] = {true}, *runs_more;

void vmi__native_cpus_listed(void)
{
    runs_more = vmi__cpu_rows(sizeof(*runs_more));
}

volatile bool *vmi__native_cpu_noted(uint32_t cpu)
{
    return VMI__CPU_ROW(runs, runs_more, cpu);
}

bool vmi__native_cpu_runs(uint32_t cpu)
{
    return *vmi__native_cpu_noted(cpu);
}

void vmi__native_cpu_set_runs(uint32_t cpu, bool now)
{
    *vmi__native_cpu_noted(cpu) = now;
}

/* Enables the APIC in the mode that is to be, one step after the other (11.12.5.1). */
static void enable(void)
{
    struct vmi__cpuid features = vmi__cpuid(1, 0);
    uint64_t base;

    if (!(features.edx & CPUID_1_EDX_APIC))
        vmi__fatal("the processor has no local APIC, or the firmware has turned it off");
    base = vmi__rdmsr(VMI__MSR_APIC_BASE);
    if (base & VMI__APIC_BASE_X2APIC && !(features.ecx & VMI__CPUID_1_ECX_X2APIC))
        vmi__fatal("the local APIC is in x2APIC mode, which the processor does not offer");
    vmi__native_x2apic =
        base & VMI__APIC_BASE_X2APIC ||
        (features.ecx & VMI__CPUID_1_ECX_X2APIC && features.ecx & VMI__CPUID_1_ECX_HYPERVISOR);
    base |= VMI__APIC_BASE_ENABLE;
    vmi__wrmsr(VMI__MSR_APIC_BASE, base);
    if (vmi__native_x2apic)
        vmi__wrmsr(VMI__MSR_APIC_BASE, base | VMI__APIC_BASE_X2APIC);
    else
        vmi__window_map(VMI__APIC_SLOT, base & VMI__APIC_BASE_ADDRESS);
}

int32_t vmi__native_rebind(uint32_t without)
{
    if (!vmi__native_x2apic)
        return VMI_OK;
    if (without & VMI_FEATURE_X2APIC)
        return VMI_EBUSY;
    return vmi__cpuid(1, 0).ecx & VMI__CPUID_1_ECX_X2APIC ? VMI_OK : VMI_ENODEV;
}

void vmi__native_apic_init(void)
{
    enable();
    vmi__native_apic_write(VMI_APIC_LVTT, VMI__APIC_LVT_MASKED);
    vmi__native_apic_write(VMI__APIC_LVT_ERROR, VMI__APIC_LVT_MASKED);
    vmi__native_apic_write(VMI__APIC_LVT_LINT1, LVT_NMI);
    vmi__native_apic_write(VMI_APIC_TPR, 0);
    vmi__native_apic_write(VMI_APIC_SVR, VMI__APIC_SVR_ENABLE | VMI__APIC_SPURIOUS);
}

uint32_t vmi__native_apic_id(void)
{
    if (vmi__native_x2apic)
        return (uint32_t)vmi__rdmsr(VMI__MSR_X2APIC_ID);
    /* The client may not have mapped the APIC yet. */
    if (vmi__native_published)
        return vmi__cpuid(1, 0).ebx >> CPUID_1_EBX_APIC_SHIFT;
    return vmi__native_apic_read(VMI_APIC_ID) >> 24;
}

uint32_t vmi__native_cpu_by_apic(void)
{
    uint32_t cpu;

    if (vmi__native_cpus_started == 1)
        return 0;
    cpu = vmi__cpu_by_apic_id(vmi__native_apic_id());
    return cpu < vmi__boot.cpu_count ? cpu : 0;
}

/*
 * What this CPU has stored before is there for the one that is interrupted: a write to these MSRs
 * waits for nothing (11.12.3).
 */
static void command_by_msr(uint32_t apic_id, uint32_t command)
{
    __asm__ volatile("mfence; lfence" : : : "memory");
    vmi__wrmsr(VMI__MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
}

bool vmi__native_apic_command(uint32_t apic_id, uint32_t command)
{
    uint32_t flags, polls = 0;
    bool idle;

    if (vmi__native_x2apic) {
        command_by_msr(apic_id, command);
        return true;
    }
    /* An interrupt between the two writes might send a command of its own. */
    flags = vmi__irq_save();
    while (!(idle = !(vmi__native_apic_read(VMI_APIC_ICR_LOW) & ICR_PENDING)) &&
           ++polls < POLLS_MAX)
        vmi__pause();
    if (idle) {
        vmi__native_apic_write(VMI_APIC_ICR_HIGH, apic_id << 24);
        vmi__native_apic_write(VMI_APIC_ICR_LOW, command);
    }
    vmi__irq_restore(flags);
    return idle;
}
