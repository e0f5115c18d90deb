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
#define ICR_SHORTHAND(icr) ((icr) >> 18 & 3)

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

VMI__ROUTINE int32_t vmi__xen_event(struct frame *frame);
VMI__ROUTINE uint32_t vmi__xen_fault(struct fault *fault);

static struct port ports[PORTS]; /* by port_of and set_port */
static struct vmi__xen_lock lock;
static struct {
    uint8_t vector; /* 0: not bound */
    uint8_t unmasked, pending;
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
    if (irq0.vector && irq0.unmasked)
        vmi__xen_raise(cpu, irq0.vector);
    else
        irq0.pending = 1;
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
            /* The line belongs to the first CPU: an alarm that is due at once is looked at there.
             */
            irq0.pending = 0;
            __atomic_fetch_or(&vmi__xen_cpus[0]->ipi[irq0.vector / 32], 1u << irq0.vector % 32,
                              __ATOMIC_SEQ_CST);
            vmi__xen_prod(0);
        }
        vmi__xen_give(&lock, mask);
        return VMI_OK;
    }
    if (event < PORTS && port_of(event).kind == PORT_BOUND)
        result = unmask_port(event) < 0 ? VMI_EIO : VMI_OK;
    return result;
}

VMI__ROUTINE int32_t vmi__xen_event_notify(uint32_t event)
{
    struct evtchn_send send = {.port = event};

    if (event >= PORTS || port_of(event).kind != PORT_BOUND)
        return VMI_EINVAL;
    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send) < 0 ? VMI_EIO : VMI_OK;
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
        __atomic_fetch_or(&vmi__xen_cpus[number]->ipi[vector / 32], 1u << vector % 32,
                          __ATOMIC_SEQ_CST);
        if (vmi__xen_prod(number) < 0)
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
