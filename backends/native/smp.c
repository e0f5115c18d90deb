/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetInitialAPState: what is the same however a CPU is woken (vmi__native_smp_start). CPUState.
 */
#include "native.h"
#include "smp.h"
#include "startup.h"
#include <native/routines.h>

#define CR0_PE  0x00000001u
#define CR0_PG  0x80000000u
#define CR4_PAE 0x00000020u

#define EFER_SCE 0x001u
#define EFER_NXE 0x800u

#define CPUID_EXTENDED         0x80000001u
#define CPUID_EXTENDED_SYSCALL (1u << 11)
#define CPUID_EXTENDED_NX      (1u << 20)

static volatile uint32_t busy;

VMI__RUN_ONCE bool vmi__native_smp_acceptable(const struct vmi_ap_state *state)
{
    uint32_t efer_bits = 0;

    if (vmi__cpuid(0x80000000u, 0).eax >= CPUID_EXTENDED) {
        uint32_t features = vmi__cpuid(CPUID_EXTENDED, 0).edx;

        efer_bits |= features & CPUID_EXTENDED_SYSCALL ? EFER_SCE : 0;
        efer_bits |= features & CPUID_EXTENDED_NX ? EFER_NXE : 0;
    }
    return (state->cr0 & (CR0_PG | CR0_PE)) == (CR0_PG | CR0_PE) &&
           !(state->efer & ~(uint64_t)efer_bits) && vmi__native_smp_arch_acceptable(state) &&
           state->cs > 3 && !(state->cs & 3) && state->ss > 3 && !(state->ss & 3);
}

VMI__RUN_ONCE void vmi__native_smp_leave(const struct vmi_ap_state *state)
{
    vmi__native_ap_state = *state;
    vmi__native_ap_idtr.limit = state->idtr_limit;
    vmi__native_ap_idtr.base = state->idtr_base;
    vmi__native_ap_sets_efer = state->efer != 0;
    vmi__native_ap_up = 0;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t
vmi__native_set_initial_ap_state(const struct vmi_ap_state *state, uint32_t apic_id)
{
    uint32_t cpu = vmi__cpu_by_apic_id(apic_id);
    int32_t result;

    if (cpu == vmi__boot.cpu_count || !(state->cr4 & CR4_PAE) || !vmi__native_smp_acceptable(state))
        return VMI_EINVAL;

    while (__sync_lock_test_and_set(&busy, 1))
        vmi__pause();
    result = VMI_EBUSY;
    if (!vmi__native_cpu_runs(cpu)) {
        vmi__native_smp_arch_prepare(state, cpu);
        vmi__native_smp_leave(state);
        vmi__native_alarm_forget(cpu);
        /* Before it runs: from then on the clock must hold for more than one. */
        __sync_fetch_and_add(&vmi__native_cpus_started, 1);
        result = vmi__native_smp_start(cpu);
        vmi__native_cpu_set_runs(cpu, result == VMI_OK);
        if (result != VMI_OK)
            __sync_fetch_and_sub(&vmi__native_cpus_started, 1);
    }
    __sync_lock_release(&busy);
    return result;
}

/* Nobody takes CPUs away. */
VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__native_cpu_state(uint32_t cpu)
{
    if (cpu >= vmi__boot.cpu_count)
        return VMI_ENOENT;
    return VMI_CPU_WANTED | (vmi__native_cpu_runs(cpu) ? VMI_CPU_RUNS : 0);
}
