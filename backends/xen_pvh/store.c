/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore, whose page and channel are parameters of the domain; found when it is first needed.
 */
#include "pvh.h"

#include "xen_common/store_ring.h"
#include "xen_common/xenbus.h"

#include <xen/hvm/params.h>

static evtchn_port_t port;
static bool looked_for;
static struct vmi__lock lock;

static VMI__ADDRESS_TAKEN void notify(void)
{
    vmi__xen_pvh_on_port(EVTCHNOP_send, port);
}

static VMI__ADDRESS_TAKEN void clear(void)
{
    vmi__xen_pvh_port_clear(port);
}

static VMI__ADDRESS_TAKEN void wait(void)
{
    vmi__xen_pvh_wait(port);
}

static struct vmi__store_ring ring = {.notify = notify, .clear = clear, .wait = wait};

/* Under the lock. */
static void find(void)
{
    if (looked_for)
        return;
    looked_for = true;
    port = (evtchn_port_t)vmi__xen_pvh_parameter(HVM_PARAM_STORE_EVTCHN);
    if (!port)
        return;
    vmi__xen_pvh_port_mask(port);
    ring.shared =
        vmi__xen_pvh_map(VMI__XEN_PVH_STORE_SLOT, vmi__xen_pvh_parameter(HVM_PARAM_STORE_PFN));
}

static int32_t ask(uint32_t type, const char *path, const char *value, char *to, uint32_t size)
{
    uint32_t flags = vmi__lock(&lock);
    int32_t result;

    find();
    result = vmi__store_ask(&ring, type, 0, path, value, to, size);
    vmi__unlock(&lock, flags);
    return result;
}

int32_t vmi__xen_common_store_read(const char *path, char *to, uint32_t size)
{
    int32_t result = ask(XS_READ, path, 0, to, size - 1);

    to[result > 0 ? result : 0] = 0;
    return result;
}

int32_t vmi__xen_common_store_list(const char *path, char *to, uint32_t size)
{
    return ask(XS_DIRECTORY, path, 0, to, size);
}

int32_t vmi__xen_common_store_write(const char *path, const char *value)
{
    int32_t result = ask(XS_WRITE, path, value, 0, 0);

    return result < 0 ? result : VMI_OK;
}
