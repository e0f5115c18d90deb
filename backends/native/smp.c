/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SetInitialAPState: INIT and STARTUP interrupts to a trampoline, which brings the CPU to paging
 * and then into the state that the kernel has given. Source: Intel SDM vol. 3A, 9.4.4.
 */
#include "native.h"
#include "smp.h"
#include <native/routines.h>

#define LOW_MEMORY_END 0xa0000

#define ICR_INIT 0x4500 /* asserted */

#define INIT_MICROSECONDS    10000
#define STARTUP_MICROSECONDS 200
#define UP_POLLS             10000 /* of 100 us each */
#define UP_MICROSECONDS      100

#define CR0_PE  0x00000001u
#define CR0_PG  0x80000000u
#define CR4_PAE 0x00000020u

#define EFER_SCE 0x001u
#define EFER_NXE 0x800u

#define CPUID_EXTENDED         0x80000001u
#define CPUID_EXTENDED_SYSCALL (1u << 11)
#define CPUID_EXTENDED_NX      (1u << 20)

static uint32_t trampoline; /* physical address, 0 if there is none */
static bool started[VMI_BOOT_INFO_MAX_CPUS];
static volatile uint32_t busy;

void vmi__native_smp_init(void)
{
    if (vmi__boot.cpu_count == 1)
        return;
    trampoline = vmi__memory_claim(4096, LOW_MEMORY_END);
    if (!trampoline || !vmi__native_smp_arch_place(trampoline)) {
        vmi__boot.cpu_count = 1;
        return;
    }
    vmi__native_ap_apic = vmi__native_apic;
}

bool vmi__native_smp_acceptable(const struct vmi_ap_state *state)
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

void vmi__native_smp_leave(const struct vmi_ap_state *state)
{
    vmi__native_ap_state = *state;
    vmi__native_ap_idtr.limit = state->idtr_limit;
    vmi__native_ap_idtr.base = state->idtr_base;
    vmi__native_ap_sets_efer = state->efer != 0;
    vmi__native_ap_up = 0;
}

bool vmi__native_smp_comes_up(uint32_t polls)
{
    while (!vmi__native_ap_up && polls--)
        vmi__native_delay(UP_MICROSECONDS);
    return vmi__native_ap_up;
}

static int32_t start(uint32_t apic_id)
{
    uint32_t startup = VMI__ICR_STARTUP | trampoline >> 12;

    if (!vmi__native_apic_command(apic_id, ICR_INIT))
        return VMI_EIO;
    vmi__native_delay(INIT_MICROSECONDS);
    if (!vmi__native_apic_command(apic_id, startup))
        return VMI_EIO;
    if (vmi__native_smp_comes_up(STARTUP_MICROSECONDS / UP_MICROSECONDS))
        return VMI_OK;
    /* The first may be lost. */
    if (!vmi__native_apic_command(apic_id, startup))
        return VMI_EIO;
    return vmi__native_smp_comes_up(UP_POLLS) ? VMI_OK : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__native_set_initial_ap_state(const struct vmi_ap_state *state,
                                                      uint32_t apic_id)
{
    uint32_t cpu = 0;
    int32_t result;

    while (cpu < vmi__boot.cpu_count && vmi__boot.apic_id[cpu] != apic_id)
        cpu++;
    if (cpu == vmi__boot.cpu_count || !(state->cr4 & CR4_PAE) || !vmi__native_smp_acceptable(state))
        return VMI_EINVAL;

    while (__sync_lock_test_and_set(&busy, 1))
        vmi__pause();
    result = VMI_EBUSY;
    if (cpu != 0 && !started[cpu]) {
        vmi__native_smp_arch_prepare(state, cpu);
        vmi__native_smp_leave(state);
        /* Before it runs: from then on the clock must hold for more than one. */
        __sync_fetch_and_add(&vmi__native_cpus_started, 1);
        result = start(apic_id);
        started[cpu] = result == VMI_OK;
        if (result != VMI_OK)
            __sync_fetch_and_sub(&vmi__native_cpus_started, 1);
    }
    __sync_lock_release(&busy);
    return result;
}
