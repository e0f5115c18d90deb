/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Events of a PVH domain. Xen raises one vector of the local APIC per VCPU for all of its event
 * channels (hvm/hvm_op.h, HVMOP_set_evtchn_upcall_vector); the kernel's vector is made that one, so
 * one event can be bound: the console's. What is pending is taken back when the interrupt ends; the
 * other side may have written behind the handler's back before that, so input that has come
 * meanwhile raises the vector anew. Input that is left to be read later does not: such a handler
 * would be entered for ever.
 */
#include "pvh.h"

#include <xen/hvm/hvm_op.h>

static uint8_t console_vector;
static uint32_t console_cpu;
static struct vmi__lock lock;

/* Xen's answer, or the error for a domain whose console has no channel. */
static int32_t on_port(uint32_t command, evtchn_port_t port)
{
    struct evtchn_send argument = {.port = port}; /* the same as for unmasking */

    return vmi__xen_pvh_hypercall_event_channel_op(command, vmi__xen_pvh_argument(&argument)) < 0
               ? VMI_EIO
               : VMI_OK;
}

/* Masks the port; says whether it was already. */
static bool mask(evtchn_port_t port)
{
    return __atomic_fetch_or(&vmi__xen_pvh_shared.evtchn_mask[VMI__XEN_PVH_WORD(port)],
                             VMI__XEN_PVH_BIT(port), __ATOMIC_SEQ_CST) &
           VMI__XEN_PVH_BIT(port);
}

/* Has the port, which is masked, raise a vector of a CPU. Under the lock. */
static bool raise_at(evtchn_port_t port, uint32_t cpu, uint32_t vector)
{
    struct xen_hvm_evtchn_upcall_vector upcall = {.vcpu = cpu, .vector = (uint8_t)vector};
    struct evtchn_bind_vcpu bind = {.port = port, .vcpu = cpu};

    if (vmi__xen_pvh_hypercall_hvm_op(HVMOP_set_evtchn_upcall_vector,
                                      vmi__xen_pvh_argument(&upcall)) < 0 ||
        vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_bind_vcpu, vmi__xen_pvh_argument(&bind)) <
            0)
        return false;
    console_cpu = cpu;
    return true;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_bind(uint32_t source, uint32_t number, uint32_t vector)
{
    evtchn_port_t port = vmi__xen_pvh_console_port();
    int32_t result = VMI_EBUSY;
    uint32_t flags;

    if ((source > VMI_EVENT_CONSOLE && source <= VMI_EVENT_MSI) || source == VMI_EVENT_REQUEST)
        return VMI_ENOSYS;
    if (source != VMI_EVENT_CONSOLE || number || !port || vector < 32 || vector > 255 ||
        vector == VMI__APIC_SPURIOUS)
        return VMI_EINVAL;
    flags = vmi__lock(&lock);
    if (!console_vector) {
        mask(port);
        result = VMI_EIO;
        if (raise_at(port, vmi__native_cpu(), vector)) {
            console_vector = (uint8_t)vector;
            result = (int32_t)port;
        }
    }
    vmi__unlock(&lock, flags);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_unmask(uint32_t event)
{
    if (!console_vector || event != vmi__xen_pvh_console_port())
        return VMI_EINVAL;
    return on_port(EVTCHNOP_unmask, event);
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_mask(uint32_t event)
{
    if (!console_vector || event != vmi__xen_pvh_console_port())
        return VMI_EINVAL;
    mask(event);
    return VMI_OK;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_unbind(uint32_t event)
{
    uint32_t flags = vmi__lock(&lock);
    int32_t result = VMI_EINVAL;

    if (console_vector && event == vmi__xen_pvh_console_port()) {
        mask(event);
        console_vector = 0;
        result = VMI_OK;
    }
    vmi__unlock(&lock, flags);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_move(uint32_t event, uint32_t cpu)
{
    uint32_t flags = vmi__lock(&lock);
    int32_t result = VMI_EINVAL;
    bool masked;

    if (console_vector && event == vmi__xen_pvh_console_port() && cpu < vmi__boot.cpu_count &&
        vmi__native_cpu_runs(cpu)) {
        masked = mask(event);
        result = raise_at(event, cpu, console_vector) ? VMI_OK : VMI_EIO;
        if (!masked && on_port(EVTCHNOP_unmask, event) < 0)
            result = VMI_EIO;
    }
    vmi__unlock(&lock, flags);
    return result;
}

VMI__ROUTINE int32_t vmi__xen_pvh_event_notify(uint32_t event)
{
    if (!console_vector || event != vmi__xen_pvh_console_port())
        return VMI_EINVAL;
    return on_port(EVTCHNOP_send, event);
}

VMI__ROUTINE void vmi__xen_pvh_end_of_interrupt(uint32_t vector)
{
    if (vector && vector == console_vector) {
        vmi__xen_pvh_vcpu_clear(vmi__xen_pvh_vcpu(vmi__native_cpu()));
        vmi__xen_pvh_port_clear(vmi__xen_pvh_console_port());
        if (vmi__xen_pvh_console_news())
            vmi__native_apic_command(vmi__boot.cpus[console_cpu].apic_id,
                                     VMI__ICR_FIXED | console_vector);
    }
    vmi__native_apic_write(VMI_APIC_EOI, 0);
    vmi__native_interrupt_ended(vector);
}
