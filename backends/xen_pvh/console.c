/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console ring (xen/io/console.h) of a PVH domain, whose place and port are parameters. What
 * the other side writes is checked before it is used.
 */
#include "pvh.h"
#include <native/routines.h>

#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>

static volatile struct xencons_interface *ring;
static evtchn_port_t port;
static bool looked_for;
static struct vmi__lock lock;

static uint64_t parameter(uint32_t index)
{
    struct xen_hvm_param param = {.domid = DOMID_SELF, .index = index};

    if (vmi__xen_pvh_hypercall_hvm_op(HVMOP_get_param, vmi__xen_pvh_argument(&param)) < 0)
        return 0;
    return param.value;
}

/* Finds the ring when it is first needed, which may be for a refusal before anything was begun. */
static volatile struct xencons_interface *find(void)
{
    uint64_t pfn;

    if (!looked_for) {
        looked_for = true;
        pfn = vmi__xen_pvh_present() ? parameter(HVM_PARAM_CONSOLE_PFN) : 0;
        port = pfn ? (evtchn_port_t)parameter(HVM_PARAM_CONSOLE_EVTCHN) : 0;
        if (pfn && pfn < 1u << 20)
            ring = vmi__xen_pvh_paged() ? vmi__window_map(VMI__XEN_PVH_CONSOLE_SLOT, pfn << 12)
                                        : vmi__linear((uint32_t)(pfn << 12));
    }
    return ring;
}

static void notify(void)
{
    struct evtchn_send send = {.port = port};

    vmi__xen_pvh_hypercall_event_channel_op(EVTCHNOP_send, vmi__xen_pvh_argument(&send));
}

VMI__ROUTINE int32_t vmi__xen_pvh_console_write(const void *from, uint32_t length)
{
    volatile struct xencons_interface *out = find();
    const char *text = from;
    uint32_t flags, used, sent = 0;

    /* Where there is no Xen, the reason for which the library does not run is for a PC's console.
     */
    if (!out && !vmi__xen_pvh_present())
        return vmi__native_console_write(from, length);
    if (!out)
        return VMI_EIO;
    flags = vmi__lock(&lock);
    while (sent < length) {
        used = out->out_prod - out->out_cons;
        if (used > sizeof(out->out)) {
            vmi__unlock(&lock, flags);
            return VMI_EIO;
        }
        if (used == sizeof(out->out)) {
            notify();
            vmi_yield();
            continue;
        }
        for (; used < sizeof(out->out) && sent < length; used++) {
            out->out[MASK_XENCONS_IDX(out->out_prod, out->out)] = text[sent++];
            __asm__ volatile("" : : : "memory");
            out->out_prod = out->out_prod + 1;
        }
    }
    notify();
    vmi__unlock(&lock, flags);
    return (int32_t)length;
}

bool vmi__xen_pvh_console_waiting(void)
{
    return ring && ring->in_prod != ring->in_cons;
}

evtchn_port_t vmi__xen_pvh_console_port(void)
{
    return find() ? port : 0;
}

VMI__ROUTINE int32_t vmi__xen_pvh_console_read(void *to, uint32_t length)
{
    volatile struct xencons_interface *in = find();
    char *text = to;
    uint32_t flags, there, count = 0;

    if (!in)
        return VMI_EIO;
    flags = vmi__lock(&lock);
    there = in->in_prod - in->in_cons;
    if (there > sizeof(in->in)) {
        vmi__unlock(&lock, flags);
        return VMI_EIO;
    }
    for (; count < length && count < there; count++)
        text[count] = in->in[MASK_XENCONS_IDX(in->in_cons + count, in->in)];
    if (count) {
        __asm__ volatile("" : : : "memory");
        in->in_cons = in->in_cons + count;
        notify();
    }
    vmi__unlock(&lock, flags);
    return (int32_t)count;
}
