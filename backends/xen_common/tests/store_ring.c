/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Xenstore's ring as a Linux process: this file plays the other side, sound and hostile.
 */
#include "xen_common/store_ring.h"

#include "backends/played.h"

#define ANSWER_MAX 64u

static struct xenstore_domain_interface page;

static struct {
    char request[8192]; /* what it has been sent */
    uint32_t length;
    char answer[8192]; /* what it is to say, and how much of that it has said */
    uint32_t ready, said;
    uint32_t part; /* bytes that it takes or says at a time */
    uint32_t told, waits, cleared;
    bool silent;
} other;

/* Takes what has been written, and says what fits. */
static void work(void)
{
    if (other.silent)
        return;
    for (uint32_t i = 0; i < other.part && page.req_cons != page.req_prod; i++)
        other.request[other.length++] = page.req[MASK_XENSTORE_IDX(page.req_cons++)];
    for (uint32_t i = 0; i < other.part && other.said < other.ready &&
                         page.rsp_prod - page.rsp_cons < XENSTORE_RING_SIZE;
         i++)
        page.rsp[MASK_XENSTORE_IDX(page.rsp_prod++)] = other.answer[other.said++];
}

static void notify(void)
{
    other.told++;
    work();
}

static void clear(void)
{
    other.cleared++;
}

static void wait(void)
{
    /* A signal before it is not missed. */
    EXPECT(other.cleared == ++other.waits);
    work();
}

static struct vmi__store_ring store = {.notify = notify, .clear = clear, .wait = wait};

static void copy(void *to, const void *from, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        ((volatile char *)to)[i] = ((const char *)from)[i];
}

/* Lets the other side answer a request with so many bytes. */
static void say(uint32_t request, uint32_t type, uint32_t length, const char *text, uint32_t bytes)
{
    const struct xsd_sockmsg message = {.type = type, .req_id = request, .len = length};

    copy(other.answer + other.ready, &message, sizeof(message));
    copy(other.answer + other.ready + sizeof(message), text, bytes);
    other.ready += (uint32_t)sizeof(message) + bytes;
}

/* The indices begin shortly before they begin again at 0, or in mid-ring. */
static void begin(uint32_t part)
{
    static const uint32_t nothing;

    for (uint32_t i = 0; i < sizeof(other) / sizeof(nothing); i++)
        ((volatile uint32_t *)(void *)&other)[i] = nothing;
    page.req_prod = page.req_cons = page.rsp_prod = page.rsp_cons = ~0u - 20;
    other.part = part;
    store.shared = &page;
    store.request = 6;
    store.told = 0;
}

static bool same(const char *a, const char *b, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static void a_request_and_its_answer(void)
{
    static const uint32_t parts[] = {1, 3, 5000};
    struct xsd_sockmsg message;
    char to[ANSWER_MAX];

    for (uint32_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        begin(parts[i]);
        say(7, XS_READ, 5, "value", 5);
        EXPECT(vmi__store_ask(&store, XS_READ, 0, "a/node", 0, to, sizeof(to)) == 5);
        EXPECT(same(to, "value", 5) && other.told);
        while (page.req_cons != page.req_prod)
            work();
        copy(&message, other.request, sizeof(message));
        EXPECT(message.type == XS_READ && message.req_id == 7 && !message.tx_id);
        EXPECT(message.len == 7 && other.length == sizeof(message) + 7);
        EXPECT(same(other.request + sizeof(message), "a/node", 7));
        EXPECT(page.rsp_cons == page.rsp_prod);
    }
}

static void a_value_is_written(void)
{
    begin(5000);
    say(7, XS_WRITE, 3, "OK", 3);
    EXPECT(vmi__store_ask(&store, XS_WRITE, 0, "n", "12", 0, 0) == 0);
    EXPECT(other.length == sizeof(struct xsd_sockmsg) + 4);
    EXPECT(same(other.request + sizeof(struct xsd_sockmsg), "n\00012", 4));
    EXPECT(page.rsp_cons == page.rsp_prod);
}

/* More than there is room for is dropped, and the next answer is found behind it. */
static void an_answer_is_cut(void)
{
    char to[ANSWER_MAX] = "..........";

    begin(5000);
    say(7, XS_READ, 10, "0123456789", 10);
    say(8, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, 4) == 4 && same(to, "0123......", 10));
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, 4) == 2 && same(to, "ab23", 4));
}

static void an_error_is_none_of_the_rings(void)
{
    char to[ANSWER_MAX];

    begin(5000);
    say(7, XS_ERROR, 7, "ENOENT", 7);
    say(8, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == VMI_ENOENT);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == 2);
}

static void answers_to_others_are_passed_over(void)
{
    char to[ANSWER_MAX];

    begin(5000);
    say(5, XS_READ, 6, "before", 6);
    say(6, XS_ERROR, 0, "", 0);
    say(7, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == 2 && same(to, "ab", 2));
}

/* Nothing is asked of it any more, for nobody knows where the next answer begins. */
static void is_out_of_step(void)
{
    char to[ANSWER_MAX];
    uint32_t told = other.told;

    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == VMI_EIO);
    told = other.told;
    EXPECT(!store.shared);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == VMI_EIO);
    EXPECT(other.told == told);
}

static void indices_that_cannot_be(void)
{
    begin(5000);
    page.req_cons = page.req_prod + 1;
    is_out_of_step();
    begin(5000);
    page.req_cons = page.req_prod - XENSTORE_RING_SIZE - 1;
    is_out_of_step();
    begin(5000);
    page.rsp_prod = page.rsp_cons + XENSTORE_RING_SIZE + 1;
    is_out_of_step();
    begin(5000);
    page.rsp_prod = page.rsp_cons - 1;
    is_out_of_step();
}

static void a_length_that_cannot_be(void)
{
    begin(5000);
    say(7, XS_READ, XENSTORE_PAYLOAD_MAX + 1, "", 0);
    is_out_of_step();
    EXPECT(!other.waits);
    begin(5000);
    say(6, XS_READ, ~0u, "", 0);
    is_out_of_step();
    EXPECT(!other.waits);
}

static void nobody_answers(void)
{
    begin(5000);
    is_out_of_step();
    EXPECT(other.waits == VMI__STORE_WAITS_MAX / 2);
    /* Nor takes the request, of which the ring is full. */
    begin(5000);
    other.silent = true;
    page.req_cons = page.req_prod - XENSTORE_RING_SIZE;
    is_out_of_step();
    EXPECT(other.waits == VMI__STORE_WAITS_MAX / 2);
}

static void what_has_no_place_is_refused(void)
{
    static char path[XENSTORE_REL_PATH_MAX + 2], value[XENSTORE_PAYLOAD_MAX + 1];
    char to[ANSWER_MAX];

    begin(5000);
    for (uint32_t i = 0; i < XENSTORE_REL_PATH_MAX; i++)
        path[i] = 'p';
    EXPECT(vmi__store_ask(&store, XS_READ, 0, path, 0, to, sizeof(to)) == VMI_EINVAL);
    for (uint32_t i = 0; i < XENSTORE_PAYLOAD_MAX - 1; i++)
        value[i] = 'v';
    EXPECT(vmi__store_ask(&store, XS_WRITE, 0, "n", value, 0, 0) == VMI_EINVAL);
    EXPECT(!other.told && store.shared);
    /* The largest that have one. */
    path[XENSTORE_REL_PATH_MAX - 1] = 0;
    say(7, XS_READ, 0, "", 0);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, path, 0, to, sizeof(to)) == 0);
    value[XENSTORE_PAYLOAD_MAX - 2] = 0;
    say(8, XS_WRITE, 0, "", 0);
    EXPECT(vmi__store_ask(&store, XS_WRITE, 0, "n", value, 0, 0) == 0);
    EXPECT(other.length ==
           2 * sizeof(struct xsd_sockmsg) + XENSTORE_REL_PATH_MAX + XENSTORE_PAYLOAD_MAX);
}

static void a_domain_without_a_store(void)
{
    char to[ANSWER_MAX];

    begin(5000);
    store.shared = 0;
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == VMI_EIO && !other.told);
}

static void a_request_of_a_transaction(void)
{
    struct xsd_sockmsg message;
    char to[ANSWER_MAX];

    begin(5000);
    say(7, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 70000, "n", 0, to, sizeof(to)) == 2);
    copy(&message, other.request, sizeof(message));
    EXPECT(message.tx_id == 70000 && message.req_id == 7);
}

/* Whatever number it has, it is nobody's answer. */
static void what_a_watch_tells_is_no_answer(void)
{
    static uint32_t told;
    char to[ANSWER_MAX];

    for (uint32_t number = 0; number < 8; number += 7) {
        begin(5000);
        told = 0;
        store.told = &told;
        say(number, XS_WATCH_EVENT, 4, "n\0t", 4);
        say(7, XS_READ, 2, "ab", 2);
        EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == 2);
        EXPECT(same(to, "ab", 2) && told == 1);
    }
    /* Nor where nobody watches. */
    begin(5000);
    say(7, XS_WATCH_EVENT, 4, "n\0t", 4);
    say(7, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == 2 && same(to, "ab", 2));
    /* An answer is not told of. */
    begin(5000);
    told = 0;
    store.told = &told;
    say(6, XS_WRITE, 3, "OK", 3);
    say(7, XS_READ, 2, "ab", 2);
    EXPECT(vmi__store_ask(&store, XS_READ, 0, "n", 0, to, sizeof(to)) == 2 && !told);
}

static void a_request_that_nobody_waits_for(void)
{
    begin(5000);
    vmi__store_post(&store, XS_WATCH, "n", "t", 2);
    EXPECT(other.length == sizeof(struct xsd_sockmsg) + 4 && !other.waits && store.request == 7);
    EXPECT(same(other.request + sizeof(struct xsd_sockmsg), "n\0t", 4));
    begin(5000);
    page.req_cons = page.req_prod + 1;
    vmi__store_post(&store, XS_WATCH, "n", "t", 2);
    EXPECT(!store.shared);
    vmi__store_post(&store, XS_WATCH, "n", "t", 2);
    EXPECT(!other.told);
}

static void what_came_while_nobody_waited(void)
{
    static uint32_t told;

    begin(5000);
    store.told = &told;
    told = 0;
    vmi__store_drain(&store);
    EXPECT(other.cleared == 1 && !other.waits && !told);
    say(6, XS_WATCH, 3, "OK", 3);
    say(0, XS_WATCH_EVENT, 4, "n\0t", 4);
    say(5, XS_READ, 2, "ab", 2);
    work();
    vmi__store_drain(&store);
    EXPECT(told == 1 && page.rsp_cons == page.rsp_prod && store.shared && other.cleared == 2);
    /* What cannot be. */
    page.rsp_prod = page.rsp_cons + XENSTORE_RING_SIZE + 1;
    vmi__store_drain(&store);
    EXPECT(!store.shared);
    vmi__store_drain(&store);
    EXPECT(other.cleared == 3);
    begin(5000);
    say(0, XS_WATCH_EVENT, XENSTORE_PAYLOAD_MAX + 1, "", 0);
    work();
    vmi__store_drain(&store);
    EXPECT(!store.shared);
}

static const struct played_check checks[] = {
    CHECK(a_request_and_its_answer),
    CHECK(a_value_is_written),
    CHECK(an_answer_is_cut),
    CHECK(an_error_is_none_of_the_rings),
    CHECK(answers_to_others_are_passed_over),
    CHECK(indices_that_cannot_be),
    CHECK(a_length_that_cannot_be),
    CHECK(nobody_answers),
    CHECK(what_has_no_place_is_refused),
    CHECK(a_domain_without_a_store),
    CHECK(a_request_of_a_transaction),
    CHECK(what_a_watch_tells_is_no_answer),
    CHECK(a_request_that_nobody_waits_for),
    CHECK(what_came_while_nobody_waited),
};

PLAY(checks)
