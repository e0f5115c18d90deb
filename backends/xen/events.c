/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * From event channels to vectors. Each CPU has a local interrupt controller of its own in software,
 * with the registers and priorities of a local APIC (Intel SDM vol. 3A, 11.8): ports that are
 * pending become requested vectors, the highest is delivered if its class is above what is in
 * service and above TPR, EndOfInterrupt ends it.
 */
#include "internal.h"

#define PORTS 1024 /* two-level ABI with 32-bit words (event_channel.h, EVTCHN_2L_NR_CHANNELS) */

/* EventBind's number for interrupt line 0, which is no port. */
#define EVENT_IRQ0 PORTS

#define APIC_VERSION_VALUE 0x00000014u /* integrated APIC, one LVT entry */
#define APIC_LVT_MASKED    0x00010000u
#define ICR_MODE(icr)      ((icr) >> 8 & 7)
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3) /* 1: self, 2: all, 3: all but self */
#define APIC_ID_ALL        0xffu

#define VECTOR_NMI 2

enum port_kind { PORT_NONE, PORT_TIMER, PORT_IPI, PORT_BOUND };

/* A word, so that a CPU that looks while another writes sees one or the other. */
struct port {
    uint8_t kind;
    uint8_t vector; /* of PORT_BOUND */
    uint8_t cpu;
    uint8_t unused;
} __attribute__((aligned(4)));

/* What the assembly entry points leave room for, in front of the frame that Xen made. */
struct frame {
    uint32_t target_eip, target_cs;
    uint32_t eip, cs, eflags;
};

/* The same for a fault; until it is known, where it goes to, the vector is in that place. */
struct fault {
    uint32_t target_eip, target_cs;
    uint32_t error, eip, cs, eflags;
};

struct sequence {
    uint32_t start, end;
};

extern const struct sequence vmi__xen_restart[], vmi__xen_restart_end[];

static int32_t send_to(uint32_t number, uint32_t vector);

VMI__ROUTINE int32_t vmi__xen_event(struct frame *frame);
VMI__ROUTINE uint32_t vmi__xen_nmi_came(struct frame *frame);
VMI__ROUTINE uint32_t vmi__xen_fault(struct fault *fault);

static struct port ports[PORTS]; /* by port_of and set_port */
static struct vmi__xen_lock lock;
static struct {
    uint8_t vector; /* 0: not bound */
    uint8_t unmasked, pending;
    uint8_t cpu; /* where it arrives */
} irq0;

uint32_t vmi__xen_sysenter_cs[VMI__XEN_CPUS_MAX];

/* ---- locks
 * -------------------------------------------------------------------------------------------------
 * ------
 */

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    uint32_t mask = vmi__xen_mask(), tries = 0;

    while (__atomic_exchange_n(&taken->held, 1, __ATOMIC_ACQUIRE)) {
        /* Its holder may be a VCPU that waits for this one's processor. */
        if (++tries % 1024)
            __asm__ volatile("pause");
        else
            vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
    }
    return mask;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    __atomic_store_n(&taken->held, 0, __ATOMIC_RELEASE);
    vmi__xen_unmask(mask);
}

/* ---- vectors
 * -------------------------------------------------------------------------------------------------
 * ----
 */

static void set_bit(uint32_t *words, uint32_t bit)
{
    words[bit / 32] |= 1u << bit % 32;
}

static void clear_bit(uint32_t *words, uint32_t bit)
{
    words[bit / 32] &= ~(1u << bit % 32);
}

static int32_t highest(const uint32_t words[8])
{
    for (int32_t i = 7; i >= 0; i--)
        if (words[i])
            return i * 32 + 31 - __builtin_clz(words[i]);
    return -1;
}

/* The vector to deliver now, or -1. */
static int32_t deliverable(const struct vmi__xen_cpu *cpu)
{
    int32_t vector = highest(cpu->irr), service = highest(cpu->isr);

    if (vector < 0 || vector >> 4 <= (int32_t)(cpu->tpr >> 4 & 0xf) ||
        (service >= 0 && vector >> 4 <= service >> 4))
        return -1;
    return vector;
}

/* Has Xen call in as soon as events are let in, if there is something to deliver. */
static void announce(const struct vmi__xen_cpu *cpu)
{
    if (deliverable(cpu) >= 0) {
        vmi__xen_shared.vcpu_info[vmi__xen_this()].evtchn_upcall_pending = 1;
        vmi__barrier();
    }
}

void vmi__xen_raise(struct vmi__xen_cpu *cpu, uint32_t vector)
{
    set_bit(cpu->irr, vector);
    announce(cpu);
}

void vmi__xen_raise_irq0(struct vmi__xen_cpu *cpu)
{
    if (!irq0.vector || !irq0.unmasked)
        irq0.pending = 1;
    else if (irq0.cpu != vmi__xen_this())
        send_to(irq0.cpu, irq0.vector);
    else
        vmi__xen_raise(cpu, irq0.vector);
}

/* ---- entry
 * -------------------------------------------------------------------------------------------------
 * ------
 */

static struct port port_of(uint32_t number)
{
    struct port port;

    __atomic_load(&ports[number], &port, __ATOMIC_ACQUIRE);
    return port;
}

static void set_port(uint32_t number, enum port_kind kind, uint32_t vector, uint32_t cpu)
{
    struct port port = {(uint8_t)kind, (uint8_t)vector, (uint8_t)cpu, 0};

    __atomic_store(&ports[number], &port, __ATOMIC_RELEASE);
}

static void port_came(struct vmi__xen_cpu *cpu, struct port port)
{
    switch (port.kind) {
    case PORT_TIMER:
        cpu->timer = 0; /* it has gone off */
        vmi__xen_alarms(cpu);
        break;
    case PORT_IPI:
        for (uint32_t i = 0; i < 8; i++)
            cpu->irr[i] |= __atomic_exchange_n(&cpu->ipi[i], 0, __ATOMIC_SEQ_CST);
        if (__atomic_exchange_n(&cpu->gates_changed, 0, __ATOMIC_SEQ_CST))
            vmi__xen_gates_again(cpu);
        if (__atomic_exchange_n(&cpu->alarm_changed, 0, __ATOMIC_SEQ_CST))
            vmi__xen_alarms(cpu);
        break;
    case PORT_BOUND:
        set_bit(cpu->irr, port.vector);
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
    struct vcpu_info *info = &vmi__xen_shared.vcpu_info[number];
    unsigned long words, bits;

    while (__atomic_exchange_n(&info->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        words = __atomic_exchange_n(&info->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1) {
            uint32_t word = (uint32_t)__builtin_ctzl(words);

            bits = __atomic_load_n(&vmi__xen_shared.evtchn_pending[word], __ATOMIC_SEQ_CST) &
                   ~__atomic_load_n(&vmi__xen_shared.evtchn_mask[word], __ATOMIC_SEQ_CST);
            for (; bits; bits &= bits - 1) {
                uint32_t bit = (uint32_t)__builtin_ctzl(bits);
                struct port port = port_of(word * 32 + bit);

                /* Another CPU's, in the same word: its own upcall tells it. */
                if (port.kind == PORT_NONE || port.cpu != number)
                    continue;
                __atomic_fetch_and(&vmi__xen_shared.evtchn_pending[word], ~(1ul << bit),
                                   __ATOMIC_SEQ_CST);
                port_came(cpu, port);
            }
        }
    }
}

VMI__ROUTINE int32_t vmi__xen_event(struct frame *frame)
{
    uint32_t number = vmi__xen_this();
    struct vmi__xen_cpu *cpu = vmi__xen_cpus[number];
    int32_t vector;

    if ((frame->cs & 3) == vmi__boot.kernel_rpl) {
        for (const struct sequence *s = vmi__xen_restart; s < vmi__xen_restart_end; s++)
            if (frame->eip > s->start && frame->eip < s->end)
                frame->eip = s->start;
    }
    collect(cpu, number);
    vector = deliverable(cpu);
    /*
     * Raising within this function asked for another upcall: it is this one. An exchange, since a
     * plain store could pass the load below: the hypervisor would then see an upcall still pending
     * and not send the one that is needed.
     */
    __atomic_exchange_n(&vmi__xen_shared.vcpu_info[number].evtchn_upcall_pending, 0,
                        __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&vmi__xen_shared.vcpu_info[number].evtchn_pending_sel, __ATOMIC_SEQ_CST))
        vmi__xen_shared.vcpu_info[number].evtchn_upcall_pending = 1;
    if (vector < 0)
        return 0;
    clear_bit(cpu->irr, (uint32_t)vector);
    if (!cpu->gate[vector].address) {
        vmi__xen_report(VMI_ORDINAL_SET_IDT, (uint32_t)vector, 0, VMI_ENOENT);
        announce(cpu);
        return 0;
    }
    set_bit(cpu->isr, (uint32_t)vector);
    frame->target_eip = cpu->gate[vector].address;
    frame->target_cs = cpu->gate[vector].cs;
    return 1;
}

/*
 * On to the kernel's own handler of a fault that Xen has told the library; events are masked. They
 * stay so if the kernel's gate is an interrupt gate.
 */
VMI__ROUTINE uint32_t vmi__xen_fault(struct fault *fault)
{
    const struct trap_info *gate = &vmi__xen_self()->gate[fault->target_eip & 0xff];

    if (!gate->address)
        vmi__xen_crash(VMI_ORDINAL_SET_IDT, fault->eip, fault->error, VMI_ENOENT);
    fault->target_eip = gate->address;
    fault->target_cs = gate->cs;
    if (!TI_GET_IF(gate) && fault->eflags & VMI__EFLAGS_IF)
        vmi__xen_enable_interrupts();
    return 1;
}

/* On to the kernel's own handler of an NMI; without one it is over. Events are masked. */
VMI__ROUTINE uint32_t vmi__xen_nmi_came(struct frame *frame)
{
    const struct trap_info *gate = &vmi__xen_self()->gate[VECTOR_NMI];

    frame->target_eip = gate->address;
    frame->target_cs = gate->cs;
    return gate->address != 0;
}

/* ---- interrupt controller
 * ---------------------------------------------------------------------------------------- */

VMI__ROUTINE void vmi__xen_end_of_interrupt(uint32_t vector)
{
    uint32_t mask = vmi__xen_mask();
    struct vmi__xen_cpu *cpu = vmi__xen_self();

    clear_bit(cpu->isr, vector & 0xff);
    announce(cpu);
    vmi__xen_unmask(mask);
}

/* Sends a vector to one CPU; an interrupt to one that waits for its start is lost. */
static int32_t send_to(uint32_t number, uint32_t vector)
{
    if (!vmi__xen_cpus[number]->started)
        return VMI_OK;
    __atomic_fetch_or(&vmi__xen_cpus[number]->ipi[vector / 32], 1u << vector % 32,
                      __ATOMIC_SEQ_CST);
    return vmi__xen_prod(number) < 0 ? VMI_EIO : VMI_OK;
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
        vector = highest(cpu->isr);
        if (vector >= 0)
            clear_bit(cpu->isr, (uint32_t)vector);
        announce(cpu);
        break;
    case VMI_APIC_TPR:
        cpu->tpr = value & 0xff;
        announce(cpu);
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

/* ---- ports
 * -------------------------------------------------------------------------------------------------
 * ------
 */

static int32_t unmask_port(evtchn_port_t port)
{
    struct evtchn_unmask unmask = {.port = port};

    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

static void close_port(evtchn_port_t port)
{
    struct evtchn_close close = {.port = port};

    vmi__xen_hypercall_event_channel_op(EVTCHNOP_close, &close);
}

/* Lets a new port of the library's in, or closes it. Returns 0 or Xen's error. */
static int32_t prepare_port(evtchn_port_t port, enum port_kind kind, uint32_t number,
                            evtchn_port_t *to)
{
    if (port >= PORTS) {
        close_port(port);
        return VMI_EINVAL;
    }
    set_port(port, kind, 0, number);
    *to = port;
    return unmask_port(port);
}

int32_t vmi__xen_events_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = number};
    struct evtchn_bind_ipi ipi = {.vcpu = number};
    int32_t result = 0;

    cpu->lvtt = APIC_LVT_MASKED;
    cpu->svr = 0xff;
    if (!cpu->timer_port) {
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_virq, &virq);
        if (result >= 0)
            result = prepare_port(virq.port, PORT_TIMER, number, &cpu->timer_port);
    }
    if (result >= 0 && !cpu->ipi_port) {
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_ipi, &ipi);
        if (result >= 0)
            result = prepare_port(ipi.port, PORT_IPI, number, &cpu->ipi_port);
    }
    return result;
}

void vmi__xen_port_notify(evtchn_port_t port)
{
    struct evtchn_send send = {.port = port};

    vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send);
}

int32_t vmi__xen_prod(uint32_t number)
{
    struct evtchn_send send = {.port = vmi__xen_cpus[number]->ipi_port};

    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send);
}

void vmi__xen_port_clear(evtchn_port_t port)
{
    /* The kernel is to hear of its own. */
    if (port < PORTS && port_of(port).kind == PORT_NONE)
        __atomic_fetch_and(&vmi__xen_shared.evtchn_pending[port / 32], ~(1ul << port % 32),
                           __ATOMIC_SEQ_CST);
}

void vmi__xen_port_mask(evtchn_port_t port)
{
    if (port < PORTS)
        __atomic_fetch_or(&vmi__xen_shared.evtchn_mask[port / 32], 1ul << port % 32,
                          __ATOMIC_SEQ_CST);
}

void vmi__xen_port_wait(evtchn_port_t port)
{
    struct sched_poll poll = {.nr_ports = 1, .timeout = vmi__xen_clock_nanoseconds() + 10000000};

    if (port >= PORTS || port_of(port).kind != PORT_NONE) {
        vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
        return;
    }
    set_xen_guest_handle(poll.ports, &port);
    vmi__xen_hypercall_sched_op(SCHEDOP_poll, &poll);
}

/* ---- calls
 * -------------------------------------------------------------------------------------------------
 * ------
 */

/* Under the lock. Gives a port to the kernel, masked, on this CPU. */
static int32_t give_port(evtchn_port_t port, uint32_t vector)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = vmi__xen_this()};

    if (port >= PORTS || !port)
        return VMI_ENOENT;
    if (port_of(port).kind != PORT_NONE)
        return VMI_EBUSY;
    if (vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind) < 0)
        return VMI_EIO;
    vmi__xen_port_mask(port);
    set_port(port, PORT_BOUND, vector, bind.vcpu);
    return (int32_t)port;
}

/* Under the lock. The other domain's port is free again if the kernel cannot be given this end. */
static int32_t bind_peer(uint32_t number, uint32_t vector)
{
    struct evtchn_bind_interdomain peer = {.remote_dom = (domid_t)(number >> 16),
                                           .remote_port = number & 0xffff};
    int32_t result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_interdomain, &peer);

    if (result < 0)
        return result == VMI_EINVAL ? VMI_EINVAL : VMI_EIO;
    result = give_port(peer.local_port, vector);
    if (result < 0)
        close_port(peer.local_port);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_bind(uint32_t source, uint32_t number, uint32_t vector)
{
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (source == VMI_EVENT_GSI || source == VMI_EVENT_MSI)
        return VMI_ENOSYS;
    if (vector < 32 || vector > 255)
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    if (source == VMI_EVENT_CONSOLE && number == 0) {
        result = give_port(vmi__xen_console_port(), vector);
    } else if (source == VMI_EVENT_IRQ && number == 0) {
        if (irq0.vector) {
            result = VMI_EBUSY;
        } else {
            irq0.vector = (uint8_t)vector;
            irq0.unmasked = 0;
            irq0.cpu = (uint8_t)vmi__xen_this();
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

    if (event == EVENT_IRQ0 && irq0.vector) {
        mask = vmi__xen_take(&lock);
        irq0.unmasked = 1;
        if (irq0.pending) {
            irq0.pending = 0;
            send_to(irq0.cpu, irq0.vector);
        }
        vmi__xen_give(&lock, mask);
        return VMI_OK;
    }
    if (event < PORTS && port_of(event).kind == PORT_BOUND)
        result = unmask_port(event) < 0 ? VMI_EIO : VMI_OK;
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_mask(uint32_t event)
{
    uint32_t mask = vmi__xen_take(&lock);
    int32_t result = VMI_OK;

    if (event == EVENT_IRQ0 && irq0.vector)
        irq0.unmasked = 0;
    else if (event < PORTS && port_of(event).kind == PORT_BOUND)
        vmi__xen_port_mask(event);
    else
        result = VMI_EINVAL;
    vmi__xen_give(&lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_unbind(uint32_t event)
{
    uint32_t mask = vmi__xen_take(&lock);
    int32_t result = VMI_OK;

    if (event == EVENT_IRQ0 && irq0.vector) {
        irq0.vector = 0;
    } else if (event < PORTS && port_of(event).kind == PORT_BOUND) {
        vmi__xen_port_mask(event);
        set_port(event, PORT_NONE, 0, 0);
        /* The console's is the toolstack's, and the library waits for it again. */
        if (event != vmi__xen_console_port())
            close_port(event);
    } else {
        result = VMI_EINVAL;
    }
    vmi__xen_give(&lock, mask);
    return result;
}

/* Under the lock. What came meanwhile is signalled to the new CPU when the port is let in again. */
static int32_t move_port(evtchn_port_t port, uint32_t cpu)
{
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = cpu};
    uint32_t bit = 1u << port % 32;
    bool masked =
        __atomic_fetch_or(&vmi__xen_shared.evtchn_mask[port / 32], bit, __ATOMIC_SEQ_CST) & bit;
    int32_t result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, &bind);

    if (result >= 0)
        set_port(port, PORT_BOUND, port_of(port).vector, cpu);
    if (!masked && unmask_port(port) < 0)
        result = VMI_EIO;
    return result < 0 ? VMI_EIO : VMI_OK;
}

VMI__ROUTINE int32_t vmi__xen_event_move(uint32_t event, uint32_t cpu)
{
    uint32_t mask;
    int32_t result = VMI_EINVAL;

    if (cpu >= vmi__xen_cpu_count || !vmi__xen_cpus[cpu]->started)
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    if (event == EVENT_IRQ0 && irq0.vector) {
        irq0.cpu = (uint8_t)cpu;
        result = VMI_OK;
    } else if (event < PORTS && port_of(event).kind == PORT_BOUND) {
        result = move_port(event, cpu);
    }
    vmi__xen_give(&lock, mask);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_notify(uint32_t event)
{
    struct evtchn_send send = {.port = event};

    if (event >= PORTS || port_of(event).kind != PORT_BOUND)
        return VMI_EINVAL;
    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send) < 0 ? VMI_EIO : VMI_OK;
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
