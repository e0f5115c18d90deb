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
    struct vmi__hyperv_assist *assist;
    bool was_set;

    assist = vmi__hyperv_this_cpu()->assist;
    if (!assist)
        return false;
    __asm__ volatile("btrl %2, %1"
                     : "=@ccc"(was_set), "+m"(assist->eoi)
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
    vmi__native_apic_write_any(reg, value);
    if (reg == VMI_APIC_LVTT)
        vmi__hyperv_alarm_lvtt(value);
}

/* ---- to other CPUs --------------------------------------------------------------------------- */

/* Interrupts the virtual processors of the banks by one hypercall; false if that is refused. */
static bool send(const uint64_t banks[HYPERV__BANKS], uint32_t vector)
{
    struct hyperv__ipi_set *input;
    uint32_t result;

    if (!vmi__hyperv_needs_set(banks)) {
        result = banks[0] ? (uint32_t)vmi__hyperv_hypercall_send_synthetic_cluster_ipi(0, vector,
                                                                                       banks[0])
                          : HYPERV__STATUS_SUCCESS;
    } else {
        input = &vmi__hyperv_this_cpu()->input.ipi_set;
        input->vector = vector;
        input->reserved = 0;
        vmi__hyperv_fill_set(&input->processors, banks);
        result = (uint32_t)vmi__hyperv_hypercall_send_synthetic_cluster_ipi_ex(
            0, vmi__physical(input), 0);
    }
    return (result & HYPERV__STATUS_MASK) == HYPERV__STATUS_SUCCESS;
}

VMI__ROUTINE int32_t vmi__hyperv_send_ipi(const uint32_t *set, uint32_t bits, uint32_t vector)
{
    uint32_t flags, self, without, cpu = 0;
    uint64_t banks[HYPERV__BANKS];
    bool sent, done = true;

    if (!vmi__hyperv_uses(HYPERV__CLUSTER_IPI))
        return vmi__native_send_ipi(set, bits, vector);
    if (vector < VECTOR_FIRST || vector > VECTOR_LAST || !vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    flags = vmi__irq_save();
    self = vmi__native_cpu();
    without = vmi__hyperv_processors(set, bits, self, banks);
    sent = send(banks, vector);
    /* Those that the hypercall has no name for, or all. */
    for (; (!sent || without) &&
           (cpu = vmi__cpu_set_next(set, bits, self, cpu)) < vmi__boot.cpu_count;
         cpu++) {
        if (vmi__native_cpu_runs(cpu) && !(sent && vmi__hyperv_has_place(cpu)))
            done &= vmi__native_apic_command(vmi__boot.cpus[cpu].apic_id, VMI__ICR_FIXED | vector);
    }
    vmi__irq_restore(flags);
    return done ? VMI_OK : VMI_EIO;
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
