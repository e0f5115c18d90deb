/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore by its ring (xen/io/xs_wire.h): one request at a time, answers checked before use. The
 * other side is given a bounded time, so that a domain without a store goes on without it. Callers
 * hold their lock.
 */
#ifndef VMI_XEN_COMMON_STORE_RING_H
#define VMI_XEN_COMMON_STORE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include <xen/io/xs_wire.h>

#include <vmi/vmi.h>

#define VMI__STORE_WAITS_MAX 500 /* of 10 ms each, per request */

struct vmi__store_ring {
    struct xenstore_domain_interface *shared; /* 0: there is none, or it is out of step */
    uint32_t request;                         /* identifier of the last one; 0 is none's */
    /* Set to 1 when a watch has told of a change; 0 where nobody watches. */
    uint32_t *told;
    uint32_t *told_cpu; /* the same, where it is a node below cpu/ */
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

/* Nothing is asked any more of another side that is out of step: VMI_EIO. */
static inline int32_t vmi__store_stay(struct vmi__store_ring *store, int32_t result)
{
    if (result == VMI_EIO)
        store->shared = 0;
    return result;
}

/* Sends a request (XS_…), in a transaction if that is not 0. What follows the path's end is
 * `length` bytes. */
static inline int32_t vmi__store_send(struct vmi__store_ring *store, uint32_t type,
                                      uint32_t transaction, const char *path, const char *value,
                                      uint32_t length)
{
    uint32_t path_length = vmi__store_length(path) + 1;
    struct xsd_sockmsg message = {
        .type = type,
        .req_id = ++store->request,
        .tx_id = transaction,
        .len = path_length + length,
    };
    int32_t result = vmi__store_transfer(store, 0, (const char *)&message, sizeof(message));

    if (result >= 0)
        result = vmi__store_transfer(store, 0, path, path_length);
    if (result >= 0 && length)
        result = vmi__store_transfer(store, 0, value, length);
    return result;
}

/* Takes the rest of a watch's word: the path of the node, as it was asked for, and more. */
static inline int32_t vmi__store_take_word(struct vmi__store_ring *store, uint32_t length)
{
    static const char cpu[] = {'c', 'p', 'u', '/'};
    char begins[sizeof(cpu)] = {0};
    uint32_t kept = length < sizeof(begins) ? length : sizeof(begins);
    int32_t result = vmi__store_transfer(store, begins, 0, kept);

    if (result >= 0)
        result = vmi__store_transfer(store, 0, 0, length - kept);
    if (result >= 0 && store->told_cpu && __builtin_memcmp(begins, cpu, sizeof(cpu)) == 0)
        __atomic_store_n(store->told_cpu, 1, __ATOMIC_SEQ_CST);
    if (result >= 0 && store->told)
        __atomic_store_n(store->told, 1, __ATOMIC_SEQ_CST);
    return result;
}

/*
 * Takes the head of what comes next, and all of what nobody waits for: a word of a watch, an answer
 * to another request than `request`, which was given up or not waited for. Says whether it was
 * such.
 */
static inline int32_t vmi__store_take_head(struct vmi__store_ring *store,
                                           struct xsd_sockmsg *message, uint32_t request,
                                           bool *passed)
{
    int32_t result = vmi__store_transfer(store, (char *)message, 0, sizeof(*message));

    *passed = false;
    if (result >= 0 && message->len > XENSTORE_PAYLOAD_MAX)
        result = VMI_EIO;
    if (result < 0)
        return result;
    *passed = message->type == XS_WATCH_EVENT || message->req_id != request;
    if (message->type == XS_WATCH_EVENT)
        return vmi__store_take_word(store, message->len);
    return *passed ? vmi__store_transfer(store, 0, 0, message->len) : VMI_OK;
}

/* The answer to the last request. Its text goes to `to`, at most `size` bytes of it. */
static inline int32_t vmi__store_take_answer(struct vmi__store_ring *store, uint32_t type, char *to,
                                             uint32_t size)
{
    struct xsd_sockmsg message;
    int32_t result;
    uint32_t kept;
    bool passed;

    do
        result = vmi__store_take_head(store, &message, store->request, &passed);
    while (result >= 0 && passed);
    if (result < 0)
        return result;
    kept = message.len < size ? message.len : size;
    result = vmi__store_transfer(store, to, 0, kept);
    if (result >= 0)
        result = vmi__store_transfer(store, 0, 0, message.len - kept);
    if (result >= 0)
        result = message.type == type ? (int32_t)kept : VMI_ENOENT;
    return result;
}

/* One request; the answer's text goes to `to`, at most `size` bytes of it. Returns its length or a
 * VMI error. */
static inline int32_t vmi__store_ask(struct vmi__store_ring *store, uint32_t type,
                                     uint32_t transaction, const char *path, const char *value,
                                     char *to, uint32_t size)
{
    uint32_t path_length = vmi__store_length(path) + 1;
    uint32_t value_length = value ? vmi__store_length(value) : 0;
    int32_t result;

    if (!store->shared)
        return VMI_EIO;
    if (path_length > XENSTORE_REL_PATH_MAX || value_length > XENSTORE_PAYLOAD_MAX - path_length)
        return VMI_EINVAL;
    result = vmi__store_send(store, type, transaction, path, value, value_length);
    if (result >= 0)
        result = vmi__store_take_answer(store, type, to, size);
    return vmi__store_stay(store, result);
}

/* One request whose answer nobody waits for. */
static inline void vmi__store_post(struct vmi__store_ring *store, uint32_t type, const char *path,
                                   const char *value, uint32_t length)
{
    if (store->shared)
        vmi__store_stay(store, vmi__store_send(store, type, 0, path, value, length));
}

/* Takes all that has come while nobody waits for an answer. */
static inline void vmi__store_drain(struct vmi__store_ring *store)
{
    struct xsd_sockmsg message;
    int32_t result = VMI_OK;
    bool passed;

    if (!store->shared)
        return;
    store->clear();
    while (result >= 0 &&
           __atomic_load_n(&store->shared->rsp_prod, __ATOMIC_ACQUIRE) != store->shared->rsp_cons)
        result = vmi__store_take_head(store, &message, 0, &passed);
    vmi__store_stay(store, result);
}

#endif
