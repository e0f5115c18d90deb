/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From event channels to vectors. Each CPU has a local interrupt controller of its own in software,
 * with the registers and priorities of a local APIC (Intel SDM vol. 3A, 11.8): ports that are
 * pending become requested vectors, the highest is delivered if its class is above what is in
 * service and above TPR, EndOfInterrupt ends it.
 */
#include "traps.h"

#include "frames.h"

/* EventBind's number for interrupt line 0, which is no port. */
#define EVENT_IRQ0 VMI__XEN_PORTS

#define APIC_VERSION_VALUE 0x00000014u /* integrated APIC, one LVT entry */
#define ICR_MODE(icr)      ((icr) >> 8 & 7)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)

extern const struct vmi__xen_sequence vmi__xen_restart[], vmi__xen_restart_end[];

static struct vmi__xen_lock lock;

/* ---- entry
 * -------------------------------------------------------------------------------------------------
 * ------
 */

static void port_came(struct vmi__xen_cpu *cpu, struct vmi__xen_port port)
{
    switch (port.kind) {
    case VMI__XEN_PORT_TIMER:
        cpu->timer = 0; /* it has gone off */
        vmi__xen_alarms(cpu);
        break;
    case VMI__XEN_PORT_IPI:
        for (uint32_t i = 0; i < 8; i++)
            cpu->irr[i] |= __atomic_exchange_n(&cpu->ipi[i], 0, __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&cpu->gates_changed, 0, __ATOMIC_SEQ_CST))
            vmi__xen_gates_again(cpu);
        if (__atomic_exchange_n(&cpu->alarm_changed, 0, __ATOMIC_SEQ_CST))
            vmi__xen_alarms(cpu);
        break;
    case VMI__XEN_PORT_BOUND:
        vmi__xen_set_bit(cpu->irr, port.vector);
        break;
    default:
        break;
    }
}

/*
 * Turns this CPU's pending ports into requests (event_channel.h, two-level ABI). A port that is
 * nobody's stays pending: it is polled by the library, or another CPU is about to give it to the
 * kernel, whose EventUnmask then has Xen deliver it.
 */
static void collect(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct vcpu_info *info = vmi__xen_vcpu(number);
    xen_ulong_t words, bits;

    while (__atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1) {
            uint32_t word = (uint32_t)__builtin_ctzl(words);

            bits = __atomic_load_n(&vmi__xen_shared.evtchn_pending[word], __ATOMIC_SEQ_CST) &
                   ~__atomic_load_n(&vmi__xen_shared.evtchn_mask[word], __ATOMIC_SEQ_CST);
            for (; bits; bits &= bits - 1) {
                uint32_t bit = (uint32_t)__builtin_ctzl(bits);
                struct vmi__xen_port port = vmi__xen_port_of(word * VMI__XEN_WORD_BITS + bit);

                /* Another CPU's, in the same word: its own upcall tells it. */
                if (port.kind == VMI__XEN_PORT_NONE || port.cpu != number)
                    continue;
                __atomic_fetch_and(&vmi__xen_shared.evtchn_pending[word], ~(1ul << bit),
                                   __ATOMIC_SEQ_CST);
                port_came(cpu, port);
            }
        }
    }
}

/* A sequence in which the event has come begins again. */
static void restart(struct vmi__xen_frame *frame, const struct vmi__xen_sequence *first,
                    const struct vmi__xen_sequence *end)
{
    for (const struct vmi__xen_sequence *s = first; s < end; s++)
        if (frame->ip > s->start && frame->ip < s->end)
            frame->ip = s->start;
}

VMI__ROUTINE uintptr_t vmi__xen_event(struct vmi__xen_frame *frame)
{
    uint32_t number = vmi__xen_this();
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];
    struct vcpu_info *info = vmi__xen_vcpu(number);
    int32_t vector;

    if (vmi__xen_in_kernel(frame)) {
        restart(frame, vmi__xen_mask_restart, vmi__xen_mask_restart_end);
        restart(frame, vmi__xen_restart, vmi__xen_restart_end);
    }
    collect(cpu, number);
    vector = vmi__xen_deliverable(cpu);
    /*
     * Raising within this function asked for another upcall: it is this one. An exchange, since a
     * plain store could pass the load below: the hypervisor would then see an upcall still pending
     * and not send the one that is needed.
     */
    __atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&info->evtchn_pending_sel, __ATOMIC_SEQ_CST))
        info->evtchn_upcall_pending = 1;
    if (vector < 0)
        return 0;
    vmi__xen_clear_bit(cpu->irr, (uint32_t)vector);
    if (!cpu->arch.gate[vector].address) {
        vmi__xen_report(VMI_ORDINAL_SET_IDT, (uint32_t)vector, 0, VMI_ENOENT);
        vmi__xen_announce(cpu);
        return 0;
    }
    vmi__xen_set_bit(cpu->isr, (uint32_t)vector);
    return vmi__xen_deliver(frame, &cpu->arch.gate[vector]);
}

/* ---- interrupt controller
 * ---------------------------------------------------------------------------------------- */

VMI__ROUTINE void vmi__xen_end_of_interrupt(uint32_t vector)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    vmi__xen_clear_bit(cpu->isr, vector & 0xff);
    vmi__xen_announce(cpu);
    vmi__xen_unmask(mask);
}

/* CPUs that an interrupt command names, as a mask; 0 if it is no vector's delivery. */
static uint32_t icr_targets(uint32_t icr, uint32_t high, uint32_t self)
{
    uint32_t all = vmi__xen_cpu_count == 32 ? ~0u : (1u << vmi__xen_cpu_count) - 1;

    if (ICR_MODE(icr) != 0)
        return 0;
    switch (ICR_SHORTHAND(icr)) {
    case 0:
        return high >> 24 < vmi__xen_cpu_count ? 1u << (high >> 24) : high >> 24 == 0xff ? all : 0;
    case 1:
        return 1u << self;
    case 2:
        return all;
    default:
        return all & ~(1u << self);
    }
}

VMI__ROUTINE void vmi__xen_apic_write(uint32_t reg, uint32_t value)
{
    uint32_t mask = vmi__xen_mask(), self = vmi__xen_this();
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[self];
    int32_t vector;

    switch (reg & 0xfff) {
    case VMI_APIC_EOI:
        vector = vmi__xen_highest(cpu->isr);
        if (vector >= 0)
            vmi__xen_clear_bit(cpu->isr, (uint32_t)vector);
        vmi__xen_announce(cpu);
        break;
    case VMI_APIC_TPR:
        cpu->tpr = value & 0xff;
        vmi__xen_announce(cpu);
        break;
    case VMI_APIC_SVR:
        cpu->svr = value;
        break;
    case VMI_APIC_LVTT:
        cpu->lvtt = value;
        break;
    case VMI_APIC_ICR_HIGH:
        cpu->icr_high = value;
        break;
    case VMI_APIC_ICR_LOW:
        vmi__xen_send_ipi(icr_targets(value, cpu->icr_high, self), 0, value & 0xff);
        break;
    default:
        break;
    }
    vmi__xen_unmask(mask);
}

VMI__ROUTINE uint32_t vmi__xen_apic_read(uint32_t reg)
{
    uint32_t mask = vmi__xen_mask(), self = vmi__xen_this(), value = 0;
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[self];

    switch (reg & 0xfff) {
    case VMI_APIC_ID:
        value = self << 24;
        break;
    case VMI_APIC_VERSION:
        value = APIC_VERSION_VALUE;
        break;
    case VMI_APIC_TPR:
        value = cpu->tpr;
        break;
    case VMI_APIC_SVR:
        value = cpu->svr;
        break;
    case VMI_APIC_LVTT:
        value = cpu->lvtt;
        break;
    case VMI_APIC_ICR_HIGH:
        value = cpu->icr_high;
        break;
    default:
        break;
    }
    vmi__xen_unmask(mask);
    return value;
}

/* ---- calls
 * -------------------------------------------------------------------------------------------------
 * ------
 */

/* Under the lock. Gives a port to the kernel, masked, on this CPU. */
static int32_t give_port(evtchn_port_t port, uint32_t vector)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vmi__xen_this()};

    if (port >= VMI__XEN_PORTS || !port)
        return VMI_ENOENT;
    if (vmi__xen_port_of(port).kind != VMI__XEN_PORT_NONE)
        return VMI_EBUSY;
    if (vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind) < 0)
        return VMI_EIO;
    vmi__xen_port_mask(port);
    vmi__xen_port_set(port, VMI__XEN_PORT_BOUND, vector, bind.vcpu);
    return (int32_t)port;
}

/* Under the lock. The other domain's port is free again if the kernel cannot be given this end. */
static int32_t bind_peer(uint32_t number, uint32_t vector)
{
    struct evtchn_bind_interdomain peer = {.remote_dom = (domid_t)(number >> 16),
                                           .remote_port = number & 0xffff};
    intptr_t answer = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &peer);
    int32_t result;

    if (answer < 0)
        return answer == VMI_EINVAL ? VMI_EINVAL : VMI_EIO;
    result = give_port(peer.local_port, vector);
    if (result < 0)
        vmi__xen_port_close(peer.local_port);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_bind(uint32_t source, uint32_t number, uint32_t vector)
{
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (vector < 32 || vector > 255)
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    if (source == VMI_EVENT_CONSOLE && number == 0) {
        result = give_port(vmi__xen_console_port(), vector);
    } else if (source == VMI_EVENT_IRQ && number == 0) {
        if (vmi__xen_irq0.vector) {
            result = VMI_EBUSY;
        } else {
            vmi__xen_irq0.vector = (uint8_t)vector;
            vmi__xen_irq0.unmasked = 0;
            result = EVENT_IRQ0;
        }
    } else if (source == VMI_EVENT_PEER) {
        result = bind_peer(number, vector);
    }
    vmi__xen_give(&lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_unmask(uint32_t event)
{
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (event == EVENT_IRQ0 && vmi__xen_irq0.vector) {
        mask = vmi__xen_take(&lock);
        vmi__xen_irq0.unmasked = 1;
        if (vmi__xen_irq0.pending) {
            /* The line belongs to the first CPU: an alarm that is due at once is looked at there.
             */
            vmi__xen_irq0.pending = 0;
            vmi__xen_raise_on(0, vmi__xen_irq0.vector);
        }
        vmi__xen_give(&lock, mask);
        return VMI_OK;
    }
    if (event < VMI__XEN_PORTS && vmi__xen_port_of(event).kind == VMI__XEN_PORT_BOUND)
        result = vmi__xen_port_unmask(event) < 0 ? VMI_EIO : VMI_OK;
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_notify(uint32_t event)
{
    if (event >= VMI__XEN_PORTS || vmi__xen_port_of(event).kind != VMI__XEN_PORT_BOUND)
        return VMI_EINVAL;
    return vmi__xen_port_notify(event) < 0 ? VMI_EIO : VMI_OK;
}

/* All CPUs from base on that the mask names; a mask with bits beyond the last CPU is refused. */
static int cpus_exist(uint32_t mask, uint32_t base)
{
    return !mask || (base < vmi__xen_cpu_count &&
                     31u - (uint32_t)__builtin_clz(mask) < vmi__xen_cpu_count - base);
}

VMI__ROUTINE int32_t vmi__xen_send_ipi(uint32_t mask, uint32_t base, uint32_t vector)
{
    if (vector < 32 || vector > 255 || !cpus_exist(mask, base))
        return VMI_EINVAL;
    for (; mask; mask &= mask - 1) {
        uint32_t number = base + (uint32_t)__builtin_ctz(mask);

        if (!vmi__xen_cpus[number]->started)
            continue; /* as an interrupt to a CPU that waits for its start is lost */
        if (vmi__xen_raise_on(number, vector) < 0)
            return VMI_EIO;
    }
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__xen_kick(uint32_t cpu)
{
    if (cpu >= vmi__xen_cpu_count)
        return VMI_EINVAL;
    if (!vmi__xen_cpus[cpu]->started)
        return VMI_OK;
    /* An event with no request: Halt returns when it has been looked at. */
    return vmi__xen_prod(cpu) < 0 ? VMI_EIO : VMI_OK;
}

VMI__ROUTINE void vmi__xen_halt(void)
{
    vmi__xen_carry_out_here();
    /* Clears the mask and blocks in one step, unless an event is pending (xen/sched.h,
     * SCHEDOP_block). */
    vmi__xen_hypercall_sched_op(SCHEDOP_block, 0);
}
