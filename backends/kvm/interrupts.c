/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Interrupts between CPUs, their end, and waiting.
 */
#include <kvm/hypercalls.h>
#include "kvm.h"
#include <kvm/routines.h>
#include <native/routines.h>

#define VECTOR_FIRST 32
#define VECTOR_LAST  255

#define PORT_POST 0x80 /* a write to it takes about a microsecond on a PC */

/* ---- end of interrupt ------------------------------------------------------------------------ */

/*
 * One instruction, so that nothing comes between test and clearing on this CPU, and KVM looks only
 * when the CPU is out.
 */
bool vmi__kvm_ended_in_memory(void)
{
    bool was_set;

    if (!vmi__kvm_uses(KVM__FEATURE_PV_EOI))
        return false;
    __asm__ volatile("btrl %2, %1"
                     : "=@ccc"(was_set), "+m"(vmi__kvm_this_cpu()->eoi)
                     : "i"(KVM__EOI_BIT)
                     : "memory");
    return was_set;
}

VMI__ROUTINE void vmi__kvm_end_of_interrupt(uint32_t vector)
{
    if (!vmi__native_pic_end(vector) && !vmi__kvm_ended_in_memory())
        vmi__native_apic_write(VMI_APIC_EOI, 0);
    vmi__native_interrupt_ended(vector);
}

VMI__ROUTINE void vmi__kvm_apic_write(uint32_t reg, uint32_t value)
{
    reg &= 0xfff;
    if (reg != VMI_APIC_EOI || !vmi__kvm_ended_in_memory())
        vmi__native_apic_write(reg, value);
}

/* ---- to other CPUs --------------------------------------------------------------------------- */

/* Does every CPU of the set exist? */
static bool exist(uint32_t mask, uint32_t base)
{
    uint32_t count = vmi__boot.cpu_count;

    if (!mask)
        return true;
    return base < count && (uint64_t)mask << base < 1ull << count;
}

/* The hypercall's set is two of its words, whose width is the architecture's. */
#define ROW_WORD (8 * sizeof(uintptr_t))
#define ROW      (2 * ROW_WORD)

/*
 * Sends to those CPUs of the set whose APIC identifiers lie in one row of ROW from the lowest on,
 * and takes them out of the set. One hypercall.
 */
static void send_row(uint32_t *mask, uint32_t base, uint32_t vector)
{
    const uint32_t *apic_id = &vmi__boot.apic_id[base];
    uint32_t row = 0, lowest = ~0u;
    uintptr_t words[2] = {0, 0};
    uint32_t i;

    for (i = 0; i < 32; i++) {
        if (*mask & 1u << i && apic_id[i] < lowest)
            lowest = apic_id[i];
    }
    for (i = 0; i < 32; i++) {
        uint32_t bit = *mask & 1u << i ? apic_id[i] - lowest : ~0u;

        if (bit < ROW) {
            words[bit / ROW_WORD] |= (uintptr_t)1 << bit % ROW_WORD;
            row |= 1u << i;
        }
    }
    *mask &= ~row;
    if (vmi__kvm_hypercall_send_ipi(words[0], words[1], lowest, vector) < 0)
        vmi__native_send_ipi(row, base, vector);
}

VMI__ROUTINE int32_t vmi__kvm_send_ipi(uint32_t mask, uint32_t base, uint32_t vector)
{
    if (!vmi__kvm_uses(KVM__FEATURE_PV_SEND_IPI))
        return vmi__native_send_ipi(mask, base, vector);
    if (vector < VECTOR_FIRST || vector > VECTOR_LAST || !exist(mask, base))
        return VMI_EINVAL;
    while (mask)
        send_row(&mask, base, vector);
    return VMI_OK;
}

/* A kick of a CPU that is not halted yet ends its next HLT at once: KVM remembers it. */
VMI__ROUTINE int32_t vmi__kvm_kick(uint32_t cpu)
{
    if (cpu >= vmi__boot.cpu_count)
        return VMI_EINVAL;
    if (!vmi__kvm_uses(KVM__FEATURE_PV_UNHALT))
        return VMI_ENOSYS;
    return vmi__kvm_hypercall_kick_cpu(0, vmi__boot.apic_id[cpu]) == 0 ? VMI_OK : VMI_EIO;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/*
 * The preempted CPU that comes next after this one. Some versions of Linux mark halted CPUs as
 * preempted too, which gain nothing by being given time; so each is tried once for each time that
 * it has left its processor (KVM raises the version when it comes back).
 */
static bool find_preempted(uint32_t *found)
{
    uint32_t count = vmi__boot.cpu_count;
    uint32_t self = vmi__native_cpu(), i;

    for (i = 1; i < count; i++) {
        uint32_t number = self + i < count ? self + i : self + i - count;
        struct vmi__kvm_cpu *cpu = &vmi__kvm_cpus[number];
        uint32_t version = *(volatile uint32_t *)&cpu->steal.version;

        if (!(*(volatile uint8_t *)&cpu->steal.preempted & KVM__PREEMPTED) ||
            cpu->yielded == version)
            continue;
        cpu->yielded = version;
        *found = number;
        return true;
    }
    return false;
}

VMI__ROUTINE void vmi__kvm_yield(void)
{
    uint32_t cpu;

    if (vmi__kvm_uses(KVM__FEATURE_PV_SCHED_YIELD) && find_preempted(&cpu))
        vmi__kvm_hypercall_sched_yield(vmi__boot.apic_id[cpu]);
    else
        vmi__pause();
}

VMI__ROUTINE void vmi__kvm_io_delay(void)
{
    if (!vmi__kvm_uses(KVM__FEATURE_NOP_IO_DELAY))
        vmi__outb(PORT_POST, 0);
}
