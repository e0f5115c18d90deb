/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Which CPU is calling, without asking the APIC, which leaves the guest under a hypervisor, as
 * CPUID does. STR and SGDT do not, and a processor refuses to load a TSS descriptor that another
 * one has loaded already (Intel SDM vol. 2A, LTR: it must not be busy), so its linear address tells
 * CPUs apart whether they share a GDT or not.
 */
#include "../../native.h"

#define SELECTOR_INDEX 0xfff8u

/* Linear address of the TSS descriptor that each CPU's TR names; 0 if it names none. */
static volatile uint32_t tss_few[VMI__CPUS_FEW], *tss_more;

static volatile uint32_t *tss_of(uint32_t cpu)
{
    return VMI__CPU_ROW(tss_few, tss_more, cpu);
}

void vmi__native_cpu_by_tss_init(void)
{
    tss_more = vmi__cpu_rows(sizeof(*tss_more));
}

/* That of this CPU. */
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

/* This CPU will be known by its TSS descriptor. Whoever had it before cannot have it any more. */
static void note(uint32_t cpu, uint32_t tss)
{
    uint32_t i;

    for (i = 0; i < vmi__boot.cpu_count; i++) {
        if (i != cpu && *tss_of(i) == tss)
            *tss_of(i) = 0;
    }
    *tss_of(cpu) = tss;
}

/* The slow way, by the APIC. */
static uint32_t identify(uint32_t tss)
{
    uint32_t flags = vmi__irq_save();
    uint32_t cpu = vmi__native_cpu_by_apic();

    vmi__native_cpu_identified(cpu);
    note(cpu, tss);
    vmi__irq_restore(flags);
    return cpu;
}

uint32_t vmi__native_cpu_by_tss(void)
{
    uint32_t i, tss;

    if (vmi__native_cpus_started == 1)
        return 0;
    tss = tss_descriptor();
    if (tss) {
        for (i = 0; i < vmi__boot.cpu_count; i++) {
            if (*tss_of(i) == tss)
                return i;
        }
    }
    return identify(tss);
}

void vmi__native_cpu_forget(uint32_t cpu)
{
    *tss_of(cpu) = 0;
    vmi__native_cpu_forgotten(cpu);
}

VMI__ROUTINE void vmi__native_set_tr_noted(uint32_t selector)
{
    __asm__ volatile("ltr %w0" : : "r"(selector) : "memory");
    identify(tss_descriptor());
}

VMI__ROUTINE void vmi__native_set_gdt_noted(const struct vmi_dtr *dtr)
{
    uint32_t flags = vmi__irq_save();
    bool known = tss_descriptor() != 0;
    uint32_t cpu = known ? vmi__native_cpu_by_tss() : 0;

    __asm__ volatile("lgdt %0" : : "m"(*dtr) : "memory");
    if (known)
        note(cpu, tss_descriptor());
    vmi__irq_restore(flags);
}
