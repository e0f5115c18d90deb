/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore: one request at a time, by the ring of store_ring.h.
 */
#include "store.h"

#include "lock.h"
#include "store_ring.h"

static volatile uint32_t lock;
static bool let_in; /* the port makes interrupts while nobody waits for an answer */

uint32_t vmi__xen_common_store_told, vmi__xen_common_store_told_cpu;

/* Room for the number of a transaction, and how often one that came to nothing is begun again. */
#define TRANSACTION_TEXT_MAX 12
#define TRANSACTIONS_MAX     8

#define WATCH_TOKEN "request"

static struct vmi__store_ring ring = {
    .told = &vmi__xen_common_store_told,
    .told_cpu = &vmi__xen_common_store_told_cpu,
    .notify = vmi__xen_common_store_notify,
    .clear = vmi__xen_common_store_clear,
    .wait = vmi__xen_common_store_wait,
};

void vmi__xen_common_store_start(void *page)
{
    ring.shared = page;
    let_in = false;
}

bool vmi__xen_common_store_present(void)
{
    return ring.shared;
}

/* ---- under the lock ---- */

/* The port is polled from here on. */
static void poll_port(void)
{
    if (let_in)
        vmi__xen_common_store_mask();
}

/* It makes interrupts again. What it has told meanwhile is announced. */
static void leave_port(void)
{
    if (!let_in)
        return;
    vmi__store_drain(&ring);
    if (vmi__xen_common_store_told)
        vmi__xen_common_store_announce();
    vmi__xen_common_store_unmask();
}

/* ---- requests ---- */

VMI__RUN_ONCE static int32_t ask(uint32_t type, uint32_t transaction, const char *path,
                                 const char *value, char *to, uint32_t size)
{
    uint32_t flags = vmi__xen_common_enter(&lock);
    int32_t result;

    poll_port();
    result = vmi__store_ask(&ring, type, transaction, path, value, to, size);
    leave_port();
    vmi__xen_common_leave(&lock, flags);
    return result;
}

VMI__RUN_ONCE static int32_t read_in(uint32_t transaction, const char *path, char *to,
                                     uint32_t size)
{
    int32_t result = ask(XS_READ, transaction, path, 0, to, size - 1);

    to[result > 0 ? result : 0] = 0;
    return result;
}

VMI__RUN_ONCE int32_t vmi__xen_common_store_read(const char *path, char *to, uint32_t size)
{
    return read_in(0, path, to, size);
}

VMI__RUN_ONCE int32_t vmi__xen_common_store_list(const char *path, char *to, uint32_t size)
{
    return ask(XS_DIRECTORY, 0, path, 0, to, size);
}

VMI__RUN_ONCE int32_t vmi__xen_common_store_write(const char *path, const char *value)
{
    int32_t result = ask(XS_WRITE, 0, path, value, 0, 0);

    return result < 0 ? result : VMI_OK;
}

VMI__RUN_ONCE void vmi__xen_common_store_tell(const char *path, const char *value)
{
    vmi__store_post(&ring, XS_WRITE, path, value, vmi__store_length(value));
}

VMI__RUN_ONCE void vmi__xen_common_store_watch(const char *path)
{
    vmi__store_post(&ring, XS_WATCH, path, WATCH_TOKEN, sizeof(WATCH_TOKEN));
}

/* The number of a transaction, 0 if the text is none. */
VMI__RUN_ONCE static uint32_t transaction_of(const char *text)
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
VMI__RUN_ONCE int32_t vmi__xen_common_store_take(const char *path, char *to, uint32_t size)
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

/* ---- being told ---- */

bool vmi__xen_common_store_let_in(bool in)
{
    uint32_t flags = vmi__xen_common_enter(&lock);
    bool was = let_in;

    poll_port();
    let_in = in;
    leave_port();
    vmi__xen_common_leave(&lock, flags);
    return was;
}

void vmi__xen_common_store_look(void)
{
    uint32_t flags = vmi__xen_common_enter(&lock);

    vmi__store_drain(&ring);
    vmi__xen_common_leave(&lock, flags);
}

uint32_t vmi__xen_common_store_end(void)
{
    const struct xenstore_domain_interface *shared =
        __atomic_load_n(&ring.shared, __ATOMIC_RELAXED);

    return shared ? __atomic_load_n(&shared->rsp_prod, __ATOMIC_ACQUIRE) : 0;
}
