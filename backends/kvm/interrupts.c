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
        vmi__native_apic_write_any(reg, value);
}

/* ---- to other CPUs --------------------------------------------------------------------------- */

/* The hypercall's set is two of its words, whose width is the architecture's. */
#define ROW_WORD (8 * sizeof(uintptr_t))
#define ROW      (2 * ROW_WORD)

/* The CPUs of a set that run, by rows of APIC identifiers. */
struct targets {
    const uint32_t *set;
    uint32_t bits, self;
    uint32_t first; /* identifier that the row begins with */
    uintptr_t words[2];
};

/*
 * The next of them from a number on whose APIC identifier lies in the row that begins at `first`,
 * or anywhere behind; the count of CPUs behind the last.
 */
static uint32_t next_of(const struct targets *to, uint32_t cpu, bool in_row)
{
    uint32_t count = vmi__boot.cpu_count;

    for (; (cpu = vmi__cpu_set_next(to->set, to->bits, to->self, cpu)) < count; cpu++) {
        uint32_t id = vmi__boot.cpus[cpu].apic_id;

        if (vmi__native_cpu_runs(cpu) && id >= to->first && (!in_row || id - to->first < ROW))
            break;
    }
    return cpu;
}

/* Moves on to the row that begins with the lowest identifier from `first` on; false behind the
 * last. */
static bool find_row(struct targets *to)
{
    uint32_t count = vmi__boot.cpu_count, lowest = ~0u, cpu;

    for (cpu = 0; (cpu = next_of(to, cpu, false)) < count; cpu++) {
        if (vmi__boot.cpus[cpu].apic_id < lowest)
            lowest = vmi__boot.cpus[cpu].apic_id;
    }
    if (lowest == ~0u)
        return false;
    to->first = lowest;
    to->words[0] = to->words[1] = 0;
    for (cpu = 0; (cpu = next_of(to, cpu, true)) < count; cpu++) {
        uint32_t bit = vmi__boot.cpus[cpu].apic_id - lowest;

        to->words[bit / ROW_WORD] |= (uintptr_t)1 << bit % ROW_WORD;
    }
    return true;
}

/* One command for a row. */
static bool send_row(const struct targets *to, uint32_t command)
{
    uint32_t cpu;
    bool sent = true;

    if (vmi__kvm_hypercall_send_ipi(to->words[0], to->words[1], to->first, command) >= 0)
        return true;
    for (cpu = 0; (cpu = next_of(to, cpu, true)) < vmi__boot.cpu_count; cpu++)
        sent &= vmi__native_apic_command(vmi__boot.cpus[cpu].apic_id, command);
    return sent;
}

/*
 * A command of the APIC, to each CPU of a set that runs. Interrupts are not masked meanwhile: where
 * this CPU is one of them, KVM would leave the guest once more to wait for the window.
 */
static int32_t interrupt(const uint32_t *set, uint32_t bits, uint32_t command)
{
    struct targets to = {.set = set, .bits = bits};
    bool sent = true;

    if (!vmi__kvm_uses(KVM__FEATURE_PV_SEND_IPI))
        return vmi__native_interrupt(set, bits, command);
    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    to.self = bits == VMI_CPUS_ALL_BUT_SELF ? vmi__native_cpu() : 0;
    for (; find_row(&to); to.first += ROW)
        sent &= send_row(&to, command);
    return sent ? VMI_OK : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__kvm_send_ipi(const uint32_t *set, uint32_t bits, uint32_t vector)
{
    if (vector < VECTOR_FIRST || vector > VECTOR_LAST)
        return VMI_EINVAL;
    return interrupt(set, bits, VMI__ICR_FIXED | vector);
}

VMI__ROUTINE int32_t vmi__kvm_send_nmi(const uint32_t *set, uint32_t bits)
{
    return interrupt(set, bits, VMI__ICR_NMI);
}

/* A kick of a CPU that is not halted yet ends its next HLT at once: KVM remembers it. */
VMI__ROUTINE int32_t vmi__kvm_kick(uint32_t cpu)
{
    if (cpu >= vmi__boot.cpu_count)
        return VMI_EINVAL;
    if (!vmi__kvm_uses(KVM__FEATURE_PV_UNHALT))
        return VMI_ENOSYS;
    return vmi__kvm_hypercall_kick_cpu(0, vmi__boot.cpus[cpu].apic_id) == 0 ? VMI_OK : VMI_EIO;
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
        struct vmi__kvm_cpu *cpu = vmi__kvm_cpu(number);
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
        vmi__kvm_hypercall_sched_yield(vmi__boot.cpus[cpu].apic_id);
    else
        vmi__pause();
}

VMI__ROUTINE void vmi__kvm_io_delay(void)
{
    if (!vmi__kvm_uses(KVM__FEATURE_NOP_IO_DELAY))
        vmi__outb(PORT_POST, 0);
}
