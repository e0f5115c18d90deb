/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore by its ring (xen/io/xs_wire.h): one request at a time, answers checked before use. The
 * other side is given a bounded time, so that a domain without a store goes on without it.
 */
#include "channels.h"

#include <xen/io/xs_wire.h>

#define WAITS_MAX 500 /* of 10 ms each, per request */

static struct xenstore_domain_interface *ring;
static evtchn_port_t store_port;
static struct vmi__xen_lock lock;
static uint32_t request_id;

void vmi__xen_store_start(void *page, evtchn_port_t port)
{
    ring = page;
    store_port = port;
}

/* Moves bytes into the request ring or out of the answer ring; VMI_EIO if the indices are wrong or
 * nobody answers. */
static int32_t transfer(char *to, const char *from, uint32_t length)
{
    uint32_t waits = 0, moved = 0, there;

    while (moved < length) {
        if (from)
            there = XENSTORE_RING_SIZE -
                    (ring->req_prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE));
        else
            there = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) - ring->rsp_cons;
        if (there > XENSTORE_RING_SIZE)
            return VMI_EIO;
        if (!there) {
            if (waits++ == WAITS_MAX)
                return VMI_EIO;
            /* The port is cleared before the second look: a signal after that look ends the wait.
             */
            if (waits % 2)
                vmi__xen_port_clear(store_port);
            else
                vmi__xen_port_wait(store_port);
            continue;
        }
        waits = 0;
        for (; there && moved < length; there--, moved++) {
            if (from) {
                ring->req[MASK_XENSTORE_IDX(ring->req_prod)] = from[moved];
                __atomic_store_n(&ring->req_prod, ring->req_prod + 1, __ATOMIC_RELEASE);
            } else {
                if (to)
                    to[moved] = ring->rsp[MASK_XENSTORE_IDX(ring->rsp_cons)];
                __atomic_store_n(&ring->rsp_cons, ring->rsp_cons + 1, __ATOMIC_RELEASE);
            }
        }
        vmi__xen_port_notify(store_port);
    }
    return VMI_OK;
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return length;
}

/* One request; the answer's text goes to `to`, at most `size` bytes of it. Returns its length or a
 * VMI error. */
static int32_t ask(uint32_t type, const char *path, const char *value, char *to, uint32_t size)
{
    struct xsd_sockmsg message = {.type = type};
    uint32_t path_length = length_of(path) + 1, value_length = value ? length_of(value) : 0, mask;
    int32_t result;

    if (!ring)
        return VMI_EIO;
    if (path_length > XENSTORE_REL_PATH_MAX || value_length > XENSTORE_PAYLOAD_MAX - path_length)
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    message.req_id = ++request_id;
    message.len = path_length + value_length;
    result = transfer(0, (const char *)&message, sizeof(message));
    if (result >= 0)
        result = transfer(0, path, path_length);
    if (result >= 0 && value)
        result = transfer(0, value, value_length);
    /* Answers to a request that was given up may still stand before this one's. */
    do {
        if (result >= 0)
            result = transfer((char *)&message, 0, sizeof(message));
        if (result >= 0 && message.len > XENSTORE_PAYLOAD_MAX)
            result = VMI_EIO;
        if (result >= 0 && message.req_id != request_id)
            result = transfer(0, 0, message.len);
    } while (result >= 0 && message.req_id != request_id);
    if (result >= 0) {
        uint32_t kept = message.len < size ? message.len : size;

        result = transfer(to, 0, kept);
        if (result >= 0)
            result = transfer(0, 0, message.len - kept);
        if (result >= 0)
            result = message.type == type ? (int32_t)kept : VMI_ENOENT;
    }
    if (result == VMI_EIO)
        ring = 0; /* out of step with the other side: not to be used again */
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
