/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Plays xenstored (xen/io/xs_wire.h) to checks of requests from outside, with the nodes that a
 * toolstack asks by. For files that have included xen_common/store.c and requests.c, and that call
 * serve() when the library tells the other side.
 */
#ifndef VMI_TESTS_XENSTORED_H
#define VMI_TESTS_XENSTORED_H

#define TEXT 32

static struct xenstore_domain_interface page;

static struct {
    char shutdown[TEXT], key[TEXT];
    char availability[TEXT]; /* of VCPU 120; there is no other such node */
    uint32_t features, watches, transactions;
    bool tells;     /* of a change before the next answer */
    bool conflicts; /* what ends next has been written to meanwhile */
    bool lies;      /* about the length of an answer */
    bool in_transaction;
} store;

static void answer(uint32_t type, uint32_t id, const char *text, uint32_t length)
{
    struct xsd_sockmsg message = {.type = type, .req_id = id, .len = store.lies ? 5000 : length};

    for (uint32_t i = 0; i < sizeof(message); i++)
        page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = ((const char *)&message)[i];
    for (uint32_t i = 0; i < length; i++)
        page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = text[i];
}

static void tell_of_a_change(void)
{
    static const char text[] = "control/shutdown\0request";

    answer(XS_WATCH_EVENT, 0, text, sizeof(text));
}

static void tell_of_a_cpu(void)
{
    static const char text[] = "cpu/1/availability\0request";

    answer(XS_WATCH_EVENT, 0, text, sizeof(text));
}

static char *node(const char *path)
{
    if (is(path, "cpu/120/availability"))
        return store.availability;
    return is(path, shutdown_node) ? store.shutdown : is(path, key_node) ? store.key : 0;
}

static void carry_out(const struct xsd_sockmsg *message, const char *text)
{
    const char *value = text + vmi__store_length(text) + 1;
    uint32_t length = message->len - (uint32_t)(value - text);
    char *at = node(text);

    if (store.tells)
        tell_of_a_change();
    store.tells = false;
    switch (message->type) {
    case XS_READ:
        EXPECT(!message->tx_id == !store.in_transaction);
        if (!at) {
            EXPECT(is(text, "cpu/0/availability"));
            answer(XS_ERROR, message->req_id, "ENOENT", 7);
            return;
        }
        answer(XS_READ, message->req_id, at, vmi__store_length(at));
        return;
    case XS_WRITE:
        if (at)
            at[0] = 0;
        EXPECT(at ? store.in_transaction && !length : length == 1 && value[0] == '1');
        store.features += !at;
        break;
    case XS_WATCH:
        EXPECT(at || is(text, "memory/target") || is(text, "cpu"));
        EXPECT(length == sizeof(WATCH_TOKEN));
        EXPECT(!value[length - 1]);
        store.watches++;
        answer(XS_WATCH, message->req_id, "OK", 3);
        tell_of_a_change();
        return;
    case XS_TRANSACTION_START:
        EXPECT(message->len == 1 && !store.in_transaction);
        store.in_transaction = true;
        store.transactions++;
        answer(XS_TRANSACTION_START, message->req_id, "70000", 6);
        return;
    case XS_TRANSACTION_END:
        EXPECT(message->tx_id == 70000 && store.in_transaction);
        store.in_transaction = false;
        if (store.conflicts) {
            store.conflicts = false;
            memcpy(store.shutdown, "reboot", 7);
            answer(XS_ERROR, message->req_id, "EAGAIN", 7);
            return;
        }
        break;
    default:
        EXPECT(false);
    }
    answer(message->type, message->req_id, "OK", 3);
}

/* Takes what is whole of the requests' ring. */
static void serve(void)
{
    char text[256];
    struct xsd_sockmsg message;

    for (;;) {
        uint32_t there = page.req_prod - page.req_cons;

        for (uint32_t i = 0; i < sizeof(message); i++)
            ((char *)&message)[i] = page.req[MASK_XENSTORE_IDX(page.req_cons + i)];
        if (there < sizeof(message) || there < sizeof(message) + message.len)
            return;
        EXPECT(message.len < sizeof(text));
        for (uint32_t i = 0; i < message.len; i++)
            text[i] = page.req[MASK_XENSTORE_IDX(page.req_cons + sizeof(message) + i)];
        text[message.len] = 0;
        page.req_cons += (uint32_t)sizeof(message) + message.len;
        carry_out(&message, text);
    }
}

/* Before the library has asked for anything, with that word of the toolstack's. */
static void store_begins(const char *shutdown)
{
    memset(&store, 0, sizeof(store));
    memset(&page, 0, sizeof(page));
    memcpy(store.shutdown, shutdown, vmi__store_length(shutdown));
}

static void ask_for(const char *word)
{
    memcpy(store.shutdown, word, vmi__store_length(word) + 1);
}

#endif
