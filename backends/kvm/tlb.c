/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Translations on other CPUs.
 *
 * A virtual CPU that the host has preempted uses no translations, and KVM flushes all of its before
 * it runs again if it is asked to in its steal time. A running one must do it itself, and the
 * vector for asking it is the kernel's to choose. So the call says 0 when all of the set are of the
 * first kind, and ENOSYS else. A kernel that wants to interrupt only those that run asks CPU by
 * CPU: that costs no exits. (A halted CPU shows as preempted or not by the version of Linux; 6.1
 * does not mark it.)
 */
#include "kvm.h"
#include <kvm/routines.h>

#include "tlb.h"

/* More pages than this are not worth dropping one by one. */
#define PAGES_MAX 32

static void flush_here(uintptr_t address, uint32_t pages)
{
    uintptr_t cr4 = vmi__tlb_cr4();

    if (pages == 0 || pages > PAGES_MAX || cr4 & VMI__CR4_PCIDE) {
        vmi__tlb_drop_all(cr4, pages != 0);
        return;
    }
    for (; pages; pages--, address += 4096)
        __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* Asks KVM to flush before that CPU runs again. False if it is running. */
static bool flush_later(struct vmi__kvm_cpu *cpu)
{
    volatile uint8_t *state = &cpu->steal.preempted;
    uint8_t seen = *state;

    /* KVM replaces the whole byte when the CPU comes back; a failed exchange says that it has. */
    return (seen & KVM__PREEMPTED) &&
           __sync_bool_compare_and_swap(state, seen, (uint8_t)(seen | KVM__FLUSH_TLB));
}

/* The CPUs of a set that run, but this one. */
struct others {
    const uint32_t *set;
    uint32_t bits, self;
};

/* The next of them from a number on; 0 behind the last. */
static struct vmi__kvm_cpu *next_other(const struct others *others, uint32_t *number)
{
    uint32_t cpu = *number;

    for (; (cpu = vmi__cpu_set_next(others->set, others->bits, others->self, cpu)) <
           vmi__boot.cpu_count;
         cpu++) {
        if (cpu == others->self || !vmi__native_cpu_runs(cpu))
            continue;
        *number = cpu + 1;
        return vmi__kvm_cpu(cpu);
    }
    return 0;
}

static bool preempted(const struct vmi__kvm_cpu *cpu)
{
    return *(const volatile uint8_t *)&cpu->steal.preempted & KVM__PREEMPTED;
}

VMI__ROUTINE int32_t vmi__kvm_flush_remote_tlb(const uint32_t *set, uint32_t bits,
                                               uintptr_t address, uint32_t pages)
{
    struct others others = {set, bits, 0};
    struct vmi__kvm_cpu *cpu;
    uint32_t interrupts, next;

    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    interrupts = vmi__irq_save();
    others.self = vmi__native_cpu();
    if (vmi__cpu_set_next(set, bits, others.self, others.self) == others.self)
        flush_here(address, pages);
    vmi__irq_restore(interrupts);
    next = 0;
    if (!vmi__kvm_uses(KVM__FEATURE_PV_TLB_FLUSH))
        return next_other(&others, &next) ? VMI_ENOSYS : VMI_OK;
    /* Nobody is asked in vain: if one is running, the kernel interrupts them all. */
    while ((cpu = next_other(&others, &next))) {
        if (!preempted(cpu))
            return VMI_ENOSYS;
    }
    for (next = 0; (cpu = next_other(&others, &next));) {
        if (!flush_later(cpu))
            return VMI_ENOSYS;
    }
    return VMI_OK;
}
