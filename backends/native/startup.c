/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Wakes a CPU by INIT and STARTUP interrupts, which lead it to a trampoline: that brings it to
 * paging and then into the state that the kernel has given. Source: Intel SDM vol. 3A, 9.4.4.
 */
#include "startup.h"

#define LOW_MEMORY_END 0xa0000

#define INIT_MICROSECONDS 10000
#define STARTUP_POLLS     2 /* of 100 us each */

static uint32_t trampoline; /* physical address, 0 if there is none */

void vmi__native_smp_init(void)
{
    if (vmi__boot.cpu_count == 1)
        return;
    trampoline = vmi__memory_claim(4096, LOW_MEMORY_END);
    if (!trampoline || !vmi__native_startup_place(trampoline)) {
        vmi__boot.cpu_count = 1;
        return;
    }
    vmi__native_ap_apic = vmi__native_apic;
}

int32_t vmi__native_smp_start(uint32_t cpu)
{
    uint32_t startup = VMI__ICR_STARTUP | trampoline >> 12, apic_id = vmi__boot.cpus[cpu].apic_id;

    vmi__native_startup_tables();
    if (!vmi__native_apic_command(apic_id, VMI__ICR_INIT))
        return VMI_EIO;
    vmi__native_delay(INIT_MICROSECONDS);
    if (!vmi__native_apic_command(apic_id, startup))
        return VMI_EIO;
    if (vmi__native_smp_comes_up(STARTUP_POLLS))
        return VMI_OK;
    /* The first may be lost. */
    if (!vmi__native_apic_command(apic_id, startup))
        return VMI_EIO;
    return vmi__native_smp_comes_up(VMI__NATIVE_UP_POLLS) ? VMI_OK : VMI_EIO;
}
