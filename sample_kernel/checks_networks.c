/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The first network, if there is one: what it says of itself, buffers that are none, packets of all
 * sizes in pieces, many at a time both ways, closing with buffers under way. Another side of the
 * network has to answer for 10.0.2.2 by ARP and ICMP echo, as QEMU's user network does.
 */
#include <stddef.h>

#include "checks.h"
#include "first_device.h"
#include "frames.h"
#include "layout.h"
#include "options.h"
#include "packets.h"
#include "paging.h"
#include "patience.h"
#include "print.h"
#include "string.h"
#include "threads.h"
#include "traps.h"

#define BUFFERS  32 /* each way; as many are under way */
#define BATCH    8
#define SEGMENTS 2
#define WINDOW   64  /* echoes that are not answered yet */
#define FLOOD    400 /* packets each way: more than a ring has places */

#define AGAIN_MILLISECONDS 100

#define FRAME_MAX 0x10000

/* Where a packet's two pieces are in its buffer: neither next to each other nor aligned. */
#define PIECE    27 /* bytes of the first */
#define PIECE_AT 65 /* of the second one */

static struct first_device network = {
    .kind = VMI_DEVICE_NETWORK,
    .name = "network",
    .requests = BUFFERS,
    .segments = SEGMENTS,
};
static uint32_t to_receive[BUFFERS], to_send[BUFFERS]; /* first frames of buffers */
static uint32_t buffer_pages;
static struct packet_ends ends;
static uint32_t pair;             /* of queues, that is used */
static bool resolved;             /* whether the other one is known */
static uint8_t packet[FRAME_MAX]; /* in one piece */

#define NEEDS_OPEN_NETWORK()                                                                       \
    do {                                                                                           \
        NEEDS_DEVICE(&network);                                                                    \
        EXPECT_EQUAL(open_network(), VMI_OK);                                                      \
    } while (0)

/* ---- memory ---- */

/* Buffers that are the kernel's, each way; the others are the device's. */
static struct ways {
    uint8_t receive[BUFFERS], send[BUFFERS];
    uint32_t receiving, sending;
} free;

static void all_free(void)
{
    free = (struct ways){.receiving = network.setup.requests, .sending = network.setup.requests};
    for (uint32_t i = 0; i < BUFFERS; i++)
        free.receive[i] = free.send[i] = (uint8_t)i;
}

static bool have_buffers(void)
{
    buffer_pages = (PIECE_AT + network.facts.mtu + ETHERNET + PAGE_SIZE - 1) / PAGE_SIZE;
    for (uint32_t i = 0; i < BUFFERS && to_send[BUFFERS - 1] == FRAME_NONE; i++) {
        to_receive[i] = frame_allocate_run(buffer_pages);
        to_send[i] = frame_allocate_run(buffer_pages);
    }
    return to_receive[BUFFERS - 1] != FRAME_NONE && to_send[BUFFERS - 1] != FRAME_NONE;
}

static int32_t open_network(void)
{
    bool was_open = network.facts.flags & VMI_DEVICE_IS_OPEN;
    int32_t result = have_buffers() ? first_device_open(&network) : VMI_ENOMEM;

    if (result == VMI_OK && !was_open)
        all_free();
    memcpy(ends.own, network.facts.address, sizeof(ends.own));
    return result;
}

/* The segments of `bytes` in a buffer: two, or one where there is room for no more. */
static uint32_t pieces(uint32_t pfn, uint32_t bytes, struct vmi_segment segments[SEGMENTS])
{
    uint64_t address = (uint64_t)pfn << PAGE_SHIFT;

    if (network.setup.segments < SEGMENTS || bytes <= PIECE) {
        segments[0] = (struct vmi_segment){.address = address, .length = bytes};
        return 1;
    }
    segments[0] = (struct vmi_segment){.address = address, .length = PIECE};
    segments[1] = (struct vmi_segment){.address = address + PIECE_AT, .length = bytes - PIECE};
    return SEGMENTS;
}

/* Copies `packet` into a buffer, or the other way round. */
static void copy(uint32_t pfn, uint32_t bytes, bool out)
{
    uint8_t *buffer = frame_address(pfn);
    uint32_t first = network.setup.segments < SEGMENTS ? bytes : least(bytes, PIECE);

    if (out) {
        memcpy(buffer, packet, first);
        memcpy(buffer + PIECE_AT, packet + first, bytes - first);
    } else {
        memcpy(packet, buffer, first);
        memcpy(packet + first, buffer + PIECE_AT, bytes - first);
    }
}

/* ---- both ways ---- */

/* Has all free buffers receive, by batches. Why not, or null. */
static const char *post(void)
{
    struct vmi_segment segments[BATCH][SEGMENTS];
    struct vmi_net_buffer buffers[BATCH];

    while (free.receiving > 0) {
        uint32_t count = least(free.receiving, BATCH);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t buffer = free.receive[free.receiving - 1 - i];
            buffers[i] = (struct vmi_net_buffer){
                .id = 0x100000000 | buffer,
                .segments = segments[i],
                .count = pieces(to_receive[buffer], network.facts.mtu + ETHERNET, segments[i]),
            };
        }
        int32_t taken = vmi_net_post(network.number, pair, buffers, count);
        if (taken != (int32_t)count)
            return "a queue that is not full takes no buffer";
        free.receiving -= count;
    }
    return NULL;
}

/* Takes back what was sent. */
static const char *reap_sent(void)
{
    struct vmi_completion completions[BATCH];
    int32_t ended = vmi_net_sent(network.number, pair, completions, BATCH);

    if (ended < 0)
        return "reaping what was sent failed";
    for (int32_t i = 0; i < ended; i++) {
        uint64_t buffer = completions[i].id ^ 0x200000000;
        if (buffer >= BUFFERS || free.sending == network.setup.requests)
            return "another packet was sent";
        if (completions[i].status != VMI_OK || completions[i].length != 0)
            return "a packet was not sent";
        free.send[free.sending++] = (uint8_t)buffer;
    }
    return NULL;
}

/* Why not all that was sent has ended in good time, or null. */
static const char *wait_until_sent(void)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;
    const char *reason = NULL;

    while (reason == NULL && free.sending < network.setup.requests) {
        reason = reap_sent();
        if (reason == NULL && vmi_clock_nanoseconds() > end)
            reason = "what is sent does not end";
    }
    return reason;
}

/* Takes the next packet that was received into `packet`: its bytes, 0 if there is none. */
static uint32_t receive(const char **reason)
{
    struct vmi_completion completion;
    int32_t ended = vmi_net_received(network.number, pair, &completion, 1);

    if (ended == 0)
        return 0;
    uint64_t buffer = completion.id ^ 0x100000000;
    if (ended != 1 || buffer >= BUFFERS || free.receiving == network.setup.requests) {
        *reason = "another buffer was received in";
    } else if (completion.status != VMI_OK || completion.length < ETHERNET ||
               completion.length > network.facts.mtu + ETHERNET) {
        *reason = "no packet was received";
    } else {
        copy(to_receive[buffer], completion.length, false);
        free.receive[free.receiving++] = (uint8_t)buffer;
        return completion.length;
    }
    return 0;
}

/* Sends `packet`; false if there is no room. */
static bool send(uint32_t bytes)
{
    struct vmi_segment segments[SEGMENTS];
    struct vmi_net_buffer buffer = {.segments = segments};

    if (free.sending == 0)
        return false;
    uint32_t number = free.send[free.sending - 1];
    copy(to_send[number], bytes, true);
    buffer.id = 0x200000000 | number;
    buffer.count = pieces(to_send[number], bytes, segments);
    if (vmi_net_send(network.number, pair, &buffer, 1) != 1)
        return false;
    free.sending--;
    return true;
}

/*
 * Asks who 10.0.2.2 is, again and again: the other side may come later. Why that is not known, or
 * null.
 */
static const char *resolve(void)
{
    uint64_t now = vmi_clock_nanoseconds(), again = now;
    uint64_t end = now + PATIENCE_MILLISECONDS * 1000000ull;
    const char *reason = post();

    while (reason == NULL && !resolved) {
        now = vmi_clock_nanoseconds();
        packet_question(packet, &ends);
        if (now >= again && send(QUESTION_BYTES))
            again = now + AGAIN_MILLISECONDS * 1000000ull;
        uint32_t bytes = receive(&reason);
        resolved = packet_is_other(packet, bytes, &ends);
        if (reason == NULL)
            reason = reap_sent();
        if (reason == NULL)
            reason = post();
        if (reason == NULL && now > end)
            reason = "nobody answers for 10.0.2.2";
    }
    return reason;
}

/* The bytes of packet `number` of a flood: of all sizes, in no order. */
static uint32_t some_size(uint32_t number)
{
    return HEADERS + number * 397 % (network.facts.mtu + ETHERNET - HEADERS + 1);
}

/* From the least to the largest, around what is special to Ethernet. */
static uint32_t special_size(uint32_t number)
{
    const uint32_t sizes[] = {HEADERS,
                              43,
                              59,
                              60,
                              61,
                              64,
                              127,
                              128,
                              1000,
                              1023,
                              network.facts.mtu + 12,
                              network.facts.mtu + 13,
                              network.facts.mtu + 14};
    return sizes[number % (sizeof(sizes) / sizeof(sizes[0]))];
}
#define SPECIAL_SIZES 13

/*
 * Sends that many echoes, and has each answered once with what it carried; waits by events if
 * `by_event`. Why that is not so, or null; *right is how many were.
 */
static const char *echoes(uint32_t count, uint32_t (*size)(uint32_t), bool by_event,
                          uint32_t *right)
{
    static uint8_t answered[FLOOD];
    static uint32_t run = 0x5600;
    uint32_t next = 0, number;
    uint64_t end = vmi_clock_nanoseconds() + 10 * PATIENCE_MILLISECONDS * 1000000ull;
    const char *reason = NULL;

    run++;
    *right = 0;
    memset(answered, 0, sizeof(answered));
    /* A device may drop what it has no buffer for: what came before gives its buffers back. */
    while (reason == NULL && receive(&reason) != 0)
        ;
    while (reason == NULL && (*right < count || free.sending < network.setup.requests)) {
        uint32_t seen = first_device_events, received = 0, sending = free.sending;
        reason = post();
        while (reason == NULL && next < count && next - *right < WINDOW) {
            packet_echo(packet, &ends, run, next, size(next));
            if (!send(size(next)))
                break;
            next++;
        }
        for (uint32_t bytes; reason == NULL && (bytes = receive(&reason)) != 0; received++) {
            if (!packet_is_answer(packet, bytes, run, &number))
                continue;
            if (number >= next || answered[number]++)
                reason = "an answer has come twice";
            else if (!packet_is_same(packet, &ends, bytes, number, size(number)))
                reason = "an answer is another one";
            else
                ++*right;
        }
        if (reason == NULL)
            reason = reap_sent();
        if (reason != NULL || received || sending != free.sending)
            continue;
        if (vmi_clock_nanoseconds() > end)
            reason = "it takes too long";
        else if (by_event && (*right < count || free.sending < network.setup.requests) &&
                 !wait_for_count(&first_device_events, seen + 1, PATIENCE_MILLISECONDS))
            reason = "no event came";
    }
    return reason;
}

#define EXPECT_RIGHT(expression)                                                                   \
    do {                                                                                           \
        const char *reason_ = (expression);                                                        \
        if (reason_ != NULL) {                                                                     \
            ktap_fail("line %u: %s", (unsigned)__LINE__, reason_);                                 \
            return;                                                                                \
        }                                                                                          \
    } while (0)

#define EXPECT_ECHOES(count, size, by_event)                                                       \
    do {                                                                                           \
        uint32_t right_;                                                                           \
        const char *reason_ = echoes(count, size, by_event, &right_);                              \
        if (reason_ != NULL) {                                                                     \
            ktap_fail("line %u: %s after %u echoes", (unsigned)__LINE__, reason_, right_);         \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* ---- checks ---- */

static void told(void)
{
    NEEDS_DEVICE(&network);
    EXPECT(network.facts.mtu >= 68);
    EXPECT((network.facts.address[0] & 1) == 0);
    EXPECT(network.facts.queues > 0 && network.facts.requests > 0 && network.facts.segments > 0);
    EXPECT(network.facts.segment_bytes >= network.facts.mtu + ETHERNET);
    EXPECT_EQUAL(network.facts.fault, VMI_FAULT_NONE);
    EXPECT(network.facts.flags & VMI_DEVICE_IS_LINKED);
    EXPECT(network.facts.name[0] != 0 && network.facts.name[sizeof(network.facts.name) - 1] == 0);
    EXPECT(first_device_has_limits(&network));
}

static void opened(void)
{
    struct vmi_net_buffer buffer = {.count = 0};
    struct vmi_completion completion;

    NEEDS_DEVICE(&network);
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_post(network.number, 0, &buffer, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_send(network.number, 0, &buffer, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_received(network.number, 0, &completion, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_sent(network.number, 0, &completion, 1), VMI_EINVAL);
    EXPECT_EQUAL(open_network(), VMI_OK);
    EXPECT_EQUAL(vmi_device_open(network.number, &network.setup), VMI_EBUSY);
    EXPECT(first_device_find(&network));
    EXPECT(network.facts.flags & VMI_DEVICE_IS_OPEN);
}

static void refused(void)
{
    struct vmi_completion completion;
    struct vmi_block_request block = {.operation = VMI_BLOCK_FLUSH};

    NEEDS_OPEN_NETWORK();
    const uint64_t at = (uint64_t)to_send[0] << PAGE_SHIFT;
    const uint32_t most = network.facts.mtu + ETHERNET;
    const struct vmi_segment whole = {.address = at, .length = most};
    const struct vmi_segment many[3] = {{.address = at, .length = most},
                                        {.address = at, .length = most},
                                        {.address = at, .length = most}};
    const struct vmi_segment empty[2] = {whole, {.address = at}};
    const struct vmi_segment shorter = {.address = at, .length = most - 1};
    const struct vmi_segment least_less = {.address = at, .length = ETHERNET - 1};
    const struct vmi_segment longer = {.address = at, .length = most + 5};
    const struct vmi_segment huge = {.address = at, .length = network.facts.segment_bytes + 1};
    const struct vmi_segment wraps = {.address = 0ull - most / 2, .length = most};
    const struct {
        const struct vmi_segment *segments;
        uint32_t count;
        bool receive, send; /* for which of the two it is none */
    } cases[] = {
        {&whole, 0, true, true},      {many, network.setup.segments + 1, true, true},
        {empty, 2, true, true},       {&shorter, 1, true, false},
        {&least_less, 1, true, true}, {&longer, 1, false, true},
        {&huge, 1, true, true},       {&wraps, 1, true, true},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vmi_net_buffer buffer = {.segments = cases[i].segments,
                                              .count = cases[i].count};
        int32_t receive =
            cases[i].receive ? vmi_net_post(network.number, 0, &buffer, 1) : VMI_EINVAL;
        int32_t send = cases[i].send ? vmi_net_send(network.number, 0, &buffer, 1) : VMI_EINVAL;
        if (receive != VMI_EINVAL || send != VMI_EINVAL) {
            ktap_fail("case %u: %d and %d, not %d", i, receive, send, VMI_EINVAL);
            return;
        }
    }
    const struct vmi_net_buffer sound = {.segments = &whole, .count = 1};
    EXPECT_EQUAL(vmi_net_send(network.number, network.setup.queues, &sound, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_post(network.number, network.setup.queues, &sound, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_received(network.number, network.setup.queues, &completion, 1),
                 VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_sent(network.number, network.setup.queues, &completion, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_send(UINT32_MAX, 0, &sound, 1), VMI_ENOENT);
    EXPECT_EQUAL(vmi_net_send(network.number, 0, &sound, 0), 0);
    EXPECT_EQUAL(vmi_net_sent(network.number, 0, &completion, 1), 0);
    EXPECT_EQUAL(vmi_net_received(network.number, 0, &completion, 1), 0);
    EXPECT_EQUAL(vmi_block_submit(network.number, 0, &block, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_block_reap(network.number, 0, &completion, 1), VMI_EINVAL);
}

static void sizes(void)
{
    NEEDS_OPEN_NETWORK();
    EXPECT_RIGHT(resolve());
    EXPECT_ECHOES(SPECIAL_SIZES, special_size, false);
}

static void flood(void)
{
    NEEDS_OPEN_NETWORK();
    EXPECT_RIGHT(resolve());
    EXPECT_ECHOES(FLOOD, some_size, false);
}

/* Full is a count of what was taken, and what stands before one that cannot be is taken. */
static void full(void)
{
    struct vmi_net_buffer buffers[BUFFERS + 1];
    struct vmi_segment segment = {.length = network.facts.mtu + ETHERNET};

    NEEDS_OPEN_NETWORK();
    EXPECT_RIGHT(resolve());
    EXPECT_RIGHT(wait_until_sent());
    EXPECT_RIGHT(post());
    for (uint32_t i = 0; i <= BUFFERS; i++)
        buffers[i] = (struct vmi_net_buffer){.id = i, .segments = &segment, .count = 1};
    segment.address = (uint64_t)to_receive[0] << PAGE_SHIFT;
    EXPECT_EQUAL(vmi_net_post(network.number, 0, buffers, 1), 0);
    packet_echo(packet, &ends, 0, 0, HEADERS);
    memcpy(frame_address(to_send[0]), packet, HEADERS);
    segment =
        (struct vmi_segment){.address = (uint64_t)to_send[0] << PAGE_SHIFT, .length = HEADERS};
    for (uint32_t i = 0; i < 2; i++)
        buffers[i].id = 0x200000000 | free.send[free.sending - 1 - i];
    buffers[2].count = 0;
    EXPECT_EQUAL(free.sending, network.setup.requests);
    EXPECT_EQUAL(vmi_net_send(network.number, 0, buffers, network.setup.requests), 2);
    free.sending -= 2;
    EXPECT_RIGHT(wait_until_sent());
}

static void by_event(void)
{
    NEEDS_OPEN_NETWORK();
    NEEDS(EVENT_BIND);
    EXPECT_RIGHT(resolve());
    const uint32_t source = network.number << 16 | 2 * pair;
    const uint32_t ways = 2 * (network.setup.queues - pair);
    int32_t events[2];
    trap_handler_set(VECTOR_NETWORK, first_device_note);
    EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_DEVICE, source + ways, VECTOR_NETWORK), VMI_EINVAL);
    for (uint32_t i = 0; i < 2; i++) {
        events[i] = vmi_event_bind(VMI_EVENT_DEVICE, source | i, VECTOR_NETWORK);
        EXPECT(events[i] >= 0);
        EXPECT_EQUAL(vmi_event_bind(VMI_EVENT_DEVICE, source | i, VECTOR_NETWORK), VMI_EBUSY);
    }
    first_device_events = 0;
    for (uint32_t i = 0; i < 2; i++)
        EXPECT_EQUAL(vmi_event_unmask((uint32_t)events[i]), VMI_OK);
    EXPECT_ECHOES(FLOOD / 4, some_size, true);
    EXPECT(first_device_events > 0);
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)events[0]), VMI_OK);
    /* On an interrupt line both are one event. */
    EXPECT_EQUAL(vmi_event_unbind((uint32_t)events[1]),
                 events[0] == events[1] ? VMI_EINVAL : VMI_OK);
}

/* Waits until the link is as wanted. */
static bool wait_for_link(bool wanted)
{
    uint64_t end = vmi_clock_nanoseconds() + PATIENCE_MILLISECONDS * 1000000ull;

    while (first_device_find(&network) && vmi_clock_nanoseconds() < end)
        if (!!(network.facts.flags & VMI_DEVICE_IS_LINKED) == wanted)
            return true;
    return false;
}

static void link(void)
{
    char word[8];

    NEEDS_OPEN_NETWORK();
    EXPECT_RIGHT(resolve());
    if (!option_value(checks_boot_info->command_line, "link", word, sizeof(word))) {
        ktap_skip("nobody takes the link down; link=down says that somebody does");
        return;
    }
    print("# link down, please\n");
    EXPECT(wait_for_link(false));
    /* What is sent meanwhile ends, too. */
    packet_echo(packet, &ends, 0, 0, HEADERS);
    EXPECT(send(HEADERS));
    EXPECT_RIGHT(wait_until_sent());
    print("# link up, please\n");
    EXPECT(wait_for_link(true));
    EXPECT_ECHOES(SPECIAL_SIZES, special_size, false);
}

/* Buffers that are under way end once: by the device or by closing it. */
static void closed(void)
{
    struct vmi_completion completions[5];
    uint8_t times[2][BUFFERS] = {{0}};
    uint32_t given[2], reaped[2] = {0, 0};
    struct vmi_net_buffer none = {.count = 0};

    NEEDS_OPEN_NETWORK();
    EXPECT_RIGHT(resolve());
    EXPECT_RIGHT(wait_until_sent());
    EXPECT_RIGHT(post());
    packet_echo(packet, &ends, 0, 0, HEADERS);
    while (send(HEADERS))
        ;
    given[0] = network.setup.requests;
    given[1] = network.setup.requests;
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_EBUSY);
    EXPECT_EQUAL(vmi_net_send(network.number, 0, &none, 1), VMI_EINVAL);
    EXPECT_EQUAL(vmi_net_post(network.number, 0, &none, 1), VMI_EINVAL);
    for (uint32_t way = 0; way < 2; way++) {
        const uint64_t mark = (uint64_t)(way + 1) << 32;
        for (uint32_t i = 0; i <= BUFFERS; i++) {
            int32_t count = way == 0 ? vmi_net_received(network.number, 0, completions, 5)
                                     : vmi_net_sent(network.number, 0, completions, 5);
            EXPECT(count >= 0);
            for (int32_t j = 0; j < count; j++) {
                EXPECT((completions[j].id ^ mark) < BUFFERS);
                EXPECT(completions[j].status == VMI_OK || completions[j].status == VMI_ECANCELED);
                times[way][completions[j].id ^ mark]++;
            }
            reaped[way] += (uint32_t)count;
        }
        EXPECT_EQUAL(reaped[way], given[way]);
        for (uint32_t i = 0; i < given[way]; i++)
            EXPECT_EQUAL(times[way][i], 1);
    }
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_OK);
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_EINVAL);
    EXPECT(first_device_find(&network));
    EXPECT_EQUAL(network.facts.flags & VMI_DEVICE_IS_OPEN, 0);
    EXPECT_EQUAL(network.facts.fault, VMI_FAULT_NONE);
    /* It comes up again as at first. */
    EXPECT_EQUAL(open_network(), VMI_OK);
    EXPECT_ECHOES(SPECIAL_SIZES, special_size, false);
    EXPECT_RIGHT(post()); /* late answers to others may have taken all */
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_EBUSY);
    for (uint32_t i = 0; i <= BUFFERS; i++)
        vmi_net_received(network.number, 0, completions, 5);
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_OK);
    /* Nobody has the memory then. */
    uint32_t before = frames_free(), back = first_device_give_back(&network);
    for (uint32_t i = 0; i < BUFFERS; i++, back += 2 * buffer_pages) {
        frame_release_run(to_receive[i], buffer_pages);
        frame_release_run(to_send[i], buffer_pages);
        to_receive[i] = to_send[i] = FRAME_NONE;
    }
    EXPECT_EQUAL(frames_free(), before + back);
}

/* ---- while something else happens ---- */

#define LIFE_RUN 0x4c00

const char *network_goes_on(uint32_t round)
{
    const uint32_t sent = special_size(0), number = round & 0xffff;
    bool answered = false;
    uint64_t again = 0;
    struct patience patience;

    if (call_unsupported(VMI_ORDINAL_DEVICE_INFO) || !first_device_find(&network))
        return NULL;
    if (open_network() != VMI_OK)
        return "the network is not opened";
    const char *reason = resolve();
    patience_begin(&patience, PATIENCE_MILLISECONDS);
    while (reason == NULL && !answered) {
        uint64_t now = vmi_clock_nanoseconds();
        uint32_t bytes, which;
        reason = post();
        if (reason == NULL && now >= again) {
            /*
             * The other side may have been moved and not know any more who has 10.0.2.15; it learns
             * it by a question, too.
             */
            if (again != 0) {
                packet_question(packet, &ends);
                send(QUESTION_BYTES);
            }
            packet_echo(packet, &ends, LIFE_RUN, number, sent);
            if (send(sent))
                again = now + AGAIN_MILLISECONDS * 1000000ull;
        }
        while (reason == NULL && (bytes = receive(&reason)) != 0) {
            if (!packet_is_answer(packet, bytes, LIFE_RUN, &which) || which != number)
                continue;
            answered = true;
            if (!packet_is_same(packet, &ends, bytes, number, sent))
                reason = "an answer is another one";
        }
        if (reason == NULL)
            reason = reap_sent();
        if (reason == NULL && !answered && !patience_left(&patience))
            reason = "nobody answers an echo";
    }
    return reason;
}

/* Each with as much under way as it takes, both at once. */
static void beside_a_disk(void)
{
    static struct first_device both[] = {
        {.kind = VMI_DEVICE_BLOCK, .name = "disk", .requests = 128, .segments = 4},
        {.kind = VMI_DEVICE_NETWORK, .name = "network", .requests = 128, .segments = 1},
    };

    for (uint32_t i = 0; i < 2; i++)
        NEEDS_OPEN_DEVICE(&both[i]);
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT_EQUAL(vmi_device_close(both[i].number), VMI_OK);
        first_device_give_back(&both[i]);
    }
}

/* By the second pair of queues alone: what is asked there is answered there. */
static void second_pair(void)
{
    struct vmi_completion completion;

    NEEDS_DEVICE(&network);
    if (network.facts.queues < 2) {
        ktap_skip("this network has one pair of queues");
        return;
    }
    network.queues = 2;
    pair = 1;
    by_event();
    EXPECT_RIGHT(post());
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_EBUSY);
    while (vmi_net_received(network.number, pair, &completion, 1) > 0)
        ;
    EXPECT_EQUAL(vmi_device_close(network.number), VMI_OK);
}

const struct check checks_networks[] = {
    {"networks.told", told},
    {"networks.opened", opened},
    {"networks.refused", refused},
    {"networks.sizes", sizes},
    {"networks.flood", flood},
    {"networks.full", full},
    {"networks.by_event", by_event},
    {"networks.link", link},
    {"networks.closed", closed},
    {"networks.beside_a_disk", beside_a_disk},
    {"networks.second_pair", second_pair},
    {NULL, NULL},
};
