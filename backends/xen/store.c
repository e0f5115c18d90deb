/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore, whose ring and channel the domain is given at its start.
 */
#include "channels.h"

#include "xen_common/store_ring.h"

static evtchn_port_t store_port;
static struct vmi__xen_lock lock;

static VMI__ADDRESS_TAKEN void notify(void)
{
    vmi__xen_port_notify(store_port);
}

static VMI__ADDRESS_TAKEN void clear(void)
{
    vmi__xen_port_clear(store_port);
}

static VMI__ADDRESS_TAKEN void wait(void)
{
    vmi__xen_port_wait(store_port);
}

static struct vmi__store_ring ring = {.notify = notify, .clear = clear, .wait = wait};

void vmi__xen_store_start(void *page, evtchn_port_t port)
{
    ring.shared = page;
    store_port = port;
}

static int32_t ask(uint32_t type, const char *path, const char *value, char *to, uint32_t size)
{
    uint32_t mask;
    int32_t result;

    mask = vmi__xen_take(&lock);
    result = vmi__store_ask(&ring, type, path, value, to, size);
    vmi__xen_give(&lock, mask);
    return result;
}

int32_t vmi__xen_store_read(const char *path, char *to, uint32_t size)
{
    int32_t result = ask(XS_READ, path, 0, to, size - 1);

    to[result > 0 ? result : 0] = 0;
    return result;
}

int32_t vmi__xen_store_list(const char *path, char *to, uint32_t size)
{
    return ask(XS_DIRECTORY, path, 0, to, size);
}

int32_t vmi__xen_store_write(const char *path, const char *value)
{
    int32_t result = ask(XS_WRITE, path, value, 0, 0);

    return result < 0 ? result : VMI_OK;
}
