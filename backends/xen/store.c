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
static bool let_in; /* the port makes upcalls while nobody waits for an answer */

uint32_t vmi__xen_store_told;

/* Room for the number of a transaction, and how often one that came to nothing is begun again. */
#define TRANSACTION_TEXT_MAX 12
#define TRANSACTIONS_MAX     8

#define WATCH_TOKEN "request"

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

/* ---- under the lock ---- */

/* Sends a request; what follows the path is `length` bytes. */
static int32_t send_request(uint32_t type, uint32_t transaction, const char *path,
                            const char *value, uint32_t length)
{
    uint32_t path_length = length_of(path) + 1;
    struct xsd_sockmsg message = {
        .type = type,
        .req_id = ++request_id,
        .tx_id = transaction,
        .len = path_length + length,
    };
    int32_t result = transfer(0, (const char *)&message, sizeof(message));

    if (result >= 0)
        result = transfer(0, path, path_length);
    if (result >= 0 && length)
        result = transfer(0, value, length);
    return result;
}

/*
 * Takes the head of what comes next, and all of what nobody waits for: a word of a watch, an answer
 * to a request that was given up or told. Returns whether it was another one.
 */
static int32_t take_head(struct xsd_sockmsg *message, uint32_t id, bool *other)
{
    int32_t result = transfer((char *)message, 0, sizeof(*message));

    if (result >= 0 && message->len > XENSTORE_PAYLOAD_MAX)
        result = VMI_EIO;
    *other = message->type == XS_WATCH_EVENT || message->req_id != id;
    if (result < 0 || !*other)
        return result;
    if (message->type == XS_WATCH_EVENT)
        __atomic_store_n(&vmi__xen_store_told, 1, __ATOMIC_SEQ_CST);
    return transfer(0, 0, message->len);
}

/* Looks at what has come that nobody waits for. No request has the number 0. */
static int32_t drain(void)
{
    struct xsd_sockmsg message;
    int32_t result = VMI_OK;
    bool other;

    vmi__xen_port_clear(store_port);
    while (result >= 0 && __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) != ring->rsp_cons)
        result = take_head(&message, 0, &other);
    return result;
}

/* The port is polled from here on. */
static void poll_port(void)
{
    if (let_in)
        vmi__xen_port_mask(store_port);
}

/* It makes upcalls again. What it has told meanwhile is looked at, here or by CPU 0. */
static int32_t leave_port(int32_t result)
{
    if (result != VMI_EIO && let_in && drain() < 0)
        result = VMI_EIO;
    if (result == VMI_EIO)
        ring = 0; /* out of step with the other side: not to be used again */
    if (let_in) {
        vmi__xen_port_unmask(store_port);
        if (vmi__xen_store_told)
            vmi__xen_prod(0);
    }
    return result;
}

/* The answer's text goes to `to`, at most `size` bytes of it. Returns its length or a VMI error. */
static int32_t take_answer(uint32_t type, char *to, uint32_t size)
{
    struct xsd_sockmsg message;
    int32_t result;
    uint32_t kept;
    bool other;

    do
        result = take_head(&message, request_id, &other);
    while (result >= 0 && other);
    if (result < 0)
        return result;
    kept = message.len < size ? message.len : size;
    result = transfer(to, 0, kept);
    if (result >= 0)
        result = transfer(0, 0, message.len - kept);
    if (result >= 0)
        result = message.type == type ? (int32_t)kept : VMI_ENOENT;
    return result;
}

/* ---- requests ---- */

/* One request; the answer's text goes to `to`, at most `size` bytes of it. Returns its length or a
 * VMI error. */
static int32_t ask(uint32_t type, uint32_t transaction, const char *path, const char *value,
                   char *to, uint32_t size)
{
    uint32_t path_length = length_of(path) + 1, value_length = value ? length_of(value) : 0, mask;
    int32_t result;

    if (!ring)
        return VMI_EIO;
    if (path_length > XENSTORE_REL_PATH_MAX || value_length > XENSTORE_PAYLOAD_MAX - path_length)
        return VMI_EINVAL;
    mask = vmi__xen_take(&lock);
    poll_port();
    result = send_request(type, transaction, path, value, value_length);
    if (result >= 0)
        result = take_answer(type, to, size);
    result = leave_port(result);
    vmi__xen_give(&lock, mask);
    return result;
}

/* A request whose answer nobody waits for; one CPU runs. */
static void post(uint32_t type, const char *path, const char *value, uint32_t length)
{
    if (ring)
        leave_port(send_request(type, 0, path, value, length));
}

static int32_t read_in(uint32_t transaction, const char *path, char *to, uint32_t size)
{
    int32_t result = ask(XS_READ, transaction, path, 0, to, size - 1);

    to[result > 0 ? result : 0] = 0;
    return result;
}

int32_t vmi__xen_store_read(const char *path, char *to, uint32_t size)
{
    return read_in(0, path, to, size);
}

int32_t vmi__xen_store_list(const char *path, char *to, uint32_t size)
{
    return ask(XS_DIRECTORY, 0, path, 0, to, size);
}

int32_t vmi__xen_store_write(const char *path, const char *value)
{
    int32_t result = ask(XS_WRITE, 0, path, value, 0, 0);

    return result < 0 ? result : VMI_OK;
}

void vmi__xen_store_tell(const char *path, const char *value)
{
    post(XS_WRITE, path, value, length_of(value));
}

void vmi__xen_store_watch(const char *path)
{
    post(XS_WATCH, path, WATCH_TOKEN, sizeof(WATCH_TOKEN));
}

/* The number of a transaction, 0 if the text is none. */
static uint32_t transaction_of(const char *text)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return *text ? 0 : number;
}

/*
 * In a transaction, which comes to nothing where the node has been written meanwhile. It is only
 * begun where there is something to be taken.
 */
int32_t vmi__xen_store_take(const char *path, char *to, uint32_t size)
{
    int32_t result = read_in(0, path, to, size);

    for (uint32_t tries = 0; result > 0 && tries < TRANSACTIONS_MAX; tries++) {
        char text[TRANSACTION_TEXT_MAX];
        uint32_t transaction = 0;

        result = ask(XS_TRANSACTION_START, 0, "", 0, text, sizeof(text) - 1);
        if (result >= 0) {
            text[result] = 0;
            transaction = transaction_of(text);
        }
        if (!transaction)
            return result < 0 ? result : VMI_EIO;
        result = read_in(transaction, path, to, size);
        if (result > 0 && ask(XS_WRITE, transaction, path, "", 0, 0) < 0)
            result = VMI_EIO;
        if (ask(XS_TRANSACTION_END, transaction, result > 0 ? "T" : "F", 0, 0, 0) >= 0)
            return result;
        result = read_in(0, path, to, size);
    }
    return result > 0 ? VMI_EBUSY : result;
}

bool vmi__xen_store_let_in(void)
{
    if (!ring || !vmi__xen_port_exists(store_port))
        return false;
    vmi__xen_port_set(store_port, VMI__XEN_PORT_STORE, 0, 0);
    let_in = true;
    return leave_port(VMI_OK) == VMI_OK;
}

void vmi__xen_store_came(void)
{
    uint32_t mask = vmi__xen_take(&lock);

    if (ring && drain() < 0)
        ring = 0;
    vmi__xen_give(&lock, mask);
}
