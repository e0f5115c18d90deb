/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore by its ring (xen/io/xs_wire.h): one request at a time, answers checked before use. The
 * other side is given a bounded time, so that a domain without a store goes on without it. Callers
 * hold their lock.
 */
#ifndef VMI_XEN_COMMON_STORE_RING_H
#define VMI_XEN_COMMON_STORE_RING_H

#include <stdint.h>

#include <xen/io/xs_wire.h>

#include <vmi/vmi.h>

#define VMI__STORE_WAITS_MAX 500 /* of 10 ms each, per request */

struct vmi__store_ring {
    struct xenstore_domain_interface *shared; /* 0: there is none, or it is out of step */
    uint32_t request;                         /* identifier of the last one */
    /* Tells the other side that something was written, or that there is room. */
    void (*notify)(void);
    /* Takes away what its channel has pending. */
    void (*clear)(void);
    /* Waits until its channel may have something pending, 10 ms at most. */
    void (*wait)(void);
};

/* Moves bytes into the request ring or out of the answer ring; VMI_EIO if the indices are wrong or
 * nobody answers. */
static inline int32_t vmi__store_transfer(struct vmi__store_ring *store, char *to, const char *from,
                                          uint32_t length)
{
    struct xenstore_domain_interface *shared = store->shared;
    uint32_t waits = 0, moved = 0, there;

    while (moved < length) {
        if (from)
            there = XENSTORE_RING_SIZE -
                    (shared->req_prod - __atomic_load_n(&shared->req_cons, __ATOMIC_ACQUIRE));
        else
            there = __atomic_load_n(&shared->rsp_prod, __ATOMIC_ACQUIRE) - shared->rsp_cons;
        if (there > XENSTORE_RING_SIZE)
            return VMI_EIO;
        if (!there) {
            if (waits++ == VMI__STORE_WAITS_MAX)
                return VMI_EIO;
            /* The port is cleared before the second look: a signal after that look ends the wait.
             */
            if (waits % 2)
                store->clear();
            else
                store->wait();
            continue;
        }
        waits = 0;
        for (; there && moved < length; there--, moved++) {
            if (from) {
                shared->req[MASK_XENSTORE_IDX(shared->req_prod)] = from[moved];
                __atomic_store_n(&shared->req_prod, shared->req_prod + 1, __ATOMIC_RELEASE);
            } else {
                if (to)
                    to[moved] = shared->rsp[MASK_XENSTORE_IDX(shared->rsp_cons)];
                __atomic_store_n(&shared->rsp_cons, shared->rsp_cons + 1, __ATOMIC_RELEASE);
            }
        }
        store->notify();
    }
    return VMI_OK;
}

static inline uint32_t vmi__store_length(const char *text)
{
    uint32_t length = 0;

    while (text[length])
        length++;
    return length;
}

/* A request and its answer, whose text goes to `to`, at most `size` bytes of it. */
static inline int32_t vmi__store_exchange(struct vmi__store_ring *store, uint32_t type,
                                          const char *path, const char *value, char *to,
                                          uint32_t size)
{
    struct xsd_sockmsg message = {.type = type, .req_id = ++store->request};
    uint32_t path_length = vmi__store_length(path) + 1;
    uint32_t value_length = value ? vmi__store_length(value) : 0;
    int32_t result;

    message.len = path_length + value_length;
    result = vmi__store_transfer(store, 0, (const char *)&message, sizeof(message));
    if (result >= 0)
        result = vmi__store_transfer(store, 0, path, path_length);
    if (result >= 0 && value)
        result = vmi__store_transfer(store, 0, value, value_length);
    /* Answers to a request that was given up may still stand before this one's. */
    do {
        if (result >= 0)
            result = vmi__store_transfer(store, (char *)&message, 0, sizeof(message));
        if (result >= 0 && message.len > XENSTORE_PAYLOAD_MAX)
            result = VMI_EIO;
        if (result >= 0 && message.req_id != store->request)
            result = vmi__store_transfer(store, 0, 0, message.len);
    } while (result >= 0 && message.req_id != store->request);
    if (result >= 0) {
        uint32_t kept = message.len < size ? message.len : size;

        result = vmi__store_transfer(store, to, 0, kept);
        if (result >= 0)
            result = vmi__store_transfer(store, 0, 0, message.len - kept);
        if (result >= 0)
            result = message.type == type ? (int32_t)kept : VMI_ENOENT;
    }
    return result;
}

/* One request (XS_…); the answer's text goes to `to`, at most `size` bytes of it. Returns its
 * length or a VMI error. */
static inline int32_t vmi__store_ask(struct vmi__store_ring *store, uint32_t type, const char *path,
                                     const char *value, char *to, uint32_t size)
{
    uint32_t path_length = vmi__store_length(path) + 1;
    uint32_t value_length = value ? vmi__store_length(value) : 0;
    int32_t result;

    if (!store->shared)
        return VMI_EIO;
    if (path_length > XENSTORE_REL_PATH_MAX || value_length > XENSTORE_PAYLOAD_MAX - path_length)
        return VMI_EINVAL;
    result = vmi__store_exchange(store, type, path, value, to, size);
    if (result == VMI_EIO)
        store->shared = 0; /* out of step with the other side: not to be used again */
    return result;
}

#endif
