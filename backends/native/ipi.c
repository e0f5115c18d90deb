/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * SendIPI and SendNMI, by the local APIC's interrupt command. Source: Intel SDM vol. 3A, 11.6.
 */
#include "native.h"
#include <native/routines.h>

/*
 * One command for all where that names no others: a CPU that has not been started may be in the
 * firmware's hands.
 */
static bool one_for_all(uint32_t bits)
{
    return bits >= VMI_CPUS_ALL_BUT_SELF && !vmi__native_cpus_unlisted &&
           vmi__native_cpus_started == vmi__boot.cpu_count && vmi__native_cpus_started > 1;
}

/* ALL or ALL_BUT_SELF by shorthands. */
static bool command_all(uint32_t bits, uint32_t command)
{
    bool fixed = (command & ~0xffu) == VMI__ICR_FIXED;

    if (bits == VMI_CPUS_ALL && fixed)
        return vmi__native_apic_command(0, command | VMI__ICR_ALL);
    return vmi__native_apic_command(0, command | VMI__ICR_ALL_BUT_SELF) &&
           (bits != VMI_CPUS_ALL || vmi__native_apic_command(vmi__native_apic_id(), command));
}

int32_t vmi__native_interrupt(const uint32_t *set, uint32_t bits, uint32_t command)
{
    uint32_t flags, self, cpu;
    bool sent = true;

    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    /* Else the calling CPU might become another one. */
    flags = vmi__irq_save();
    if (one_for_all(bits)) {
        sent = command_all(bits, command);
    } else {
        self = bits == VMI_CPUS_ALL_BUT_SELF ? vmi__native_cpu() : 0;
        for (cpu = 0; (cpu = vmi__cpu_set_next(set, bits, self, cpu)) < vmi__boot.cpu_count; cpu++)
            sent &= !vmi__native_cpu_runs(cpu) ||
                    vmi__native_apic_command(vmi__boot.cpus[cpu].apic_id, command);
    }
    vmi__irq_restore(flags);
    return sent ? VMI_OK : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__native_send_ipi(const uint32_t *set, uint32_t bits, uint32_t vector)
{
    if (vector < 32 || vector > 255)
        return VMI_EINVAL;
    return vmi__native_interrupt(set, bits, VMI__ICR_FIXED | vector);
}

VMI__ROUTINE int32_t vmi__native_send_nmi(const uint32_t *set, uint32_t bits)
{
    return vmi__native_interrupt(set, bits, VMI__ICR_NMI);
}
