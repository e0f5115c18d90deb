/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which CPU is calling, and what KVM is told of each.
 *
 * The APIC knows, but reading it leaves the guest, as CPUID does. STR and SGDT do not, and a
 * processor refuses to load a TSS descriptor that another one has loaded already (Intel SDM vol.
 * 2A, LTR: it must not be busy), so its linear address tells CPUs apart whether they share a GDT or
 * not.
 */
#include "kvm.h"
#include <kvm/routines.h>

#define SELECTOR_INDEX 0xfff8u

struct vmi__kvm_cpu vmi__kvm_cpus[VMI_BOOT_INFO_MAX_CPUS];

/* Linear address of the TSS descriptor that this CPU has loaded, 0 if it has none. */
static uint32_t tss_descriptor(void)
{
    uint32_t selector;
    struct vmi_dtr gdt;

    __asm__ volatile("str %0" : "=r"(selector) : : "memory");
    selector &= SELECTOR_INDEX;
    if (!selector)
        return 0;
    __asm__ volatile("sgdt %0" : "=m"(gdt));
    return gdt.base + selector;
}

/* Gives KVM the addresses of this CPU's structures. */
static void enable(struct vmi__kvm_cpu *cpu)
{
    if (vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE2))
        vmi__wrmsr(KVM__MSR_SYSTEM_TIME, vmi__physical(&cpu->time) | KVM__MSR_ENABLED);
    else if (vmi__kvm_uses(KVM__FEATURE_CLOCKSOURCE))
        vmi__wrmsr(KVM__MSR_SYSTEM_TIME_OLD, vmi__physical(&cpu->time) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_STEAL_TIME))
        vmi__wrmsr(KVM__MSR_STEAL_TIME, vmi__physical(&cpu->steal) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_PV_EOI))
        vmi__wrmsr(KVM__MSR_PV_EOI, vmi__physical((const void *)&cpu->eoi) | KVM__MSR_ENABLED);
    if (vmi__kvm_uses(KVM__FEATURE_POLL_CONTROL))
        vmi__wrmsr(KVM__MSR_POLL_CONTROL, 0);
    cpu->ready = true;
}

/* This CPU will be known by its TSS descriptor. Whoever had it before cannot have it any more. */
static void remember(struct vmi__kvm_cpu *cpu, uint32_t tss)
{
    uint32_t i;

    for (i = 0; i < vmi__boot.cpu_count; i++) {
        if (&vmi__kvm_cpus[i] != cpu && vmi__kvm_cpus[i].tss == tss)
            vmi__kvm_cpus[i].tss = 0;
    }
    cpu->tss = tss;
}

/* The slow way, by the APIC. A CPU that comes here for the first time gets its structures. */
static struct vmi__kvm_cpu *identify(uint32_t tss)
{
    uint32_t flags = vmi__irq_save();
    struct vmi__kvm_cpu *cpu = &vmi__kvm_cpus[vmi__native_cpu_by_apic()];

    if (!cpu->ready)
        enable(cpu);
    remember(cpu, tss);
    vmi__irq_restore(flags);
    return cpu;
}

struct vmi__kvm_cpu *vmi__kvm_this_cpu(void)
{
    uint32_t i, tss;

    if (vmi__native_cpus_started == 1)
        return &vmi__kvm_cpus[0];
    tss = tss_descriptor();
    if (tss) {
        for (i = 0; i < vmi__boot.cpu_count; i++) {
            if (vmi__kvm_cpus[i].tss == tss)
                return &vmi__kvm_cpus[i];
        }
    }
    return identify(tss);
}

void vmi__kvm_cpu_init(void)
{
    enable(&vmi__kvm_cpus[0]);
}

VMI__ROUTINE void vmi__kvm_set_tr(uint32_t selector)
{
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
    identify(tss_descriptor());
}

VMI__ROUTINE void vmi__kvm_set_gdt(const struct vmi_dtr *dtr)
{
    uint32_t flags = vmi__irq_save();
    struct vmi__kvm_cpu *cpu = tss_descriptor() ? vmi__kvm_this_cpu() : 0;

    __asm__ volatile("lgdt %0" : : "m"(*dtr) : "memory");
    if (cpu)
        remember(cpu, tss_descriptor());
    vmi__irq_restore(flags);
}
