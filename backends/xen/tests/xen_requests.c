/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Requests from outside, and the store's client that they come by, as a Linux process: this file
 * plays xenstored (xen/io/xs_wire.h) and the toolstack. What is told while an answer is waited for,
 * what is taken and what is left, and what becomes of it where no kernel takes it.
 */
#include "xen/traps.h"

#include "backends/played.h"

#include "string.c" /* runtime/ */

#define lock store_lock
#include "xen/store.c"
#undef lock

#include "xen/requests.c"

#define STORE_PORT 1
#define TEXT       32

struct vmi__xen_line vmi__xen_requests, vmi__xen_balloon;

/* ---- xenstored ---- */

static struct xenstore_domain_interface page;

static struct {
    char shutdown[TEXT], key[TEXT];
    uint32_t features, watches, transactions, prods, raised, balloon, lines, ended;
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

static char *node(const char *path)
{
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
        EXPECT(at && !message->tx_id == !store.in_transaction);
        answer(XS_READ, message->req_id, at, vmi__store_length(at));
        return;
    case XS_WRITE:
        if (at)
            at[0] = 0;
        EXPECT(at ? store.in_transaction && !length : length == 1 && value[0] == '1');
        store.features += !at;
        break;
    case XS_WATCH:
        EXPECT((at || is(text, "memory/target")) && length == sizeof(WATCH_TOKEN));
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

/* ---- the rest of the library ---- */

static uint32_t port_masked;

uint32_t vmi__xen_take(struct vmi__xen_lock *taken)
{
    EXPECT(!taken->held++);
    return 1;
}

void vmi__xen_give(struct vmi__xen_lock *taken, uint32_t mask)
{
    EXPECT(!--taken->held && mask == 1);
}

intptr_t vmi__xen_port_notify(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    serve();
    return 0;
}

void vmi__xen_port_clear(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
}

void vmi__xen_port_wait(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
}

bool vmi__xen_port_mask(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    return port_masked++;
}

intptr_t vmi__xen_port_unmask(evtchn_port_t port)
{
    EXPECT(port == STORE_PORT);
    port_masked = 0;
    return 0;
}

bool vmi__xen_port_exists(evtchn_port_t port)
{
    return port == STORE_PORT;
}

void vmi__xen_port_set(evtchn_port_t port, enum vmi__xen_port_kind kind, uint32_t vector,
                       uint32_t cpu)
{
    EXPECT(port == STORE_PORT && kind == VMI__XEN_PORT_STORE && !vector && !cpu);
}

intptr_t vmi__xen_prod(uint32_t cpu)
{
    EXPECT(!cpu && !port_masked);
    store.prods++;
    return 0;
}

void vmi__xen_raise_line(struct vmi__xen_line *line, struct vmi__xen_cpu *cpu)
{
    EXPECT(!cpu);
    if (line == &vmi__xen_balloon)
        store.balloon++;
    else if (line == &vmi__xen_requests)
        store.raised++;
    else
        EXPECT(false);
}

void vmi__request_default(uint32_t request)
{
    store.ended = request;
}

void vmi__print(const char *text)
{
    (void)text;
    store.lines++;
}

/* ---- checks ---- */

/* Before the library has asked for anything. */
static void first(const char *shutdown)
{
    memset(&store, 0, sizeof(store));
    memset(&page, 0, sizeof(page));
    memcpy(store.shutdown, shutdown, vmi__store_length(shutdown));
    let_in = refused = false;
    vmi__xen_store_told = port_masked = 0;
    vmi__xen_requests.vector = vmi__xen_balloon.vector = 0;
    vmi__xen_store_start(&page, STORE_PORT);
}

/* Requests are known, and nothing stands in either node. */
static void begin(void)
{
    first("");
    vmi__xen_requests_start();
}

static void ask_for(const char *word)
{
    memcpy(store.shutdown, word, vmi__store_length(word) + 1);
}

static void at_the_start_nodes_are_watched(void)
{
    begin();
    EXPECT(vmi__xen_requests_known && store.features == 5 && store.watches == 3);
    /* What a watch tells at once is no request. */
    EXPECT(!vmi__xen_store_told && !store.prods);
    first("");
    vmi__xen_store_start(0, STORE_PORT);
    vmi__xen_requests_start();
    EXPECT(!vmi__xen_requests_known);
}

static void what_was_asked_before_the_start_is_looked_at(void)
{
    first("poweroff");
    vmi__xen_requests_start();
    EXPECT(vmi__xen_store_told && store.prods == 1);
    vmi__xen_requests_came(0);
    EXPECT(store.ended == VMI_REQUEST_POWER_OFF && !store.shutdown[0]);
}

static void a_request_is_taken_once(void)
{
    begin();
    ask_for("poweroff");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_POWER_OFF);
    EXPECT(!store.shutdown[0] && store.transactions == 1);
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE);
    ask_for("halt");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_POWER_OFF);
    ask_for("reboot");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_REBOOT);
    EXPECT(store.transactions == 3 && !port_masked);
}

static void what_is_written_meanwhile_is_not_lost(void)
{
    begin();
    ask_for("poweroff");
    store.conflicts = true;
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_REBOOT);
    EXPECT(!store.shutdown[0] && store.transactions == 2);
}

static void what_is_not_carried_out_is_left_and_said_once(void)
{
    begin();
    ask_for("suspend");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE);
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE);
    EXPECT(is(store.shutdown, "suspend") && store.lines == 1);
    ask_for("poweroffs");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    ask_for("power");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    /* What is longer than any word is none. */
    ask_for("poweroffpoweroff");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    ask_for("");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE);
    ask_for("suspend");
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && store.lines == 2);
}

static void a_key_is_one_character(void)
{
    begin();
    memcpy(store.key, "k", 2);
    EXPECT(vmi__xen_take_request() == (VMI_REQUEST_KEY | 'k' << 8) && !store.key[0]);
    memcpy(store.key, "kk", 3);
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && !store.key[0]);
    memcpy(store.key, "\x7f", 2);
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && !store.key[0]);
}

static void a_change_told_before_an_answer_is_kept(void)
{
    char text[TEXT];

    begin();
    ask_for("reboot");
    store.tells = true;
    EXPECT(vmi__xen_store_read(shutdown_node, text, sizeof(text)) == 6 && is(text, "reboot"));
    EXPECT(vmi__xen_store_told && store.prods == 1);
}

static void a_change_told_while_nobody_waits_is_seen(void)
{
    begin();
    vmi__xen_store_came();
    EXPECT(!vmi__xen_store_told);
    tell_of_a_change();
    vmi__xen_store_came();
    EXPECT(vmi__xen_store_told && page.rsp_cons == page.rsp_prod);
}

static void a_kernel_that_takes_requests_is_told(void)
{
    begin();
    vmi__xen_requests.vector = 0x40;
    ask_for("poweroff");
    tell_of_a_change();
    vmi__xen_store_came();
    vmi__xen_requests_came(0);
    EXPECT(store.raised == 1 && !store.ended && store.shutdown[0] && !vmi__xen_store_told);
    EXPECT(!store.balloon);
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_POWER_OFF);
}

/* A new target is a change like any other, of which nobody need take a request. */
static void a_balloon_is_told(void)
{
    begin();
    vmi__xen_balloon.vector = 0x41;
    tell_of_a_change();
    vmi__xen_store_came();
    vmi__xen_requests_came(0);
    EXPECT(store.balloon == 1 && !store.raised && !store.ended && !vmi__xen_store_told);
    vmi__xen_requests_came(0);
    EXPECT(store.balloon == 1);
}

static void a_store_that_lies_is_not_used_again(void)
{
    begin();
    ask_for("poweroff");
    store.lies = true;
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE);
    store.lies = false;
    EXPECT(vmi__xen_take_request() == VMI_REQUEST_NONE && store.shutdown[0]);
    vmi__xen_store_came();
}

static const struct played_check checks[] = {
    CHECK(at_the_start_nodes_are_watched),
    CHECK(what_was_asked_before_the_start_is_looked_at),
    CHECK(a_request_is_taken_once),
    CHECK(what_is_written_meanwhile_is_not_lost),
    CHECK(what_is_not_carried_out_is_left_and_said_once),
    CHECK(a_key_is_one_character),
    CHECK(a_change_told_before_an_answer_is_kept),
    CHECK(a_change_told_while_nobody_waits_is_seen),
    CHECK(a_kernel_that_takes_requests_is_told),
    CHECK(a_balloon_is_told),
    CHECK(a_store_that_lies_is_not_used_again),
};

PLAY(checks)
