/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From event channels to vectors. Each CPU has a local interrupt controller of its own in software,
 * with the registers and priorities of a local APIC (Intel SDM vol. 3A, 11.8): ports that are
 * pending become requested vectors, the highest is delivered if its class is above what is in
 * service and above TPR, EndOfInterrupt ends it.
 */
#include "traps.h"

#include "frames.h"

/* EventBind's numbers for what is no port. */
#define EVENT_IRQ0    VMI__XEN_PORTS
#define EVENT_REQUEST (VMI__XEN_PORTS + 1)
/* And for a port that another one takes the place of in a domain that was restored. */
#define EVENT_CONSOLE (VMI__XEN_PORTS + 2)
#define EVENT_DEVICE  0x40000000u /* with VMI_EVENT_DEVICE's number */

#define APIC_VERSION_VALUE 0x00000014u /* integrated APIC, one LVT entry */
#define ICR_MODE(icr)      ((icr) >> 8 & 7)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3) /* 1: self, 2: all, 3: all but self */
#define APIC_ID_ALL        0xffu

extern const struct vmi__xen_sequence vmi__xen_restart[], vmi__xen_restart_end[];

const struct vmi__xen_device_events *vmi__xen_device_events;

/* ---- entry
 * -------------------------------------------------------------------------------------------------
 * ------
 */

static VMI__ADDRESS_TAKEN void port_came(struct vmi__xen_cpu *cpu, struct vmi__xen_port port)
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
    case VMI__XEN_PORT_STORE:
        vmi__xen_common_store_look();
        break;
    case VMI__XEN_PORT_BOUND:
        vmi__xen_set_bit(cpu->irr, port.vector);
        break;
    default:
        break;
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
    vmi__xen_ports_collect(cpu, number, port_came);
    if (number == 0 && vmi__xen_common_store_told)
        vmi__xen_requests_came(cpu);
    vector = vmi__xen_deliverable(cpu);
    /*
     * Raising within this function asked for another upcall: it is this one. An exchange, since a
     * plain store could pass the load below: the hypervisor would then see an upcall still pending
     * and not send the one that is needed.
     */
    __atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST);
    if (vmi__xen_ports_more(cpu, number))
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

/* Sends a vector to one CPU; an interrupt to one that waits for its start is lost. */
static intptr_t send_to(uint32_t number, uint32_t vector)
{
    return vmi__xen_cpus[number]->started ? vmi__xen_raise_on(number, vector) : 0;
}

/* What an interrupt command asks for, if it is a vector's delivery. */
static void command(uint32_t icr, uint32_t high, uint32_t self)
{
    uint32_t vector = icr & 0xff, number = ICR_SHORTHAND(icr) ? self : high >> 24;

    if (ICR_MODE(icr) != 0)
        return;
    if (ICR_SHORTHAND(icr) > 1 || number == APIC_ID_ALL)
        vmi__xen_send_ipi(0, ICR_SHORTHAND(icr) == 3 ? VMI_CPUS_ALL_BUT_SELF : VMI_CPUS_ALL,
                          vector);
    else if (vector >= 32 && number < vmi__xen_cpu_count)
        send_to(number, vector);
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
        command(value, cpu->icr_high, self);
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

    if (!vmi__xen_port_exists(port))
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

/* The port of an event that has one. */
static evtchn_port_t port_of(uint32_t event)
{
    if (event == EVENT_CONSOLE)
        return vmi__xen_console_port();
    if (event & EVENT_DEVICE)
        return vmi__xen_device_events ? vmi__xen_device_events->channel(event & ~EVENT_DEVICE) : 0;
    return event;
}

static bool is_bound(uint32_t event)
{
    evtchn_port_t port = port_of(event);

    return port < VMI__XEN_PORTS && vmi__xen_port_of(port).kind == VMI__XEN_PORT_BOUND;
}

/* What an event is that is no port; 0 for one that is. */
static struct vmi__xen_line *line_of(uint32_t event)
{
    switch (event) {
    case EVENT_IRQ0:
        return &vmi__xen_irq0;
    case EVENT_REQUEST:
        return &vmi__xen_requests;
    case VMI__XEN_EVENT_BALLOON:
        return &vmi__xen_balloon;
    default:
        return 0;
    }
}

/* Under the lock. */
static int32_t bind_line(uint32_t event, uint32_t vector)
{
    struct vmi__xen_line *line = line_of(event);

    if (line->vector)
        return VMI_EBUSY;
    line->vector = (uint8_t)vector;
    line->unmasked = 0;
    line->cpu = (uint8_t)vmi__xen_this();
    return (int32_t)event;
}

/* Under the lock. */
static int32_t bind_device(uint32_t number, uint32_t vector)
{
    evtchn_port_t port = vmi__xen_device_events ? vmi__xen_device_events->port(number) : 0;

    if (port) {
        int32_t result = give_port(port, vector);

        return result < 0 ? result : (int32_t)(EVENT_DEVICE | number);
    }
    return vmi__xen_device_events && vmi__xen_device_events->is_balloon(number)
               ? bind_line(VMI__XEN_EVENT_BALLOON, vector)
               : VMI_EINVAL;
}

VMI__ROUTINE int32_t vmi__xen_event_bind(uint32_t source, uint32_t number, uint32_t vector)
{
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (source == VMI_EVENT_GSI || source == VMI_EVENT_MSI)
        return VMI_ENOSYS;
    if (vector < 32 || vector > 255)
        return VMI_EINVAL;
    mask = vmi__xen_take(&vmi__xen_events_lock);
    if (source == VMI_EVENT_CONSOLE && number == 0) {
        result = give_port(vmi__xen_console_port(), vector);
        if (result >= 0)
            result = EVENT_CONSOLE;
    } else if (source == VMI_EVENT_IRQ && number == 0) {
        result = bind_line(EVENT_IRQ0, vector);
    } else if (source == VMI_EVENT_REQUEST && number == 0) {
        result = vmi__xen_requests_known ? bind_line(EVENT_REQUEST, vector) : VMI_ENOSYS;
    } else if (source == VMI_EVENT_PEER) {
        result = bind_peer(number, vector);
    } else if (source == VMI_EVENT_DEVICE) {
        result = bind_device(number, vector);
    }
    vmi__xen_give(&vmi__xen_events_lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_unmask(uint32_t event)
{
    struct vmi__xen_line *line = line_of(event);
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (line) {
        mask = vmi__xen_take(&vmi__xen_events_lock);
        if (line->vector) {
            result = VMI_OK;
            line->unmasked = 1;
            if (line->pending) {
                line->pending = 0;
                vmi__xen_raise_on(line->cpu, line->vector);
            }
        }
        vmi__xen_give(&vmi__xen_events_lock, mask);
        return result;
    }
    if (is_bound(event))
        result = vmi__xen_port_unmask(port_of(event)) < 0 ? VMI_EIO : VMI_OK;
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_mask(uint32_t event)
{
    uint32_t mask = vmi__xen_take(&vmi__xen_events_lock);
    struct vmi__xen_line *line = line_of(event);
    int32_t result = VMI_OK;

    if (line && line->vector)
        line->unmasked = 0;
    else if (is_bound(event))
        vmi__xen_port_mask(port_of(event));
    else
        result = VMI_EINVAL;
    vmi__xen_give(&vmi__xen_events_lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_unbind(uint32_t event)
{
    uint32_t mask = vmi__xen_take(&vmi__xen_events_lock);
    struct vmi__xen_line *line = line_of(event);
    int32_t result = VMI_OK;

    if (line && line->vector) {
        line->vector = 0;
    } else if (is_bound(event)) {
        evtchn_port_t port = port_of(event);

        vmi__xen_port_mask(port);
        vmi__xen_port_set(port, VMI__XEN_PORT_NONE, 0, 0);
        /* The console's is the toolstack's, and the library waits for it again. */
        if (port != vmi__xen_console_port() &&
            !(vmi__xen_device_events && vmi__xen_device_events->owns(port)))
            vmi__xen_port_close(port);
    } else {
        result = VMI_EINVAL;
    }
    vmi__xen_give(&vmi__xen_events_lock, mask);
    return result;
}

/* Under the lock. What came meanwhile is signalled to the new CPU when the port is let in again. */
static int32_t move_port(evtchn_port_t port, uint32_t cpu)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = cpu};
    bool masked = vmi__xen_port_mask(port);
    intptr_t result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind);

    if (result >= 0)
        vmi__xen_port_set(port, VMI__XEN_PORT_BOUND, vmi__xen_port_of(port).vector, cpu);
    if (!masked && vmi__xen_port_unmask(port) < 0)
        return VMI_EIO;
    return result < 0 ? VMI_EIO : VMI_OK;
}

VMI__ROUTINE int32_t vmi__xen_event_move(uint32_t event, uint32_t cpu)
{
    struct vmi__xen_line *line = line_of(event);
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (cpu >= vmi__xen_cpu_count || !vmi__xen_cpus[cpu]->started)
        return VMI_EINVAL;
    mask = vmi__xen_take(&vmi__xen_events_lock);
    if (line && line->vector) {
        line->cpu = (uint8_t)cpu;
        result = VMI_OK;
    } else if (is_bound(event)) {
        result = move_port(port_of(event), cpu);
    }
    vmi__xen_give(&vmi__xen_events_lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_notify(uint32_t event)
{
    if (!is_bound(event))
        return VMI_EINVAL;
    return vmi__xen_port_notify(port_of(event)) < 0 ? VMI_EIO : VMI_OK;
}

/* ---- around a suspend ---- */

static struct vmi__xen_left_port console;

void vmi__xen_port_leave(evtchn_port_t port, struct vmi__xen_left_port *left)
{
    *left = (struct vmi__xen_left_port){.masked = true};
    if (!vmi__xen_port_exists(port))
        return;
    left->port = vmi__xen_port_of(port);
    left->masked = vmi__xen_port_mask(port);
}

void vmi__xen_port_return(evtchn_port_t port, const struct vmi__xen_left_port *left, bool restored)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = left->port.cpu};

    if (!vmi__xen_port_exists(port))
        return;
    if (restored && left->port.kind == VMI__XEN_PORT_BOUND) {
        vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind);
        vmi__xen_port_set(port, VMI__XEN_PORT_BOUND, left->port.vector, left->port.cpu);
        vmi__xen_port_pend(port);
    }
    if (!left->masked)
        vmi__xen_port_unmask(port);
}

void vmi__xen_events_leave(void)
{
    vmi__xen_port_leave(vmi__xen_console_port(), &console);
    if (vmi__xen_device_events)
        vmi__xen_device_events->leave();
}

void vmi__xen_events_return(bool restored)
{
    vmi__xen_port_return(vmi__xen_console_port(), &console, restored);
    if (vmi__xen_device_events)
        vmi__xen_device_events->come_again(restored);
}

VMI__ROUTINE int32_t vmi__xen_send_ipi(const uint32_t *set, uint32_t bits, uint32_t vector)
{
    uint32_t mask, self, cpu = 0;
    int32_t result = VMI_OK;

    if (vector < 32 || vector > 255 || !vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    mask = vmi__xen_mask();
    self = vmi__xen_this();
    for (; (cpu = vmi__cpu_set_next(set, bits, self, cpu)) < vmi__xen_cpu_count; cpu++)
        if (send_to(cpu, vector) < 0)
            result = VMI_EIO;
    vmi__xen_unmask(mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_send_nmi(const uint32_t *set, uint32_t bits)
{
    uint32_t mask, self, cpu = 0;
    int32_t result = VMI_OK;

    if (!vmi__cpu_set_exists(set, bits))
        return VMI_EINVAL;
    mask = vmi__xen_mask();
    self = vmi__xen_this();
    for (; (cpu = vmi__cpu_set_next(set, bits, self, cpu)) < vmi__xen_cpu_count; cpu++)
        if (vmi__xen_cpus[cpu]->started && vmi__xen_hypercall_vcpu_op(VCPUOP_send_nmi, cpu, 0) < 0)
            result = VMI_EIO;
    vmi__xen_unmask(mask);
    return result;
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
