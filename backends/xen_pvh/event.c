/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Events of a PVH domain: the console's, those of devices and of requests from outside. For all
 * event channels of a VCPU Xen raises one vector of its local APIC (hvm/hvm_op.h,
 * HVMOP_set_evtchn_upcall_vector), and nothing of the library's is entered then, for gates are the
 * kernel's. So that vector is made the one of an event that is bound there. When its interrupt
 * ends, the vectors of the others that are pending are raised; its own handler is also entered when
 * nothing of its own has come.
 *
 * The other side may have written behind the handler's back before the interrupt ends, when what is
 * pending is taken back. So an event that was pending raises its vector anew as long as there is
 * something left to take; once, for a handler that leaves it to be taken later would be entered for
 * ever.
 *
 * The channel of requests is xenstore's, which the library polls whenever it asks there: so masking
 * and letting in are the store's.
 */
#include "pvh.h"

#include "xen_common/store.h"

#include <xen/hvm/hvm_op.h>

#define ROWS 64

const struct vmi__xen_pvh_device_events *vmi__xen_pvh_device_events;

/* What is bound. An event's number is its row's, from 1 on: after a restore its channel has another
 * port. */
static struct row {
    uint32_t source, number;
    evtchn_port_t port; /* 0: the source has none any more */
    uint32_t cpu;
    uint8_t vector; /* 0: the row is free */
    bool raised;    /* its vector is the one that Xen raises on that CPU */
    bool masked;    /* when the domain was suspended */
} rows[ROWS];
static uint32_t ends;      /* behind the last row that was ever taken */
static uint8_t bound[256]; /* rows of each vector */
static struct vmi__lock lock;

/* ---- letting in ---- */

/* Has a port make no upcalls; says whether it made none already. */
static bool keep_back(evtchn_port_t port)
{
    return port == vmi__xen_pvh_requests_port() ? !vmi__xen_common_store_let_in(false)
                                                : vmi__xen_pvh_port_mask(port);
}

/* Lets a port's upcalls in; false if Xen refuses. */
static bool let_in(evtchn_port_t port)
{
    if (port != vmi__xen_pvh_requests_port())
        return vmi__xen_pvh_on_port(EVTCHNOP_unmask, port);
    vmi__xen_common_store_let_in(true);
    return true;
}

/* ---- rows; under the lock ---- */

static uint32_t event_of(const struct row *row)
{
    return (uint32_t)(row - rows) + 1;
}

/* The row of an event, 0 if it is not bound. */
static struct row *row_of(uint32_t event)
{
    return event && event <= ROWS && rows[event - 1].vector ? &rows[event - 1] : 0;
}

VMI__RUN_ONCE static struct row *free_row(void)
{
    for (uint32_t i = 0; i < ROWS; i++)
        if (!rows[i].vector)
            return &rows[i];
    return 0;
}

/* Has the vector of an event that is at a CPU raised there, if none is. False if Xen refuses. */
VMI__RUN_ONCE static bool choose(uint32_t cpu)
{
    struct xen_hvm_evtchn_upcall_vector upcall = {.vcpu = cpu};
    struct row *chosen = 0;

    for (uint32_t i = ends; i > 0; i--) {
        if (!rows[i - 1].vector || rows[i - 1].cpu != cpu)
            continue;
        if (rows[i - 1].raised)
            return true;
        chosen = &rows[i - 1];
    }
    if (!chosen)
        return true;
    chosen->raised = true;
    upcall.vector = chosen->vector;
    /* Xen raises it now, too, if something is pending. */
    return vmi__xen_pvh_hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector,
                                         vmi__xen_pvh_argument(&upcall)) >= 0;
}

/* Has a port, which is masked, tell a CPU. */
VMI__RUN_ONCE static bool put_at(struct row *row, uint32_t cpu)
{
    struct evtchn_bind_vcpu bind = {.port = row->port, .vcpu = cpu};
    uint32_t before = row->cpu;

    if (vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, vmi__xen_pvh_argument(&bind)) <
        0)
        return false;
    row->cpu = cpu;
    row->raised = false;
    return choose(before) && choose(cpu);
}

VMI__RUN_ONCE static void drop(struct row *row)
{
    uint32_t cpu = row->cpu;

    if (row->source == VMI_EVENT_REQUEST)
        vmi__xen_pvh_requests_take(false);
    bound[row->vector]--;
    *row = (struct row){0};
    choose(cpu);
}

VMI__RUN_ONCE static int32_t bind(const struct row *wanted)
{
    struct row *row;

    if (vmi__xen_pvh_event_of(wanted->source, wanted->number))
        return VMI_EBUSY;
    row = free_row();
    if (!row)
        return VMI_ENOMEM;
    keep_back(wanted->port);
    if (wanted->source == VMI_EVENT_REQUEST)
        vmi__xen_pvh_requests_take(true);
    *row = *wanted;
    bound[row->vector]++;
    if (ends < event_of(row))
        ends = event_of(row);
    if (put_at(row, row->cpu))
        return (int32_t)event_of(row);
    drop(row);
    return VMI_EIO;
}

/* ---- calls ---- */

VMI__RUN_ONCE uint32_t vmi__xen_pvh_event_of(uint32_t source, uint32_t number)
{
    for (uint32_t i = 0; i < ends; i++)
        if (rows[i].vector && rows[i].source == source && rows[i].number == number)
            return i + 1;
    return 0;
}

/* The channel of an event's source; 0 if there is none. */
VMI__RUN_ONCE static evtchn_port_t port_of(uint32_t source, uint32_t number)
{
    if (source == VMI_EVENT_CONSOLE && !number)
        return vmi__xen_pvh_console_port();
    if (source == VMI_EVENT_DEVICE && vmi__xen_pvh_device_events)
        return vmi__xen_pvh_device_events->port(number);
    if (source == VMI_EVENT_REQUEST && !number)
        return vmi__xen_pvh_requests_port();
    return 0;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_event_bind(uint32_t source, uint32_t number,
                                                           uint32_t vector)
{
    evtchn_port_t port;
    int32_t result;
    uint32_t flags;

    if (source > VMI_EVENT_CONSOLE && source <= VMI_EVENT_MSI)
        return VMI_ENOSYS;
    if (vector < 32 || vector > 255 || vector == VMI__APIC_SPURIOUS)
        return VMI_EINVAL;
    port = port_of(source, number);
    if (!port)
        return source == VMI_EVENT_REQUEST && !number ? VMI_ENOSYS : VMI_EINVAL;
    flags = vmi__lock(&lock);
    result = bind(&(struct row){.source = source,
                                .number = number,
                                .port = port,
                                .cpu = vmi__native_cpu(),
                                .vector = (uint8_t)vector});
    vmi__unlock(&lock, flags);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_unmask(uint32_t event)
{
    const struct row *row = row_of(event);

    if (!row)
        return VMI_EINVAL;
    return let_in(row->port) ? VMI_OK : VMI_EIO;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_mask(uint32_t event)
{
    const struct row *row = row_of(event);

    if (!row)
        return VMI_EINVAL;
    keep_back(row->port);
    return VMI_OK;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_event_unbind(uint32_t event)
{
    uint32_t flags = vmi__lock(&lock);
    struct row *row = row_of(event);

    if (row) {
        keep_back(row->port);
        drop(row);
    }
    vmi__unlock(&lock, flags);
    return row ? VMI_OK : VMI_EINVAL;
}

VMI__RUN_ONCE VMI__ROUTINE int32_t vmi__xen_pvh_event_move(uint32_t event, uint32_t cpu)
{
    uint32_t flags = vmi__lock(&lock);
    struct row *row = row_of(event);
    int32_t result = VMI_EINVAL;
    bool masked;

    if (row && cpu < vmi__boot.cpu_count && vmi__native_cpu_runs(cpu)) {
        masked = keep_back(row->port);
        result = put_at(row, cpu) ? VMI_OK : VMI_EIO;
        if (!masked && !let_in(row->port))
            result = VMI_EIO;
    }
    vmi__unlock(&lock, flags);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_notify(uint32_t event)
{
    const struct row *row = row_of(event);

    if (!row)
        return VMI_EINVAL;
    return vmi__xen_pvh_on_port(EVTCHNOP_send, row->port) ? VMI_OK : VMI_EIO;
}

/* ---- the end of an interrupt ---- */

/* Has something come that the kernel has not taken? */
static bool has_news(evtchn_port_t port)
{
    if (port == vmi__xen_pvh_console_port())
        return vmi__xen_pvh_console_news();
    if (port == vmi__xen_pvh_requests_port())
        return vmi__xen_pvh_requests_news();
    return vmi__xen_pvh_device_events && vmi__xen_pvh_device_events->news(port);
}

static void interrupt(const struct row *row)
{
    vmi__native_apic_command(vmi__boot.cpus[row->cpu].apic_id, VMI__ICR_FIXED | row->vector);
}

/* Is it the vector that Xen raises on a CPU? */
static bool is_raised(uint32_t cpu, uint32_t vector)
{
    for (uint32_t i = 0; i < ends; i++)
        if (rows[i].raised && rows[i].cpu == cpu && rows[i].vector == vector)
            return true;
    return false;
}

/*
 * What is pending on this CPU, now that the vector has ended which Xen raises there. An event of
 * that vector has had its handler's turn; any other one is still to be told. One that is masked
 * stays pending: Xen tells of it when it is let in.
 */
static void tell(uint32_t cpu, uint32_t vector)
{
    vmi__xen_pvh_vcpu_clear(vmi__xen_pvh_vcpu(cpu));
    for (uint32_t i = 0; i < ends; i++) {
        const struct row *row = &rows[i];

        if (!row->port || row->cpu != cpu || vmi__xen_pvh_port_is_masked(row->port) ||
            !vmi__xen_pvh_port_clear(row->port))
            continue;
        if (row->port == vmi__xen_pvh_requests_port())
            vmi__xen_pvh_requests_came();
        if (row->vector != vector || has_news(row->port))
            interrupt(row);
    }
}

VMI__ROUTINE void vmi__xen_pvh_end_of_interrupt(uint32_t vector)
{
    if (bound[vector & 0xff]) {
        uint32_t flags = vmi__lock(&lock), cpu = vmi__native_cpu();

        if (is_raised(cpu, vector))
            tell(cpu, vector);
        vmi__unlock(&lock, flags);
    }
    vmi__native_apic_write(VMI_APIC_EOI, 0);
    vmi__native_interrupt_ended(vector);
}

/* ---- a suspend, while all other CPUs spin ---- */

VMI__RUN_ONCE void vmi__xen_pvh_events_leave(void)
{
    for (uint32_t i = 0; i < ends; i++)
        if (rows[i].vector)
            rows[i].masked = keep_back(rows[i].port);
}

/* In a domain that was restored: the event has another channel, and comes once. False if Xen
 * refuses. */
VMI__RUN_ONCE static bool come_again(struct row *row)
{
    row->port = port_of(row->source, row->number);
    if (row->port) {
        vmi__xen_pvh_port_mask(row->port);
        vmi__xen_pvh_port_pend(row->port);
        return put_at(row, row->cpu);
    }
    if (!row->masked)
        interrupt(row);
    return true;
}

VMI__RUN_ONCE bool vmi__xen_pvh_events_return(bool restored)
{
    bool well = true;

    for (uint32_t i = 0; restored && i < ends; i++)
        rows[i].raised = false;
    for (uint32_t i = 0; restored && i < ends; i++)
        if (rows[i].vector)
            well &= come_again(&rows[i]);
    for (uint32_t i = 0; i < ends; i++)
        if (rows[i].vector && rows[i].port && !rows[i].masked)
            well &= let_in(rows[i].port);
    return well;
}

/* One vector ends in a look at all of them. */
VMI__RUN_ONCE void vmi__xen_pvh_events_look(uint32_t cpu)
{
    for (uint32_t i = 0; i < ends; i++)
        if (rows[i].raised && rows[i].cpu == cpu)
            interrupt(&rows[i]);
}
