/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Networks of Xen's as a Linux process: this file is the back end, which lies.
 */
static const char folder_of_devices[] = "device/vif";
#define OWN "device/vif/0"
static void connected(void);
#include "split.h"

#include <xen/io/netif.h>

extern const struct vmi__driver vmi__driver_netfront;
const struct vmi__driver *const vmi__drivers[] = {&vmi__driver_netfront, 0};

#define REQUESTS 4u
#define SEGMENTS 2u
#define SEEDS    1000u
#define ENTRIES  256u /* of a ring of one page, either way */
#define LARGEST  1500u
#define ROOM     (LARGEST + 14)

static uint8_t buffers[REQUESTS][0x1000] __attribute__((aligned(4096)));

#include "devices/played_open.h"

/* ---- the back end ---- */

static struct vmi__xen_common_ring_head *heads[VMI__WAYS];
static uint32_t answered[VMI__WAYS];

static void connected(void)
{
    static const char *const nodes_of[] = {OWN "/rx-ring-ref", OWN "/tx-ring-ref"};

    for (uint32_t way = 0; way < VMI__WAYS; way++) {
        heads[way] = page_of(number_of(nodes_of[way]));
        EXPECT(heads[way] && !heads[way]->requested && heads[way]->request_event == 1);
        answered[way] = 0;
    }
    EXPECT(channels & 1u << number_of(OWN "/event-channel-rx"));
    EXPECT(channels & 1u << number_of(OWN "/event-channel-tx"));
    EXPECT(number_of(OWN "/event-channel-rx") != number_of(OWN "/event-channel-tx"));
    EXPECT(number_of(OWN "/request-rx-copy") == 1 && number_of(OWN "/feature-rx-notify") == 1);
    EXPECT(number_of(OWN "/feature-no-csum-offload") == 1 && !number_of(OWN "/feature-sg"));
    EXPECT(!number_of(OWN "/feature-gso-tcpv4") && !number_of(OWN "/feature-gso-tcpv6"));
}

static struct netif_rx_request *posted(uint32_t index)
{
    return (struct netif_rx_request *)((char *)(heads[VMI__RECEIVE] + 1) + index % ENTRIES * 8);
}

static struct netif_tx_request *sending(uint32_t index)
{
    return (struct netif_tx_request *)((char *)(heads[VMI__SEND] + 1) + index % ENTRIES * 12);
}

/* Answers the next entry to receive in. */
static void say_received(uint16_t id, uint16_t offset, uint16_t flags, int16_t status)
{
    struct netif_rx_response *response = (void *)posted(answered[VMI__RECEIVE]);

    *response = (struct netif_rx_response){id, offset, flags, status};
    heads[VMI__RECEIVE]->responded = ++answered[VMI__RECEIVE];
}

/* Has a packet of so many bytes, each of which is its place, come in. */
static void receive(uint32_t bytes, uint32_t offset)
{
    const struct netif_rx_request *request = posted(answered[VMI__RECEIVE]);
    uint8_t *page = page_of(request->gref);

    EXPECT(page && heads[VMI__RECEIVE]->requested != answered[VMI__RECEIVE]);
    for (uint32_t i = 0; i < bytes; i++)
        page[offset + i] = (uint8_t)(i ^ i >> 8);
    say_received(request->id, (uint16_t)offset, 0, (int16_t)bytes);
}

static void say_sent(uint16_t id, int16_t status)
{
    struct netif_tx_response *response = (void *)sending(answered[VMI__SEND]);

    *response = (struct netif_tx_response){id, status};
    heads[VMI__SEND]->responded = ++answered[VMI__SEND];
}

/* A sound network that nobody has looked at. */
static void plug(void)
{
    static const char named[] = "0\0";

    plug_split(named);
    connects_at = XenbusStateConnected;
    write_node(OWN "/mac", "00:16:3e:0a:Bc:ff");
    write_node(OTHER "/feature-rx-copy", "1");
    write_node(OTHER "/feature-split-event-channels", "1");
}

/* The two pieces of a buffer: neither next to each other nor aligned. */
static void pieces(uint32_t buffer, uint32_t bytes, struct vmi_segment segments[SEGMENTS])
{
    segments[0] = (struct vmi_segment){.address = (uintptr_t)buffers[buffer] + 3, .length = 20};
    segments[1] =
        (struct vmi_segment){.address = (uintptr_t)buffers[buffer] + 100, .length = bytes - 20};
}

static int32_t give(bool receives, uint64_t first, uint32_t wanted, uint32_t bytes)
{
    struct vmi_segment segments[2 * REQUESTS][SEGMENTS];
    struct vmi_net_buffer list[2 * REQUESTS];

    for (uint32_t i = 0; i < wanted; i++) {
        pieces((uint32_t)(first + i) % REQUESTS, bytes, segments[i]);
        list[i] = (struct vmi_net_buffer){.id = first + i, .segments = segments[i], .count = 2};
    }
    return receives ? vmi__net_post(0, 0, list, wanted) : vmi__net_send(0, 0, list, wanted);
}

/* ---- checks ---- */

static struct vmi_completion done[2 * REQUESTS];

/* Shut off for that reason: what is left ends once, and it may be used anew. */
static void is_shut_off(uint32_t fault, uint32_t receiving, uint32_t sent)
{
    EXPECT(vmi__net_received(0, 0, done, 2 * REQUESTS) == (int32_t)receiving);
    for (uint32_t i = 0; i < receiving; i++)
        EXPECT(done[i].status == VMI_EIO && !done[i].length);
    EXPECT(vmi__net_sent(0, 0, done, 2 * REQUESTS) == (int32_t)sent);
    for (uint32_t i = 0; i < sent; i++)
        EXPECT(done[i].status == VMI_EIO);
    EXPECT(look().fault == fault && give(true, 0, 1, ROOM) == VMI_EIO);
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back());
    EXPECT(open_it() == VMI_OK && look().fault == VMI_FAULT_NONE && !locks);
}

static void what_is_said_of_it(void)
{
    static const uint8_t address[6] = {0, 0x16, 0x3e, 0x0a, 0xbc, 0xff};
    struct vmi_device_properties info;
    struct vmi_device_memory needs;
    struct vmi_device_setup setup = {.queues = 1, .requests = 32, .segments = 4};

    plug();
    info = look();
    EXPECT(info.kind == VMI_DEVICE_NETWORK && info.mtu == LARGEST && info.queues == 1);
    EXPECT(info.segments == 4 && info.requests == 128 && info.segment_bytes == 0x1000);
    for (uint32_t i = 0; i < 6; i++)
        EXPECT(info.address[i] == address[i]);
    EXPECT(info.flags == VMI_DEVICE_IS_LINKED && all_is_given_back());
    write_node(OTHER "/carrier", "0");
    EXPECT(!look().flags);
    write_node(OTHER "/carrier", "1");
    say_state(XenbusStateClosing);
    EXPECT(!look().flags);
    say_state(XenbusStateInitWait);
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_OK);
    setup.requests = 33; /* more entries than the ring has */
    EXPECT(vmi__device_needs(0, &setup, &needs) == VMI_EINVAL);
    plug();
    write_node(OWN "/mtu", "1400");
    EXPECT(look().mtu == 1400);
    plug();
    write_node(OWN "/mtu", "9000"); /* what it is without fragments */
    EXPECT(look().mtu == LARGEST);
}

static void what_is_no_network(void)
{
    static const char *const addresses[] = {
        "",
        "00:16:3e:0a:bc",
        "00:16:3e:0a:bc:f",
        "00:16:3e:0a:bc:fg",
        "00:16:3e:0a:bc:fff",
        "00-16-3e-0a-bc-ff",
    };
    struct vmi_device_properties info;

    for (uint32_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        plug();
        write_node(OWN "/mac", addresses[i]);
        EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    }
    plug();
    write_node(OTHER "/feature-rx-copy", "0");
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    write_node(OTHER "/feature-split-event-channels", "0");
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    write_node(OWN "/mtu", "67");
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
    plug();
    say_state(XenbusStateInitialising);
    reached = 0;
    EXPECT(vmi__device_info(0, &info) == VMI_ENOENT);
}

/* A packet is in its buffer, piece by piece, with its length. */
static void received(void)
{
    static const uint32_t sizes[] = {14, 20, 21, 60, ROOM};

    begin();
    EXPECT(give(true, 0, 2 * REQUESTS, ROOM) == (int32_t)REQUESTS && notified == 1);
    EXPECT(give(true, 0, 1, ROOM) == 0);
    EXPECT(lent() == 2 + REQUESTS);
    for (uint32_t i = 0; i < 3 * ENTRIES; i++) {
        uint32_t size = sizes[i % 5], offset = i % 3 * 7;
        const uint8_t *buffer;

        memset(buffers, 0xee, sizeof(buffers));
        receive(size, offset);
        EXPECT(vmi__net_received(0, 0, done, 4) == 1);
        EXPECT(done[0].status == VMI_OK && done[0].length == size && done[0].id < REQUESTS);
        buffer = buffers[done[0].id];
        for (uint32_t j = 0; j < size; j++)
            EXPECT(buffer[j < 20 ? 3 + j : 80 + j] == (uint8_t)(j ^ j >> 8));
        EXPECT(buffer[2] == 0xee && buffer[size <= 20 ? 3 + size : 80 + size] == 0xee);
        EXPECT(give(true, done[0].id, 1, ROOM) == 1);
    }
    EXPECT(heads[VMI__RECEIVE]->requested == 3 * ENTRIES + REQUESTS);
}

/* By its channels a library finds each way, and whether there is anything to take. */
static void what_its_channels_are(void)
{
    evtchn_port_t ports[VMI__WAYS];

    begin();
    for (uint32_t way = 0; way < VMI__WAYS; way++)
        ports[way] = vmi__xen_common_port_of_event(way);
    EXPECT(ports[VMI__RECEIVE] == number_of(OWN "/event-channel-rx"));
    EXPECT(ports[VMI__SEND] == number_of(OWN "/event-channel-tx"));
    EXPECT(!vmi__xen_common_port_of_event(VMI__WAYS));
    EXPECT(give(true, 0, 1, ROOM) == 1 && give(false, 1, 1, 60) == 1);
    receive(60, 0);
    EXPECT(vmi__xen_common_port_has_news(ports[VMI__RECEIVE]));
    EXPECT(!vmi__xen_common_port_has_news(ports[VMI__SEND]));
    EXPECT(vmi__net_received(0, 0, done, 4) == 1);
    EXPECT(!vmi__xen_common_port_has_news(ports[VMI__RECEIVE]));
    say_sent(sending(0)->id, NETIF_RSP_OKAY);
    EXPECT(vmi__xen_common_port_has_news(ports[VMI__SEND]));
}

/* What has failed, or has no place in its buffer, is lost; its buffer stays where it was. */
static void lost(void)
{
    begin();
    EXPECT(give(true, 0, 2, ROOM) == 2);
    notified = 0;
    heads[VMI__RECEIVE]->request_event = 3;
    say_received(posted(0)->id, 0, 0, NETIF_RSP_ERROR);
    EXPECT(vmi__net_received(0, 0, done, 4) == 0 && notified == 1);
    receive(ROOM + 4, 0);
    receive(60, 0);
    EXPECT(vmi__net_received(0, 0, done, 4) == 1 && done[0].id == 0 && done[0].length == 60);
    EXPECT(heads[VMI__RECEIVE]->requested == 4 && look().fault == VMI_FAULT_NONE);
}

static void received_what_cannot_be(void)
{
    static const struct {
        uint16_t id, offset, flags;
        int16_t status;
        uint32_t fault;
    } cases[] = {
        {1, 0, 0, 60, VMI_FAULT_IDENTIFIER},
        {REQUESTS, 0, 0, 60, VMI_FAULT_IDENTIFIER},
        {0xffff, 0, 0, 60, VMI_FAULT_IDENTIFIER},
        {0, 0, 0, 0x1001, VMI_FAULT_LENGTH},
        {0, 0, 0, 0x7fff, VMI_FAULT_LENGTH},
        {0, 0xfc5, 0, 60, VMI_FAULT_LENGTH},
        {0, 0xffff, 0, 60, VMI_FAULT_LENGTH},
        {0, 0xffff, 0, -1, VMI_FAULT_LENGTH},
        {0, 0, NETRXF_more_data, 60, VMI_FAULT_STATUS},
        {0, 0, NETRXF_extra_info, 60, VMI_FAULT_STATUS},
    };

    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin();
        EXPECT(give(true, 0, 2, ROOM) == 2 && give(false, 0, 1, 60) == 1);
        say_received(cases[i].id, cases[i].offset, cases[i].flags, cases[i].status);
        is_shut_off(cases[i].fault, 2, 1);
    }
}

/* A packet's frames, each an entry; the first one has the whole length. */
static void sent(void)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffers[0] + 0xff0, .length = 100},
        {.address = (uintptr_t)buffers[2] + 8, .length = 1400},
    };
    const struct vmi_net_buffer packet = {.id = 77, .segments = segments, .count = 2};
    const struct {
        uint32_t offset, size;
        void *page;
    } parts[] = {{0xff0, 1500, buffers[0]}, {0, 84, buffers[1]}, {8, 1400, buffers[2]}};

    uint16_t ids[3];

    begin();
    EXPECT(vmi__net_send(0, 0, &packet, 1) == 1 && heads[VMI__SEND]->requested == 3);
    EXPECT(notified == 1);
    for (uint32_t i = 0; i < 3; i++) {
        const struct netif_tx_request *entry = sending(i);

        EXPECT(entry->offset == parts[i].offset && entry->size == parts[i].size);
        EXPECT(entry->flags == (i < 2 ? NETTXF_more_data : 0));
        EXPECT(page_of(entry->gref) == parts[i].page && table[entry->gref].flags & GTF_readonly);
    }
    /* It has ended when all of them have, in any order. */
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t order[] = {2, 0, 1};

        EXPECT(vmi__net_sent(0, 0, done, 1) == 0);
        if (!i) /* the entries are one for both ways */
            for (uint32_t j = 0; j < 3; j++)
                ids[j] = sending(j)->id;
        say_sent(ids[order[i]], NETIF_RSP_OKAY);
    }
    EXPECT(vmi__net_sent(0, 0, done, 1) == 1 && done[0].id == 77 && done[0].status == VMI_OK);
    EXPECT(!done[0].length && lent() == 2 + REQUESTS && !table[0].flags);
    /* Lost on the way is sent; what could not be sent is told. */
    for (uint32_t i = 0; i < 2; i++) {
        EXPECT(give(false, 1, 1, 60) == 1);
        ids[0] = sending(answered[VMI__SEND])->id;
        ids[1] = sending(answered[VMI__SEND] + 1)->id;
        say_sent(ids[0], i ? NETIF_RSP_ERROR : NETIF_RSP_DROPPED);
        say_sent(ids[1], NETIF_RSP_OKAY);
        EXPECT(vmi__net_sent(0, 0, done, 1) == 1 && done[0].status == (i ? VMI_EIO : VMI_OK));
    }
}

static void sent_what_cannot_be(void)
{
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t fault = VMI_FAULT_IDENTIFIER;
        uint16_t id;

        begin();
        EXPECT(give(false, 0, 2, 60) == 2 && give(true, 0, 1, ROOM) == 1);
        id = sending(0)->id;
        switch (i) {
        case 0:
            say_sent(id, NETIF_RSP_OKAY);
            say_sent(id, NETIF_RSP_OKAY); /* twice */
            break;
        case 1:
            say_sent((uint16_t)(id + 2), NETIF_RSP_OKAY); /* a frame that it does not have */
            break;
        case 2:
            say_sent(0xffff, NETIF_RSP_OKAY);
            break;
        case 3:
            say_sent(id, 1);
            fault = VMI_FAULT_STATUS;
            break;
        case 4:
            heads[VMI__SEND]->responded = 5;
            fault = VMI_FAULT_COUNT;
            break;
        default:
            heads[VMI__SEND]->responded = 0xffffffff;
            fault = VMI_FAULT_COUNT;
            break;
        }
        EXPECT(vmi__net_sent(0, 0, done, 8) == 2 && done[1].status == VMI_EIO);
        is_shut_off(fault, 1, 0);
    }
}

/* A frame that it has mapped when it says that it is sent. */
static void keeps_a_frame(void)
{
    grant_ref_t held;

    begin();
    EXPECT(give(false, 0, 1, 60) == 1);
    held = sending(0)->gref;
    table[held].flags |= GTF_reading;
    say_sent(sending(0)->id, NETIF_RSP_OKAY);
    EXPECT(vmi__net_sent(0, 0, done, 8) == 1 && done[0].status == VMI_EIO);
    EXPECT(look().fault == VMI_FAULT_HELD && vmi__device_close(0) == VMI_EBUSY);
    table[held].flags &= (uint16_t)~GTF_reading;
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back());
}

static void closed_with_buffers_under_way(void)
{
    begin();
    EXPECT(give(false, 0, 3, 60) == 3 && give(true, 0, REQUESTS, ROOM) == (int32_t)REQUESTS);
    EXPECT(vmi__device_close(0) == VMI_EBUSY && unbound == 1);
    EXPECT(number_of(OWN "/state") == XenbusStateClosed);
    EXPECT(vmi__net_received(0, 0, done, 8) == (int32_t)REQUESTS);
    EXPECT(done[0].status == VMI_ECANCELED && vmi__device_close(0) == VMI_EBUSY);
    EXPECT(vmi__net_sent(0, 0, done, 8) == 3 && done[2].status == VMI_ECANCELED);
    EXPECT(vmi__device_close(0) == VMI_OK && all_is_given_back() && open_it() == VMI_OK);
}

static void does_not_come_up(void)
{
    plug();
    look();
    reached = XenbusStateInitWait;
    EXPECT(open_it() == VMI_EIO && all_is_given_back());
    reached = XenbusStateConnected;
    for (uint32_t i = 1; i <= 2; i++) {
        refused_channels = i;
        EXPECT(open_it() == VMI_EIO && all_is_given_back());
        refused_channels = 0;
    }
    EXPECT(open_it() == VMI_OK);
}

/* ---- after a suspend ---- */

/* Buffers are given to the new back end again, and packets that have not been sent, whole. */
static void goes_on_with_what_was_under_way(void)
{
    const struct vmi_segment segments[] = {
        {.address = (uintptr_t)buffers[0] + 0xff0, .length = 100},
        {.address = (uintptr_t)buffers[2] + 8, .length = 1400},
    };
    const struct vmi_net_buffer packet = {.id = 77, .segments = segments, .count = 2};
    struct netif_tx_request before[3];

    begin();
    EXPECT(give(true, 0, 3, ROOM) == 3 && give(false, 1, 1, 60) == 1);
    receive(60, 0);
    EXPECT(vmi__net_received(0, 0, done, 4) == 1);
    say_sent(sending(0)->id, NETIF_RSP_OKAY);
    say_sent(sending(1)->id, NETIF_RSP_OKAY);
    EXPECT(vmi__net_sent(0, 0, done, 4) == 1);
    EXPECT(vmi__net_send(0, 0, &packet, 1) == 1);
    for (uint32_t i = 0; i < 3; i++)
        before[i] = *sending(2 + i);
    say_sent(before[1].id, NETIF_RSP_OKAY); /* a part of it */
    EXPECT(vmi__net_sent(0, 0, done, 4) == 0);
    receive(60, 0); /* lost: nobody has taken it */
    notified = 0;
    restore();
    EXPECT(heads[VMI__RECEIVE]->requested == 2 && heads[VMI__SEND]->requested == 3);
    EXPECT(notified == 2 && lent() == 2 + REQUESTS + 3);
    for (uint32_t i = 0; i < 3; i++)
        EXPECT(!memcmp(&before[i], sending(i), sizeof(before[i])));
    EXPECT(page_of(before[0].gref) == buffers[0] && page_of(before[2].gref) == buffers[2]);
    EXPECT(table[before[1].gref].flags & GTF_readonly);
    receive(60, 3);
    receive(61, 0);
    EXPECT(vmi__net_received(0, 0, done, 4) == 2 && done[0].length == 60 && done[1].length == 61);
    EXPECT(done[0].id + done[1].id == 3); /* 1 and 2 */
    for (uint32_t i = 0; i < 3; i++)
        say_sent(before[i].id, NETIF_RSP_OKAY);
    EXPECT(vmi__net_sent(0, 0, done, 4) == 1 && done[0].id == 77 && done[0].status == VMI_OK);
    EXPECT(!look().fault && vmi__device_close(0) == VMI_OK && all_is_given_back());
}

/* One that does not come up is shut off, and what was under way ends. */
static void is_not_there_any_more(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        begin();
        EXPECT(give(false, 0, 1, 60) == 1 && give(true, 0, 2, ROOM) == 2);
        if (i)
            refused_channels = i;
        else
            reached = XenbusStateInitWait;
        restore();
        reached = XenbusStateConnected;
        refused_channels = 0;
        is_shut_off(VMI_FAULT_LOST, 2, 1);
    }
}

/* Whatever it says, each buffer ends once, and nothing is written beside one. */
static void any_back_end(void)
{
    for (uint32_t seed = FIRST_SEED; seed < FIRST_SEED + SEEDS && !failed_line; seed++) {
        uint8_t pending[2][REQUESTS] = {{0}};
        uint32_t next[2] = {0, 0};

        state = seed;
        begin();
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t what = random() % 16, way = random() % 2;
            uint32_t at = answered[way], id = next[way] % REQUESTS;
            int32_t taken;

            if (what < 6 && !pending[way][id] &&
                give(way == VMI__RECEIVE, id, 1, way == VMI__RECEIVE ? ROOM : 60) == 1) {
                pending[way][id] = 1;
                next[way]++;
            } else if (what < 12 && heads[way]->requested != at && way == VMI__RECEIVE) {
                say_received(random() % 16 ? posted(at)->id : (uint16_t)random(),
                             random() % 8 ? 0 : (uint16_t)random(),
                             random() % 16 ? 0 : (uint16_t)random(),
                             (int16_t)(random() % 4 ? 14 + random() % 1500 : random()));
            } else if (what < 12 && heads[way]->requested != at) {
                say_sent(random() % 16 ? sending(at)->id : (uint16_t)random(),
                         random() % 16 ? NETIF_RSP_OKAY : (int16_t)random());
            } else if (what == 12 && !(random() % 4)) {
                heads[way]->responded = random() % 2 ? at : random();
            }
            way = random() % 2;
            taken = way == VMI__RECEIVE ? vmi__net_received(0, 0, done, random() % 3)
                                        : vmi__net_sent(0, 0, done, random() % 3);
            EXPECT(taken >= 0);
            for (int32_t i = 0; i < taken; i++)
                EXPECT(done[i].id < REQUESTS && pending[way][done[i].id]-- == 1);
        }
        vmi__device_close(0);
        for (uint32_t way = 0; way < VMI__WAYS; way++) {
            int32_t taken = way == VMI__RECEIVE ? vmi__net_received(0, 0, done, REQUESTS)
                                                : vmi__net_sent(0, 0, done, REQUESTS);

            for (int32_t i = 0; i < taken; i++)
                EXPECT(done[i].id < REQUESTS && pending[way][done[i].id]-- == 1);
            for (uint32_t i = 0; i < REQUESTS; i++)
                EXPECT(!pending[way][i]);
        }
        vmi__device_close(0);
        EXPECT(devices[0].state == VMI__DEVICE_CLOSED && !locks && all_is_given_back());
    }
}

static const struct played_check all[] = {
    CHECK(what_is_said_of_it),
    CHECK(what_is_no_network),
    CHECK(received),
    CHECK(what_its_channels_are),
    CHECK(lost),
    CHECK(received_what_cannot_be),
    CHECK(sent),
    CHECK(sent_what_cannot_be),
    CHECK(keeps_a_frame),
    CHECK(closed_with_buffers_under_way),
    CHECK(does_not_come_up),
    CHECK(goes_on_with_what_was_under_way),
    CHECK(is_not_there_any_more),
    CHECK(any_back_end),
};

PLAY(all)
