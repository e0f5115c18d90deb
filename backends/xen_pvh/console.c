/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The console of a PVH domain: a ring whose place and port are parameters of the domain.
 */
#include "pvh.h"
#include "xen_common/console_ring.h"
#include <native/routines.h>

#include <xen/hvm/params.h>

/*
 * For the other side to take what was written last. It serves a ring that is written to often only
 * so often (xenconsoled: 30 events in 200 ms), and on a busy machine late.
 */
#define DRAIN_SECONDS 10

static struct xencons_interface *ring;
static evtchn_port_t port;
static bool looked_for;
static struct vmi__lock lock;
static uint32_t noted; /* end of the input that the kernel has been told of, or has read */

/* Finds the ring when it is first needed, which may be for a refusal before anything was begun. */
static struct xencons_interface *find(void)
{
    uint64_t pfn;

    if (!looked_for) {
        looked_for = true;
        pfn = vmi__xen_pvh_present() ? vmi__xen_pvh_parameter(HVM_PARAM_CONSOLE_PFN) : 0;
        port = pfn ? (evtchn_port_t)vmi__xen_pvh_parameter(HVM_PARAM_CONSOLE_EVTCHN) : 0;
        ring = vmi__xen_pvh_map(VMI__XEN_PVH_CONSOLE_SLOT, pfn);
    }
    return ring;
}

VMI__RUN_ONCE void vmi__xen_pvh_console_forget(void)
{
    looked_for = false;
    noted = 0;
}

VMI__ROUTINE int32_t vmi__xen_pvh_console_write(const void *from, uint32_t length)
{
    const char *text = from;
    uint32_t flags, room, sent = 0;

    /* Where there is no Xen, the reason for which the library does not run is for a PC's console.
     */
    if (!find())
        return vmi__xen_pvh_present() ? VMI_EIO : vmi__native_console_write(from, length);
    vmi__touch(from, length);
    flags = vmi__lock(&lock);
    while (sent < length) {
        room = vmi__console_ring_room(ring);
        if (vmi__console_ring_is_wrong(room)) {
            vmi__unlock(&lock, flags);
            return VMI_EIO;
        }
        if (!room) {
            vmi_yield();
            continue;
        }
        sent += vmi__console_ring_put(ring, text + sent, length - sent, room);
        vmi__xen_pvh_on_port(EVTCHNOP_send, port);
    }
    vmi__unlock(&lock, flags);
    return (int32_t)length;
}

void vmi__xen_pvh_console_drain(void)
{
    uint64_t begun = vmi__rdtsc();

    while (find() && !vmi__console_ring_is_drained(ring) &&
           vmi__rdtsc() - begun < DRAIN_SECONDS * vmi__native_tsc_hz)
        vmi_yield();
}

bool vmi__xen_pvh_console_news(void)
{
    uint32_t end = find() ? vmi__console_ring_input_end(ring) : 0;

    return __atomic_exchange_n(&noted, end, __ATOMIC_SEQ_CST) != end;
}

evtchn_port_t vmi__xen_pvh_console_port(void)
{
    return find() ? port : 0;
}

VMI__ROUTINE int32_t vmi__xen_pvh_console_read(void *to, uint32_t length)
{
    uint32_t flags;
    int32_t count;

    if (!find())
        return VMI_EIO;
    vmi__touch(to, length);
    flags = vmi__lock(&lock);
    __atomic_store_n(&noted, vmi__console_ring_input_end(ring), __ATOMIC_SEQ_CST);
    count = vmi__console_ring_take(ring, to, length);
    if (count > 0)
        vmi__xen_pvh_on_port(EVTCHNOP_send, port);
    vmi__unlock(&lock, flags);
    return count < 0 ? VMI_EIO : count;
}
