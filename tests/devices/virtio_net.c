/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks by virtio as a Linux process: this file is the device, which lies (virtio.h); it has two
 * queues.
 */
#include "virtio.h"

#include "virtio/device.h"

#define REQUESTS 8u
#define SEGMENTS 2u
#define MTU      1000u
#define SEEDS    3000u

static int32_t open_it(void);

#include "devices/played_network.h"

/* VIRTIO 1.2, 5.1. */
enum { CONFIG_ADDRESS = 0, CONFIG_STATUS = 6, CONFIG_PAIRS = 8, CONFIG_MTU = 10 };
#define FEATURE_MTU      (1u << 3)
#define FEATURE_ADDRESS  (1u << 5)
#define FEATURE_STATUS   (1u << 16)
#define FEATURE_CONTROL  (1u << 17)
#define FEATURE_PAIRS    (1u << 22)
#define VIRTIO_HEADER    12u
#define FEATURE_INDIRECT (1u << 28)
#define WRITE            2u /* flag of a descriptor */

extern const struct vmi__driver vmi__driver_virtio_net;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_virtio_net, 0};

static uint16_t ended_of[WAYS]; /* of the used rings */

static void plug(void)
{
    plug_virtio(0x1041, FEATURE_MTU | FEATURE_ADDRESS | FEATURE_STATUS | FEATURE_INDIRECT, 64);
    set(0, QUEUES, 2, 2);
    set(3, CONFIG_ADDRESS, 0x33221102, 4);
    set(3, CONFIG_ADDRESS + 4, 0x5544, 2);
    set(3, CONFIG_STATUS, 1, 2);
    set(3, CONFIG_MTU, MTU, 2);
}

static int32_t open_it(void)
{
    ended_of[RECEIVE] = ended_of[SEND] = 0;
    set(0, QUEUE_SIZE, 64, 2);
    return open_with(
        (struct vmi_device_setup){.queues = 1, .requests = REQUESTS, .segments = SEGMENTS});
}

/*
 * A queue's rings, as the driver has them. Registers that are plain memory keep what was told of
 * the last queue only; that it was the same is seen there (as_the_device_was_told).
 */
static struct vmi__virtqueue *rings(uint32_t way)
{
    return &vmi__virtio_of(&devices[0])->queues[way];
}

static struct used *used_of(uint32_t way)
{
    return (struct used *)(uintptr_t)rings(way)->used;
}

static struct descriptor *descriptors_of(uint32_t way)
{
    return (struct descriptor *)(uintptr_t)rings(way)->descriptors;
}

static bool is_reset(void)
{
    return !(space[1] & COMMAND_MASTER) && !bar[STATUS];
}

/* The identifier of the buffer that was given as that one, from 0. */
static uint32_t given_of(uint32_t way, uint32_t number)
{
    return rings(way)->available->ring[number % rings(way)->size];
}

/* Says that a buffer has ended. */
static void say(uint32_t way, uint32_t id, uint32_t length)
{
    struct used *used = used_of(way);
    uint32_t at = ended_of[way] % rings(way)->size;

    used->ring[at].id = id;
    used->ring[at].length = length;
    used->index = ++ended_of[way];
}

/* The length with which a buffer ends that has done nothing wrong. */
static uint32_t sound(uint32_t way)
{
    return way == RECEIVE ? VIRTIO_HEADER + LEAST : 0;
}

/* ---- checks ---- */

static void says_what_it_is(void)
{
    struct vmi_device_properties info;

    plug();
    info = look();
    EXPECT(info.kind == VMI_DEVICE_NETWORK && info.mtu == MTU);
    for (uint32_t i = 0; i < 6; i++)
        EXPECT(info.address[i] == (i ? 0x11 * i : 2));
    EXPECT(info.queues == 1 && info.requests == 64 && info.segments >= 2);
    EXPECT(info.segment_bytes >= BYTES && info.flags == VMI_DEVICE_IS_LINKED);
    /* The link is looked at each time, open or not. */
    set(3, CONFIG_STATUS, 0, 2);
    EXPECT(!(look().flags & VMI_DEVICE_IS_LINKED));
    EXPECT(open_it() == VMI_OK && !(look().flags & VMI_DEVICE_IS_LINKED));
    set(3, CONFIG_STATUS, 0xfffe, 2);
    EXPECT(!(look().flags & VMI_DEVICE_IS_LINKED));
    set(3, CONFIG_STATUS, 3, 2);
    EXPECT(look().flags & VMI_DEVICE_IS_LINKED);
}

/* Of what it does not say it has what all networks have. */
static void says_nothing(void)
{
    struct vmi_device_properties info;

    plug();
    set(0, OFFERED, 1 | FEATURE_INDIRECT, 4);
    set(3, CONFIG_STATUS, 0, 2);
    info = look();
    EXPECT(info.mtu == 1500 && info.flags & VMI_DEVICE_IS_LINKED);
    for (uint32_t i = 0; i < 6; i++)
        EXPECT(!info.address[i]);
}

static void says_what_cannot_be(void)
{
    struct vmi_device_properties info;

    plug();
    set(3, CONFIG_MTU, 67, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    set(3, CONFIG_MTU, 68, 2);
    EXPECT(look().mtu == 68);
    plug();
    set(0, QUEUES, 1, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    set(0, QUEUE_SIZE, 0, 2);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

/* A message for each way, or none at all. */
static void a_message_for_each(void)
{
    plug();
    plug_msix();
    look();
    EXPECT(devices[0].messages == WAYS && open_it() == VMI_OK && space[MSIX / 4] >> 31);
    plug();
    plug_msix();
    space[MSIX / 4] = 0x11u; /* a table of one */
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && !(space[MSIX / 4] >> 31));
}

/* Without indirect descriptors there is one less for each packet's header. */
static void descriptors_in_the_ring(void)
{
    uint8_t seen[REQUESTS] = {0};

    plug();
    set(0, OFFERED, 1 | FEATURE_MTU, 4);
    EXPECT(look().requests == 32);
    EXPECT(open_it() == VMI_OK);
    EXPECT(pass_on(SEND, 0, REQUESTS) == (int32_t)REQUESTS);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        const struct descriptor *first = &descriptors_of(SEND)[given_of(SEND, i)];

        EXPECT(first->length == VIRTIO_HEADER && first[1].length == 100);
        say(SEND, given_of(SEND, i), 0);
    }
    EXPECT(reap_all(SEND, seen, VMI_OK) == REQUESTS);
    EXPECT(pass_on(RECEIVE, 0, 1) == 1);
    say(RECEIVE, given_of(RECEIVE, 0) + 1, sound(RECEIVE)); /* within a buffer's descriptors */
    memset(seen, 0, sizeof(seen));
    EXPECT(reap_all(RECEIVE, seen, VMI_EIO) == 1 && look().fault == VMI_FAULT_IDENTIFIER);
}

/* ---- several pairs ---- */

static uint32_t commands; /* that were answered */
static uint8_t command[4], answer;
static uint16_t answered_index;

/* The device, while its driver waits for an answer: the ring of commands was told last. */
static void answers(void)
{
    struct used *used = ring(QUEUE_USED);
    const struct descriptor *first = ring(QUEUE_DESCRIPTORS);
    const struct available *available = ring(QUEUE_AVAILABLE);

    if (available->index != 1 || used->index)
        return;
    first += available->ring[0];
    if (first->flags & 4)
        first = (struct descriptor *)(uintptr_t)first->address;
    EXPECT(first[0].length == sizeof(command) && !(first[0].flags & WRITE));
    EXPECT(first[1].length == 1 && first[1].flags & WRITE);
    memcpy(command, (void *)(uintptr_t)first[0].address, sizeof(command));
    *(uint8_t *)(uintptr_t)first[1].address = answer;
    used->ring[0].id = available->ring[0];
    used->ring[0].length = 1;
    used->index = answered_index;
    commands++;
}

static void plug_pairs(uint32_t pairs, uint32_t queues)
{
    plug();
    set(0, OFFERED, 1 | FEATURE_MTU | FEATURE_CONTROL | FEATURE_PAIRS | FEATURE_INDIRECT, 4);
    set(0, QUEUES, queues, 2);
    set(3, CONFIG_PAIRS, pairs, 2);
    while_waiting = answers;
    commands = answer = 0;
    answered_index = 1;
}

static int32_t open_pairs(uint32_t pairs)
{
    set(0, QUEUE_SIZE, 64, 2);
    return open_with(
        (struct vmi_device_setup){.queues = pairs, .requests = REQUESTS, .segments = SEGMENTS});
}

static void several_pairs(void)
{
    const struct vmi_segment segment = {.address = (uintptr_t)buffer, .length = BYTES};
    const struct vmi_net_buffer one = {.id = 5, .segments = &segment, .count = 1};
    struct vmi_device_setup setup = {.queues = 1, .requests = REQUESTS, .segments = SEGMENTS};
    uint16_t notified;
    uintptr_t single;

    plug_pairs(3, 7);
    EXPECT(look().queues == 3 && open_pairs(2) == VMI_OK && commands == 1);
    single = devices[0].driver->memory(&devices[0], &setup);
    setup.queues = 2;
    EXPECT(devices[0].driver->memory(&devices[0], &setup) > 2 * single);
    EXPECT(command[0] == 4 && command[1] == 0 && command[2] == 2 && command[3] == 0);
    memcpy(&notified, bar + PART, sizeof(notified));
    EXPECT(notified == 6); /* behind the queues of all pairs that it has */
    EXPECT((uintptr_t)ring(QUEUE_DESCRIPTORS) > (uintptr_t)rings(3)->used);
    EXPECT((uintptr_t)devices[0].queues[0].slots > (uintptr_t)ring(QUEUE_USED));
    ended_of[RECEIVE] = ended_of[SEND] = 0;
    EXPECT(vmi__net_post(0, 2, &one, 1) == VMI_EINVAL && vmi__net_post(0, 1, &one, 1) == 1);
    EXPECT(rings(2)->available->index == 1 && !rings(0)->available->index);
    memcpy(&notified, bar + PART, sizeof(notified));
    EXPECT(notified == 2);
    used_of(2)->ring[0].id = rings(2)->available->ring[0];
    used_of(2)->ring[0].length = VIRTIO_HEADER + LEAST;
    used_of(2)->index = 1;
    EXPECT(vmi__net_received(0, 0, done, 1) == 0);
    EXPECT(vmi__net_received(0, 1, done, 1) == 1 && done[0].id == 5 && done[0].length == LEAST);
    EXPECT(vmi__net_send(0, 1, &one, 1) == 1 && rings(3)->available->index == 1);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && vmi__net_sent(0, 1, done, 2) == 1);
    EXPECT(done[0].status == VMI_ECANCELED && vmi__device_close(0) == VMI_OK);
    /* With one it is as if there were no others. */
    EXPECT(open_pairs(1) == VMI_OK && commands == 1);
    while_waiting = 0;
}

static void pairs_that_cannot_be(void)
{
    struct vmi_device_properties info;

    /* It does not answer, or says no, or ends more than it was given. */
    plug_pairs(2, 5);
    look();
    while_waiting = 0;
    EXPECT(open_pairs(2) == VMI_EIO && !bar[STATUS] && !locks);
    while_waiting = answers;
    answer = 1;
    EXPECT(open_pairs(2) == VMI_EIO && commands == 1);
    answer = 0;
    answered_index = 2;
    EXPECT(open_pairs(2) == VMI_EIO && commands == 2);
    answered_index = 1;
    EXPECT(open_pairs(2) == VMI_OK && commands == 3 && look().fault == VMI_FAULT_NONE);
    /* No pair, or more than there are queues; more than the library has room for. */
    plug_pairs(0, 5);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug_pairs(3, 5);
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug_pairs(0xffff, 0xffff);
    EXPECT(look().queues == VMI__QUEUES_MAX / WAYS);
    /* Both features are wanted. */
    plug_pairs(2, 5);
    set(0, OFFERED, 1 | FEATURE_MTU | FEATURE_PAIRS | FEATURE_INDIRECT, 4);
    EXPECT(look().queues == 1);
    /* As many pairs as have messages. */
    plug_pairs(2, 5);
    plug_msix();
    space[MSIX / 4] = 0x11u | 2u << 16; /* three */
    EXPECT(look().queues == 1 && devices[0].messages == WAYS);
    plug_pairs(2, 5);
    plug_msix();
    space[MSIX / 4] = 0x11u | 3u << 16;
    EXPECT(look().queues == 2 && devices[0].messages == 2 * WAYS);
    while_waiting = 0;
}

static void as_the_device_was_told(void)
{
    begin_both();
    EXPECT(bar[STATUS] == 15); /* all that leads to a driver at work (VIRTIO 1.2, 2.1) */
    EXPECT(register_of(QUEUE_DESCRIPTORS) == (uintptr_t)rings(SEND)->descriptors);
    EXPECT(register_of(QUEUE_AVAILABLE) == (uintptr_t)rings(SEND)->available);
    EXPECT(register_of(QUEUE_USED) == (uintptr_t)rings(SEND)->used);
    for (uint32_t way = 0; way < WAYS; way++) {
        const struct descriptor *first = &descriptors_of(way)[given_of(way, 0)];
        const struct descriptor *table = (struct descriptor *)(uintptr_t)first->address;
        const uint8_t *header = (uint8_t *)(uintptr_t)table[0].address;

        EXPECT(rings(way)->available->index == 3 && first->length == 3 * sizeof(*table));
        EXPECT(table[0].length == VIRTIO_HEADER);
        for (uint32_t i = 0; i < VIRTIO_HEADER; i++)
            EXPECT(!header[i]);
        EXPECT(table[1].address == (uintptr_t)buffer + 1 && table[1].length == 100);
        EXPECT(table[2].address == (uintptr_t)buffer + 0x1003);
        EXPECT(table[2].length == BYTES - 100);
        for (uint32_t i = 0; i < 3; i++)
            EXPECT((table[i].flags & WRITE) == (way == RECEIVE ? WRITE : 0));
    }
}

/* Rings, tables and headers of both ways, and the interface's table behind them. */
static void nothing_lies_on_another(void)
{
    const uint32_t requests = 64;
    uintptr_t end = (uintptr_t)memory_of_device;

    plug();
    look();
    EXPECT(open_with((struct vmi_device_setup){
               .queues = 1, .requests = requests, .segments = SEGMENTS}) == VMI_OK);
    for (uint32_t way = 0; way < WAYS; way++) {
        const struct descriptor *table;
        uintptr_t tables = (uintptr_t)rings(way)->tables;

        EXPECT(pass_on(way, 0, 1) == 1);
        table = (struct descriptor *)(uintptr_t)descriptors_of(way)[given_of(way, 0)].address;
        EXPECT((uintptr_t)rings(way)->descriptors >= end);
        EXPECT(tables >= (uintptr_t)&used_of(way)->ring[rings(way)->size]);
        end = tables + requests * (SEGMENTS + 1) * sizeof(struct descriptor);
        EXPECT(table[0].address >= end);
        end = (uintptr_t)table[0].address + VIRTIO_HEADER;
    }
    EXPECT((uintptr_t)devices[0].queues[0].slots >= end);
}

/* Messages for each way, or for none. */
static void messages(void)
{
    plug();
    plug_msix();
    look();
    EXPECT(devices[0].messages == WAYS && !(space[MSIX / 4] >> 31));
    EXPECT(open_it() == VMI_OK && space[MSIX / 4] >> 31);
    plug();
    plug_msix();
    space[MSIX / 4] = 0x11; /* one */
    look();
    EXPECT(!devices[0].messages && open_it() == VMI_OK && !(space[MSIX / 4] >> 31));
}

/* It is left reset, and nothing is open. */
static void does_not_come_up(void)
{
    plug();
    look();
    set(0, OFFERED, 1 | FEATURE_MTU, 4); /* other features than then */
    EXPECT(open_it() == VMI_EIO && !bar[STATUS] && pass_on(SEND, 0, 1) == VMI_EINVAL && !locks);
}

static void each_ends_once_in_any_order(void)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        uint8_t seen[REQUESTS] = {0};

        begin();
        EXPECT(pass_on(way, 0, REQUESTS + 2) == (int32_t)REQUESTS);
        EXPECT(pass_on(way, 0, 1) == 0);
        for (uint32_t i = REQUESTS; i > 0; i--)
            say(way, given_of(way, i - 1), way == RECEIVE ? VIRTIO_HEADER + LEAST + i : 0);
        EXPECT(reap_all(way, seen, VMI_OK) == REQUESTS);
        for (uint32_t i = 0; i < REQUESTS; i++)
            EXPECT(done[i].length == (way == RECEIVE ? LEAST + (uint32_t)done[i].id + 1 : 0));
        EXPECT(reap_all(way, seen, VMI_OK) == 0);
        EXPECT(pass_on(way, 0, REQUESTS) == (int32_t)REQUESTS);
    }
}

/* What fills a buffer to its end is received. */
static void all_the_room(void)
{
    uint8_t seen[REQUESTS] = {0};

    begin_both();
    say(RECEIVE, given_of(RECEIVE, 0), VIRTIO_HEADER + BYTES);
    EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 1 && done[0].length == BYTES);
    say(RECEIVE, given_of(RECEIVE, 1), VIRTIO_HEADER);
    EXPECT(reap_all(RECEIVE, seen, VMI_OK) == 1 && done[0].length == 0);
}

static void lengths_that_cannot_be(void)
{
    static const uint32_t lengths[] = {VIRTIO_HEADER + BYTES + 1, 0x10000, 0xffffffff,
                                       VIRTIO_HEADER - 1, 0};

    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t seen[REQUESTS] = {0};

        begin_both();
        say(RECEIVE, given_of(RECEIVE, 1), lengths[i]);
        is_shut_off(VMI_FAULT_LENGTH, RECEIVE, seen, 3);
        if (!lengths[i])
            continue;
        memset(seen, 0, sizeof(seen));
        begin_both();
        say(SEND, given_of(SEND, 1), lengths[i]);
        is_shut_off(VMI_FAULT_LENGTH, SEND, seen, 3);
    }
}

static void ended_twice(void)
{
    for (uint32_t way = 0; way < WAYS; way++) {
        uint8_t seen[REQUESTS] = {0};

        begin_both();
        say(way, given_of(way, 1), sound(way));
        say(way, given_of(way, 1), sound(way));
        EXPECT(reap_some(way, 1) == 1 && done[0].id == 1);
        seen[1] = 1;
        is_shut_off(VMI_FAULT_IDENTIFIER, way, seen, 2);
    }
}

static void never_given(void)
{
    static const uint32_t slots[] = {REQUESTS - 1, REQUESTS, 0x10000, 0x7fffffff, 0xffffffff};

    for (uint32_t way = 0; way < WAYS; way++) {
        for (uint32_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
            uint8_t seen[REQUESTS] = {0};

            begin_both();
            say(way, slots[i], sound(way));
            is_shut_off(VMI_FAULT_IDENTIFIER, way, seen, 3);
        }
    }
}

static void more_than_was_given(void)
{
    static const uint16_t ahead[] = {4, 8, 0x40, 0x7fff, 0x8000, 0xffff};

    for (uint32_t way = 0; way < WAYS; way++) {
        for (uint32_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
            uint8_t seen[REQUESTS] = {0};

            begin_both();
            used_of(way)->index = ahead[i];
            is_shut_off(VMI_FAULT_COUNT, way, seen, 3);
        }
    }
}

static void closed_with_buffers_in_flight(void)
{
    uint8_t received[REQUESTS] = {0}, sent[REQUESTS] = {0};

    begin_both();
    EXPECT(vmi__device_close(0) == VMI_EBUSY && !bar[STATUS]);
    EXPECT(pass_on(RECEIVE, 3, 1) == VMI_EINVAL && pass_on(SEND, 3, 1) == VMI_EINVAL);
    say(RECEIVE, given_of(RECEIVE, 0), sound(RECEIVE)); /* too late */
    say(SEND, given_of(SEND, 0), sound(SEND));
    EXPECT(reap_all(SEND, sent, VMI_ECANCELED) == 3 && vmi__device_close(0) == VMI_EBUSY);
    EXPECT(reap_all(RECEIVE, received, VMI_ECANCELED) == 3);
    EXPECT(vmi__device_close(0) == VMI_OK && vmi__device_close(0) == VMI_EINVAL);
    EXPECT(reap_some(RECEIVE, 1) == VMI_EINVAL && reap_some(SEND, 1) == VMI_EINVAL);
}

/*
 * On an interrupt line: what one way has ended is not lost where the other one is looked at, and
 * the line stays up until its interrupt ends.
 */
static void one_line_for_both_ways(void)
{
    const struct vmi__driver *driver = &vmi__driver_virtio_net;

    begin_both();
    say(SEND, given_of(SEND, 0), sound(SEND));
    say(RECEIVE, given_of(RECEIVE, 0), sound(RECEIVE));
    EXPECT(reap_some(RECEIVE, REQUESTS) == 1);
    EXPECT(driver->acknowledge(&devices[0]));  /* sent, and nobody has looked */
    EXPECT(!driver->acknowledge(&devices[0])); /* that has been said */
    EXPECT(reap_some(SEND, REQUESTS) == 1);
    say(RECEIVE, given_of(RECEIVE, 1), sound(RECEIVE));
    EXPECT(reap_some(RECEIVE, REQUESTS) == 1 && !driver->acknowledge(&devices[0]));
}

static void lie(uint32_t what, uint32_t way, uint32_t given)
{
    (void)given;
    if (what < 11)
        say(way, given_of(way, random() % 16 ? ended_of[way] : random() % REQUESTS),
            random() % 16 ? sound(way) : random());
    else if (what == 11)
        used_of(way)->index = (uint16_t)(random() % 8 ? ended_of[way] : random());
}

static void any_device(void)
{
    EXPECT(any_lies(16, lie) > SEEDS / 4);
}

/* Whatever it says of itself: it is left alone, or has numbers that can be. */
static void any_description(void)
{
    uint32_t kept = 0;

    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        struct vmi_device_properties info;

        state = seed;
        plug();
        say_anything();
        if (vmi__device_info(0, &info) != VMI_OK)
            continue;
        kept++;
        EXPECT(info.requests && info.requests <= VMI__REQUESTS_MAX && info.queues == 1);
        EXPECT(info.segments && info.segments <= VMI__SEGMENTS_MAX);
        EXPECT(info.mtu >= 68 && info.mtu <= 0xffff);
        EXPECT(info.segment_bytes >= info.mtu + 18);
        EXPECT(info.name[sizeof(info.name) - 1] == 0);
    }
    EXPECT(kept > SEEDS / 10 && kept < SEEDS);
}

static const struct played_check all[] = {
    CHECK(says_what_it_is),
    CHECK(says_nothing),
    CHECK(says_what_cannot_be),
    CHECK(a_message_for_each),
    CHECK(descriptors_in_the_ring),
    CHECK(several_pairs),
    CHECK(pairs_that_cannot_be),
    CHECK(as_the_device_was_told),
    CHECK(nothing_lies_on_another),
    CHECK(messages),
    CHECK(does_not_come_up),
    CHECK(what_is_no_buffer),
    CHECK(each_ends_once_in_any_order),
    CHECK(all_the_room),
    CHECK(lengths_that_cannot_be),
    CHECK(ended_twice),
    CHECK(never_given),
    CHECK(more_than_was_given),
    CHECK(closed_with_buffers_in_flight),
    CHECK(one_line_for_both_ways),
    CHECK(any_device),
    CHECK(any_description),
};

PLAY(all)
