/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Event ports, by one of Xen's two ABIs for them, and the vectors that are requested of each CPU's
 * local interrupt controller, which is the library's: it has the priorities of a local APIC (Intel
 * SDM vol. 3A, 11.8).
 */
#include "channels.h"

#include <xen/errno.h>

#define WAIT_NANOSECONDS 10000000

#define APIC_LVT_MASKED 0x00010000u
#define APIC_SVR_BEGINS 0x000000ffu

static struct vmi__xen_port ports[VMI__XEN_PORTS];
static const struct vmi__xen_port_abi *abi = &vmi__xen_two_level;
static bool chosen, keep_two_level;

struct vmi__xen_line vmi__xen_irq0, vmi__xen_requests, vmi__xen_balloon;
struct vmi__xen_lock vmi__xen_events_lock;

struct vmi__xen_port vmi__xen_port_of(evtchn_port_t number)
{
    struct vmi__xen_port port;

    __atomic_load(&ports[number], &port, __ATOMIC_ACQUIRE);
    return port;
}

void vmi__xen_port_set(evtchn_port_t number, enum vmi__xen_port_kind kind, uint32_t vector,
                       uint32_t cpu)
{
    struct vmi__xen_port port = {(uint8_t)kind, (uint8_t)vector, (uint8_t)cpu, 0};

    __atomic_store(&ports[number], &port, __ATOMIC_RELEASE);
}

/* ---- vectors ---- */

int32_t vmi__xen_highest(const uint32_t words[8])
{
    for (int32_t i = 7; i >= 0; i--)
        if (words[i])
            return i * 32 + 31 - __builtin_clz(words[i]);
    return -1;
}

int32_t vmi__xen_deliverable(const struct vmi__xen_cpu *cpu)
{
    int32_t vector = vmi__xen_highest(cpu->irr), service = vmi__xen_highest(cpu->isr);

    if (vector < 0 || vector >> 4 <= (int32_t)(cpu->tpr >> 4 & 0xf) ||
        (service >= 0 && vector >> 4 <= service >> 4))
        return -1;
    return vector;
}

void vmi__xen_announce(const struct vmi__xen_cpu *cpu)
{
    if (vmi__xen_deliverable(cpu) >= 0) {
        vmi__xen_vcpu(vmi__xen_this())->evtchn_upcall_pending = 1;
        vmi__barrier();
    }
}

void vmi__xen_raise(struct vmi__xen_cpu *cpu, uint32_t vector)
{
    vmi__xen_set_bit(cpu->irr, vector);
    vmi__xen_announce(cpu);
}

intptr_t vmi__xen_raise_on(uint32_t number, uint32_t vector)
{
    __atomic_fetch_or(&vmi__xen_cpus[number]->ipi[vector / 32], 1u << vector % 32,
                      __ATOMIC_SEQ_CST);
    return vmi__xen_prod(number);
}

void vmi__xen_vectors_begin(struct vmi__xen_cpu *cpu)
{
    memset(cpu->irr, 0, sizeof(cpu->irr));
    memset(cpu->isr, 0, sizeof(cpu->isr));
    for (uint32_t i = 0; i < 8; i++)
        __atomic_store_n(&cpu->ipi[i], 0, __ATOMIC_SEQ_CST);
    cpu->tpr = cpu->icr_high = 0;
    cpu->lvtt = APIC_LVT_MASKED;
    cpu->svr = APIC_SVR_BEGINS;
}

void vmi__xen_raise_line(struct vmi__xen_line *line, struct vmi__xen_cpu *cpu)
{
    uint32_t mask = vmi__xen_take(&vmi__xen_events_lock);

    if (!line->vector || !line->unmasked)
        line->pending = 1;
    else if (line->cpu != vmi__xen_this())
        vmi__xen_raise_on(line->cpu, line->vector);
    else
        vmi__xen_raise(cpu, line->vector);
    vmi__xen_give(&vmi__xen_events_lock, mask);
}

void vmi__xen_raise_irq0(struct vmi__xen_cpu *cpu)
{
    vmi__xen_raise_line(&vmi__xen_irq0, cpu);
}

/* ---- ports ---- */

static VMI__ADDRESS_TAKEN void tell(struct vmi__xen_cpu *cpu, uint32_t number, evtchn_port_t at,
                                    vmi__xen_came *came)
{
    struct vmi__xen_port port = vmi__xen_port_of(at);

    if (port.kind == VMI__XEN_PORT_NONE)
        return;
    if (port.cpu == number) {
        abi->clear(at);
        came(cpu, port);
    } else if (abi->stays && port.kind == VMI__XEN_PORT_BOUND) {
        abi->clear(at);
        vmi__xen_raise_on(port.cpu, port.vector);
    }
    /* Else it is another CPU's, whose own upcall tells it. */
}

void vmi__xen_ports_collect(struct vmi__xen_cpu *cpu, uint32_t number, vmi__xen_came *came)
{
    while (__atomic_exchange_n(&vmi__xen_vcpu(number)->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST))
        abi->collect(cpu, number, tell, came);
}

bool vmi__xen_ports_more(const struct vmi__xen_cpu *cpu, uint32_t number)
{
    return abi->more(cpu, number);
}

/* Has Xen let a port in, and now deliver what it has pending. */
static intptr_t unmask_by_xen(evtchn_port_t port)
{
    struct evtchn_unmask unmask = {.port = port};

    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_unmask, &unmask);
}

intptr_t vmi__xen_port_unmask(evtchn_port_t port)
{
    return abi->unmask(port) ? 0 : unmask_by_xen(port);
}

void vmi__xen_port_close(evtchn_port_t port)
{
    struct evtchn_close close = {.port = port};

    vmi__xen_hypercall_event_channel_op(EVTCHNOP_close, &close);
}

void vmi__xen_ports_keep_two_level(void)
{
    keep_two_level = true;
}

const char *vmi__xen_ports_abi(void)
{
    return abi->name;
}

/*
 * Has Xen use an ABI on a CPU, the one of the first. Where Xen does not know the FIFO ABI (that of
 * xen-shim does not, nor one built without it) it refuses the call as such. Any other error would
 * leave it unclear which one is used.
 */
static intptr_t choose(struct vmi__xen_cpu *cpu, uint32_t number)
{
    intptr_t result;

    if (chosen)
        return abi->begin(cpu, number);
    abi = &vmi__xen_two_level;
    result = keep_two_level ? -XEN_ENOSYS : vmi__xen_fifo.begin(cpu, number);
    if (result >= 0)
        abi = &vmi__xen_fifo;
    else if (result != -XEN_ENOSYS && result != -XEN_EOPNOTSUPP && result != -XEN_EPERM)
        return result;
    chosen = true;
    return 0;
}

/* Lets a new port of the library's in, or closes it. Returns 0 or Xen's error. */
static intptr_t prepare(evtchn_port_t port, enum vmi__xen_port_kind kind, uint32_t number,
                        evtchn_port_t *to)
{
    if (port >= abi->ports) {
        vmi__xen_port_close(port);
        return VMI_EINVAL;
    }
    vmi__xen_port_set(port, kind, 0, number);
    *to = port;
    return vmi__xen_port_unmask(port);
}

intptr_t vmi__xen_ports_prepare(struct vmi__xen_cpu *cpu, uint32_t number)
{
    struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = number};
    struct evtchn_bind_ipi ipi = {.vcpu = number};
    intptr_t result = choose(cpu, number);

    if (result >= 0 && !cpu->timer_port) {
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_virq, &virq);
        if (result >= 0)
            result = prepare(virq.port, VMI__XEN_PORT_TIMER, number, &cpu->timer_port);
    }
    if (result >= 0 && !cpu->ipi_port) {
        result = vmi__xen_hypercall_event_channel_op(EVTCHNOP_bind_ipi, &ipi);
        if (result >= 0)
            result = prepare(ipi.port, VMI__XEN_PORT_IPI, number, &cpu->ipi_port);
    }
    return result;
}

void vmi__xen_ports_forget(struct vmi__xen_cpu *cpu)
{
    vmi__xen_port_set(cpu->timer_port, VMI__XEN_PORT_NONE, 0, 0);
    vmi__xen_port_set(cpu->ipi_port, VMI__XEN_PORT_NONE, 0, 0);
    cpu->timer_port = cpu->ipi_port = 0;
    abi->forget(cpu);
    chosen = false;
}

void vmi__xen_ports_forget_others(void)
{
    for (evtchn_port_t port = 0; port < VMI__XEN_PORTS; port++) {
        uint32_t kind = vmi__xen_port_of(port).kind;

        if (kind == VMI__XEN_PORT_STORE || kind == VMI__XEN_PORT_BOUND)
            vmi__xen_port_set(port, VMI__XEN_PORT_NONE, 0, 0);
    }
}

void vmi__xen_port_pend(evtchn_port_t port)
{
    abi->pend(port);
}

intptr_t vmi__xen_port_notify(evtchn_port_t port)
{
    struct evtchn_send send = {.port = port};

    return vmi__xen_hypercall_event_channel_op(EVTCHNOP_send, &send);
}

intptr_t vmi__xen_prod(uint32_t number)
{
    return vmi__xen_port_notify(vmi__xen_cpus[number]->ipi_port);
}

/* Can the library poll it? The kernel is to hear of its own. */
static bool is_polled(evtchn_port_t port)
{
    uint32_t kind = port < abi->ports ? vmi__xen_port_of(port).kind : VMI__XEN_PORT_BOUND;

    return kind == VMI__XEN_PORT_NONE || kind == VMI__XEN_PORT_STORE;
}

void vmi__xen_port_clear(evtchn_port_t port)
{
    if (is_polled(port))
        abi->clear(port);
}

bool vmi__xen_port_mask(evtchn_port_t port)
{
    return port >= abi->ports || abi->mask(port);
}

bool vmi__xen_port_exists(evtchn_port_t port)
{
    return port && port < abi->ports;
}

void vmi__xen_port_wait(evtchn_port_t port)
{
    struct sched_poll poll = {.nr_ports = 1, .timeout = vmi__xen_system_time() + WAIT_NANOSECONDS};

    if (!is_polled(port)) {
        vmi__xen_hypercall_sched_op(SCHEDOP_yield, 0);
        return;
    }
    set_xen_guest_handle(poll.ports, &port);
    vmi__xen_hypercall_sched_op(SCHEDOP_poll, &poll);
}
