/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Interrupts between CPUs, their end, and waiting.
 */
#include <hyperv/hypercalls.h>
#include "hyperv.h"
#include <hyperv/routines.h>
#include <native/routines.h>

#define VECTOR_FIRST 32
#define VECTOR_LAST  255

/* ---- end of interrupt (TLFS, Virtual Interrupts) --------------------------------------------- */

/*
 * The hypervisor sets the bit when it delivers an interrupt whose end it need not hear of; clearing
 * it is the end then. One instruction, so that nothing comes between test and clearing on this CPU,
 * and the hypervisor looks only when the CPU is out.
 */
static bool ended_in_memory(void)
{
    bool was_set;

    if (!vmi__hyperv_uses(HYPERV__VP_ASSIST))
        return false;
    __asm__ volatile("btrl %2, %1"
                     : "=@ccc"(was_set), "+m"(vmi__hyperv_assists[vmi__native_cpu()].eoi)
                     : "i"(HYPERV__NO_EOI_BIT)
                     : "memory");
    return was_set;
}

static void end(void)
{
    if (ended_in_memory())
        return;
    if (vmi__hyperv_uses(HYPERV__APIC_MSRS))
        vmi__wrmsr(HYPERV__MSR_EOI, 0);
    else
        vmi__native_apic_write(VMI_APIC_EOI, 0);
}

VMI__ROUTINE void vmi__hyperv_end_of_interrupt(uint32_t vector)
{
    if (!vmi__native_pic_end(vector))
        end();
    vmi__hyperv_alarm_ended(vector);
    vmi__native_interrupt_ended(vector);
}

VMI__ROUTINE void vmi__hyperv_apic_write(uint32_t reg, uint32_t value)
{
    reg &= 0xfff;
    if (reg == VMI_APIC_EOI) {
        end();
        return;
    }
    vmi__native_apic_write(reg, value);
    if (reg == VMI_APIC_LVTT)
        vmi__hyperv_alarm_lvtt(value);
}

/* ---- to other CPUs --------------------------------------------------------------------------- */

VMI__ROUTINE int32_t vmi__hyperv_send_ipi(uint32_t mask, uint32_t base, uint32_t vector)
{
    uint32_t told = mask;
    uint64_t processors;

    if (!vmi__hyperv_uses(HYPERV__CLUSTER_IPI))
        return vmi__native_send_ipi(mask, base, vector);
    if (vector < VECTOR_FIRST || vector > VECTOR_LAST || !vmi__hyperv_exist(mask, base))
        return VMI_EINVAL;
    processors = vmi__hyperv_processors(&told, base);
    if (processors &&
        ((uint32_t)vmi__hyperv_hypercall_send_synthetic_cluster_ipi(0, vector, processors) &
         HYPERV__STATUS_MASK) == HYPERV__STATUS_SUCCESS)
        mask &= ~told;
    /* Those that the hypercall has no name for. */
    return vmi__native_send_ipi(mask, base, vector);
}

/* ---- waiting --------------------------------------------------------------------------------- */

VMI__ROUTINE void vmi__hyperv_yield(void)
{
    struct vmi__hyperv_cpu *cpu;

    vmi__pause();
    if (!vmi__hyperv_uses(HYPERV__SPIN_WAIT))
        return;
    cpu = vmi__hyperv_this_cpu();
    if (++cpu->spins < vmi__hyperv_spins)
        return;
    vmi__hyperv_hypercall_notify_long_spin_wait(0, cpu->spins);
    cpu->spins = 0;
}
